"""Processes that begin with SQLAlchemy and Alembic imported.

To import them takes longer than most of such a process's work. So one process of an interpreter
does, and is forked for each that is needed.

``ForkServer`` is the side that asks; ``serve`` runs in the interpreter that may be another's, and
so imports nothing but the standard library.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import IO

#: Seconds between two looks whether a process has ended.
LOOK = 0.005


@dataclass(eq=False)
class ForkServer:
    """An interpreter that forks processes for as long as anybody holds on to this.

    It has the environment of the moment when it was started, and so have they.
    """

    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    log: IO[bytes]  # what it writes itself
    lock: Lock = field(default_factory=Lock)
    forked: int = 0

    @classmethod
    def start(cls, command: Sequence[str]) -> "ForkServer":
        """Start one.

        Args:
            command: The interpreter and its arguments; it gets the number of a socket as one more,
                and calls :func:`serve` with it.

        Raises:
            OSError: there is no such interpreter.

        """
        ours, its = socket.socketpair()
        log = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            process = subprocess.Popen(  # noqa: S603
                [*command, str(its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        except OSError:
            ours.close()
            log.close()
            raise
        finally:
            its.close()
        server = cls(process, ours, log)
        weakref.finalize(server, _stop, process, ours, log)
        return server

    def fork(self, stdin: int, stdout: int, stderr: int, folder: str) -> "Forked":
        """Ask for a process in a folder, which has these for its standard files."""
        with self.lock:
            self.forked += 1
            # If it is gone, its processes are not there either, and are found dead.
            with contextlib.suppress(OSError):
                said = f"fork {folder}\0".encode()
                socket.send_fds(self.channel, [said], [stdin, stdout, stderr])
            return Forked(self, self.forked)

    def ask(self, question: str) -> int | None:
        """Ask something of a process and return its exit code, if it has ended.

        If the server itself has ended, its own is returned.
        """
        with self.lock:
            answer = b""
            with contextlib.suppress(OSError):
                self.channel.sendall(f"{question}\0".encode())
                while not answer.endswith(b"\0") and (said := self.channel.recv(64)):
                    answer += said
        if not answer:
            return self.process.wait()
        return None if answer == b"alive\0" else int(answer[:-1])

    def last_words(self) -> str:
        """Return what the server wrote, such as why it could not begin."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")


@dataclass(frozen=True)
class Forked:
    """A process that a server forked."""

    server: ForkServer
    number: int

    def poll(self) -> int | None:
        """Return its exit code, as ``Popen.poll`` does."""
        return self.wait(0)

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until it has ended, or for so many seconds; return its exit code if it has."""
        return self.server.ask(f"wait {self.number} {'' if seconds is None else seconds}")

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        self.server.ask(f"kill {self.number}")

    def last_words(self) -> str:
        """Return what its server wrote."""
        return self.server.last_words()


def _stop(process: "subprocess.Popen[bytes]", channel: socket.socket, log: IO[bytes]) -> None:
    channel.close()
    process.terminate()  # it may still be importing, for nobody
    process.wait()
    log.close()


def serve(number: int) -> None:
    """Fork a process for each request that comes over a socket.

    Returns:
        In each process that it forks. The server itself exits when nobody asks any more.

    """
    channel = socket.socket(fileno=number)
    # Ctrl-C is for who asked; it closes the socket, which ends this.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: dict[int, int] = {}
    codes: dict[int, int] = {}
    for question, files in _questions(channel):
        verb, _, rest = question.partition(" ")
        if verb == "fork":
            child = os.fork()
            if not child:
                signal.signal(signal.SIGINT, interrupt)
                channel.close()
                _become(files, rest)
                return
            children[len(children) + 1] = child
            for file in files:
                os.close(file)
            continue
        name, _, seconds = rest.partition(" ")
        channel.sendall(_answer(verb, int(name), seconds, children, codes))
    sys.exit()


def _questions(channel: socket.socket) -> Iterator[tuple[str, list[int]]]:
    """Yield what is asked, with the files that came along."""
    pending, files = b"", list[int]()
    while True:
        said, more, _, _ = socket.recv_fds(channel, 1 << 16, 3)
        if not said:
            return
        pending += said
        files += more
        *questions, pending = pending.split(b"\0")
        for question in questions:
            taken = files[:3] if question.startswith(b"fork") else []
            del files[: len(taken)]
            yield question.decode(), taken


def _become(files: Sequence[int], folder: str) -> None:
    """Take up the standard files and the folder of a process."""
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    # Python knows of the old ones whether they were a terminal, and where in them it was.
    sys.stdin, sys.stdout, sys.stderr = (
        open(0, closefd=False),  # noqa: SIM115
        open(1, "w", closefd=False),  # noqa: SIM115
        open(2, "w", buffering=1, errors="backslashreplace", closefd=False),  # noqa: SIM115
    )
    os.chdir(folder)


def _answer(
    verb: str, name: int, seconds: str, children: Mapping[int, int], codes: dict[int, int]
) -> bytes:
    """Answer with the exit code of a process, or that it is alive."""
    if verb == "kill" and name not in codes:
        os.kill(children[name], signal.SIGKILL)
    deadline = time.monotonic() + (float(seconds) if seconds else float("inf"))
    while name not in codes:
        ended, status = os.waitpid(children[name], os.WNOHANG)
        if ended:
            codes[name] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() >= deadline:
            return b"alive\0"
        else:
            time.sleep(LOOK)
    return f"{codes[name]}\0".encode()
