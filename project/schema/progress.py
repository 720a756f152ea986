"""How far a question has come, for a person who waits for the answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

#: Told how many are done, of how many, and which comes next.
Progress = Callable[[int, int, str], None]

#: Seconds for which a person waits without asking why.
PATIENCE = 1

WIDTH = 30


def silent(_done: int, _number: int, _what: str) -> None:
    """Show nothing."""


@contextmanager
def shown(stream: TextIO) -> Iterator[Progress]:
    """Show what takes over a second: a bar on a terminal, elsewhere a line for every tenth part."""
    display = _Display(stream)
    try:
        yield display.show
    finally:
        display.clear()


@dataclass
class _Display:
    stream: TextIO
    began: float = field(default_factory=time.monotonic)
    tenth: int = 0  # as last told
    drawn: bool = False

    def show(self, done: int, number: int, what: str) -> None:
        if time.monotonic() - self.began < PATIENCE:
            return
        if self.stream.isatty():
            filled = WIDTH * done // max(number, 1)
            bar = "#" * filled + "." * (WIDTH - filled)
            self.stream.write(f"\r[{bar}] {done}/{number} {what}\033[K")
            self.stream.flush()
            self.drawn = True
        elif (tenth := 10 * done // max(number, 1)) > self.tenth:
            self.tenth = tenth
            print(f"{done} of {number} revisions", file=self.stream, flush=True)

    def clear(self) -> None:
        if self.drawn:
            self.stream.write("\r\033[K")
            self.stream.flush()
