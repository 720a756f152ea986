"""Several processes that do the same: forked, watched, replaced when they end, stopped together.

The parent does nothing but wait for signals, so that nothing can go wrong in it. It alone decides
when its children stop: a terminal and a service manager send their signals to all processes of a
group at once, and a child that took each would see two where one was meant. A pipe says it, and
its end says that the parent is gone.
"""

import contextlib
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from socket import socket

#: What the parent waits for.
AWAITED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

#: Times in a minute that a process may end and be replaced: at once the first time, then after a
#: tenth of a second, and twice as long each time.
ENDS = 5
MINUTE = 60.0
DELAY_SECONDS = 0.1

#: The exit code when processes ended again and again.
GAVE_UP = 3

log = logging.getLogger(__name__)

#: What a process does, given its number and a pipe; it returns its exit code. One byte in the
#: pipe, or its end, says that it should stop: the number of a signal, or none.
Work = Callable[[int, int], int]


@dataclass
class Place:
    """A number that some process has, one after the other."""

    number: int
    process: int = 0  # 0 is none
    pipe: int = -1
    ended: list[float] = field(default_factory=list)  # when, in the last minute


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Keep what the parent waits for until it is asked for, and for children until they listen."""
    # What is ignored need not be kept (POSIX leaves it open), so there is a handler.
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGCHLD, before)


def run(
    number: int,
    work: Work,
    kept: Iterable[socket] = (),
    begun: Callable[[], None] = lambda: None,
) -> int:
    """Have `number` processes do the same until SIGTERM or SIGINT; a second one kills them.

    Call it where :func:`signals_held`, and without threads.

    Args:
        number: How many.
        work: What they do.
        kept: What the parent keeps for processes to come; closed when there will be none.
        begun: Called once all are there.

    Returns:
        The greatest exit code of the processes that were told to stop; 1 if they had to be killed,
        3 if one ended again and again.

    """
    places = [Place(each) for each in range(number)]
    for place in places:
        _fork(place, places, work)
    begun()
    while True:
        received = signal.sigwait(AWAITED)
        if received != signal.SIGCHLD:
            return _stop(places, received, kept)
        for place, status in _ended(places):
            if not _replace(place, status, places, work):
                _stop(places, signal.SIGTERM, kept)
                return GAVE_UP


def _fork(place: Place, places: list[Place], work: Work, delay: float = 0) -> None:
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    place.process = os.fork()
    if place.process:
        os.close(reading)
        place.pipe = writing
        return
    # Never back into the parent's code: what it began is its own to end.
    code = 1
    try:
        os.close(writing)
        for other in places:
            if other.pipe >= 0:
                os.close(other.pipe)
        told, _, _ = select.select([reading], [], [], delay)
        code = 0 if told else work(place.number, reading)
    except Exception:
        log.exception("Process %d failed", os.getpid())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(places: list[Place]) -> list[tuple[Place, int]]:
    """Return the places whose processes have ended, and how: the exit code, or minus the signal."""
    found = []
    for place in places:
        if place.process:
            process, status = os.waitpid(place.process, os.WNOHANG)
            if process:
                place.process = 0
                os.close(place.pipe)
                place.pipe = -1
                found.append((place, os.waitstatus_to_exitcode(status)))
    return found


def _replace(place: Place, status: int, places: list[Place], work: Work) -> bool:
    """Start another process, unless that was done too often; say whether."""
    now = time.monotonic()
    place.ended = [*(at for at in place.ended if at > now - MINUTE), now]
    times = len(place.ended)
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended ({status})"
    if times > ENDS:
        log.error("Process %d %s, %d times in a minute; giving up.", place.number, how, times)
        return False
    log.warning("Process %d %s; another takes its place.", place.number, how)
    _fork(place, places, work, DELAY_SECONDS * 2 ** (times - 2) if times > 1 else 0)
    return True


def _stop(places: list[Place], word: int, kept: Iterable[socket]) -> int:
    """Tell all to stop, and wait for them; kill them at another signal."""
    for each in kept:
        each.close()
    for place in places:
        if place.process:
            with contextlib.suppress(BrokenPipeError):
                os.write(place.pipe, bytes([word]))
    worst = 0
    while any(place.process for place in places):
        if signal.sigwait(AWAITED) == signal.SIGCHLD:
            codes = [status for _, status in _ended(places)]
            worst = max([worst, *(code if code >= 0 else 1 for code in codes)])
        else:
            worst = 1
            for place in places:
                if place.process:
                    os.kill(place.process, signal.SIGKILL)
    return worst
