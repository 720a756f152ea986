"""The process that works for a project: forked from an interpreter of its own, or from this one.

An interpreter of its own has imported nothing of the project, may be another one, and is what every
command of ours takes. ``alembic`` itself, with our line in its env.py, has imported Alembic, the
models and what they need by then, which takes longer than most histories: a copy of it need not do
so again.
"""

import os
import select
import sys
import traceback
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple, NoReturn, Protocol

from project.schema.forkserver import ForkServer

PACKAGE = Path(__file__).resolve().parents[1] / "__init__.py"

#: Makes workers. The foreign project may have a package of the same name as this one: it is
#: loaded from its path and forgotten again before anything foreign is imported. Most projects use
#: psycopg, which takes its time to be imported, too.
START = """
import gc, sys
if sys.version_info < (3, 11):
    version = sys.version_info[:2]
    sys.exit("%s is Python %d.%d, and 3.11 or newer is needed" % (sys.executable, *version))
if sys.path[0] == "":
    del sys.path[0]  # what lies in the current folder does not come before what is installed
try:
    import alembic, importlib.util, sqlalchemy
except ImportError as error:
    sys.exit("%s has no %s" % (sys.executable, error.name))
if sqlalchemy.__version__.startswith(("0.", "1.0", "1.1", "1.2", "1.3")):
    version = sqlalchemy.__version__
    sys.exit("%s has SQLAlchemy %s, and 1.4 or newer is needed" % (sys.executable, version))
try:
    import psycopg
except ImportError:
    pass
name = sys.argv[1]
spec = importlib.util.spec_from_file_location(name, sys.argv[2])
sys.modules[name] = importlib.util.module_from_spec(spec)
forkserver = importlib.import_module(f"{name}.schema.forkserver")
worker = importlib.import_module(f"{name}.schema.worker.answers")
for module in [module for module in sys.modules if module.partition(".")[0] == name]:
    del sys.modules[module]
# Models and a history are made to stay: to look for garbage among them, again and again, takes a
# fifth of the time in which a thousand models are imported.
gc.freeze()
gc.set_threshold(20_000, 50, 100)
forkserver.serve(int(sys.argv[3]))
worker.main()
sys.stderr.flush()
importlib.import_module("os")._exit(0)  # whatever threads the foreign code has left behind
"""


class Process(Protocol):
    """What a process is to whoever asks it."""

    def poll(self) -> int | None:
        """Return its exit code, if it has ended."""

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until it has ended, or for so many seconds; return its exit code if it has."""

    def kill(self) -> None:
        """Kill it, if it has not ended."""

    def last_words(self) -> str:
        """Return what was written of it elsewhere than in its log."""


class Begun(NamedTuple):
    """A process, what it reads from, and what it writes to."""

    process: Process
    requests: IO[str]
    answers: IO[str]


def forked(python: str, folder: Path, log: int) -> Begun:
    """Fork a process from an interpreter.

    Raises:
        OSError: there is none.

    """
    server = _forkserver(python)
    (its_input, requests), (answers, its_output) = os.pipe(), os.pipe()
    try:
        process = server.fork(its_input, its_output, log, str(folder))
    finally:
        os.close(its_input)
        os.close(its_output)
    return _begun(process, requests, answers)


def get_ready(python: str) -> None:
    """Start an interpreter that processes are going to be forked from."""
    with suppress(OSError):  # who forks is told
        _forkserver(python)


def _begun(process: Process, requests: int, answers: int) -> Begun:
    return Begun(
        process,
        os.fdopen(requests, "w", encoding="utf-8"),
        os.fdopen(answers, encoding="utf-8"),
    )


@lru_cache(maxsize=1)
def _started(python: str, _environment: frozenset[tuple[str, str]]) -> ForkServer:
    return ForkServer.start([python, "-c", START, PACKAGE.parent.name, str(PACKAGE)])


def _forkserver(python: str) -> ForkServer:
    """Return the one that there is, if it is of this interpreter and this environment."""
    server = _started(python, frozenset(os.environ.items()))
    if server.process.poll() is not None:
        _started.cache_clear()
        server = _started(python, frozenset(os.environ.items()))
    return server


def can_copy(python: str, folder: Path) -> bool:
    """Tell whether a copy of this process would do as well as a new interpreter.

    Not where it has other threads, which a copy lacks while the locks that they hold stay locked;
    nor where it has a socket open, which may lead to a database and would be used by both. Only
    Linux tells both, and elsewhere a system's libraries may not bear it.

    Args:
        python: The interpreter that is wanted.
        folder: Where it is to run.

    """
    if sys.platform != "linux" or python != sys.executable or folder != Path.cwd():
        return False
    return len(os.listdir("/proc/self/task")) == 1 and not any(_sockets())  # noqa: PTH208


def _sockets() -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            name = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except OSError:  # the list's own
            continue
        if name.startswith("socket:") and int(number) > sys.__stderr__.fileno():  # type: ignore[union-attr]
            yield name


#: Our ends of the pipes of all copies. A later copy must not keep them open: a process ends when
#: nobody can ask it any more.
_ends: "weakref.WeakSet[IO[str]]" = weakref.WeakSet()


def copied(log: int) -> Begun:
    """Fork this process."""
    (its_input, requests), (answers, its_output) = os.pipe(), os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or both would write it
    number = os.fork()
    if not number:
        os.close(requests)
        os.close(answers)
        _work(its_input, its_output, log)
    os.close(its_input)
    os.close(its_output)
    begun = _begun(Copy(number), requests, answers)
    _ends.update((begun.requests, begun.answers))
    return begun


class Copy:
    """A copy of this process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, if it has ended."""
        return self.wait(0)

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until it has ended, or for so many seconds; return its exit code if it has."""
        if self._code is None:
            ending = os.pidfd_open(self.number)
            try:
                ended, _, _ = select.select([ending], [], [], seconds)
            finally:
                os.close(ending)
            if ended:
                self._code = os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])
        return self._code

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        if self.poll() is None:
            os.kill(self.number, 9)
            self.wait()

    def last_words(self) -> str:
        """Return nothing: it has a log."""
        return ""


def _work(requests: int, answers: int, log: int) -> NoReturn:
    """Be a worker, and nothing that this process was to do when it ends."""
    code = 1
    try:
        for end in list(_ends):
            end.close()
        for number, standard in ((requests, 0), (answers, 1), (log, 2)):
            os.dup2(number, standard)
        from project.schema.worker import answers as worker  # noqa: PLC0415 - imports this module

        worker.main()
        code = 0
    except BaseException:  # noqa: BLE001 - told to whoever waits, by the log
        traceback.print_exc()
    finally:
        os._exit(code)
