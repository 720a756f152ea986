"""How far a question has come, for a person who waits for the answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

#: Told how many are done, of how many, and which comes next.
Progress = Callable[[int, int, str], None]

#: Seconds for which a person waits without asking why.
PATIENCE = 1

#: Seconds between two lines of a log, from the first revision on: to read a project is no progress.
PAUSE = 10

WIDTH = 30


def silent(_done: int, _number: int, _what: str) -> None:
    """Show nothing."""


@contextmanager
def shown(stream: TextIO) -> Iterator[Progress]:
    """Show what takes over a second: a bar on a terminal, elsewhere a line now and then."""
    display = _Display(stream, time.monotonic())
    try:
        yield display.show
    finally:
        display.clear()


@dataclass
class _Display:
    stream: TextIO
    began: float
    told: float | None = None  # when a log got its last line
    drawn: bool = False

    def show(self, done: int, number: int, what: str) -> None:
        now = time.monotonic()
        if self.stream.isatty():
            if now - self.began < PATIENCE:
                return
            filled = WIDTH * done // max(number, 1)
            bar = "#" * filled + "." * (WIDTH - filled)
            self.stream.write(f"\r[{bar}] {done}/{number} {what}\033[K")
            self.stream.flush()
            self.drawn = True
        elif self.told is None:
            self.told = now
        elif now - self.told >= PAUSE:
            self.told = now
            print(f"{done} of {number} revisions", file=self.stream, flush=True)

    def clear(self) -> None:
        if self.drawn:
            self.stream.write("\r\033[K")
            self.stream.flush()
