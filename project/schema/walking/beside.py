"""A long history, walked by two beside each other: each proves a part of it.

The second one goes through the first part as well, step by step as the first one does, but without
looking at catalogs and rows. So it comes to the second part with the same rows, and finds there
what one alone would have found. Where something is amiss in the first part after which a walk goes
on otherwise, the second one is called off.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from project.schema.source import Revision
from project.schema.walking.proving import repeat
from project.schema.walking.stretch import Stretch, Tell, walked
from project.schema.walking.walk import Walk, opened

#: For fewer revisions a second process costs more than it saves.
LONG = 40

#: The first one's part. To go through a revision takes about half as long as to prove it.
PART = 0.65

#: What belongs to all databases of a server, where two walks would get into each other's way: in a
#: migration, and in what the server says to whoever meets another there.
SHARED = re.compile(
    r"\b(?:create|alter|drop|rename|reassign|owned\s+by)\s+"
    r"(?:role|user|group|tablespace|database|subscription|system)\b(?!\s+(?:table|id|column)\b)",
    re.IGNORECASE,
)
DISTURBED = re.compile(r"\brole \"|\btablespace \"|pg_authid|pg_tablespace|concurrently|deadlock")


@dataclass
class Second:
    """The second walk, on its way."""

    walk: Walk
    called_off: Event
    working: "Future[Stretch | None]"

    def rest(self, first: Walk) -> Stretch | None:
        """Wait for what it found, if that is what the first one would have found."""
        if first.begun > 1:
            self.called_off.set()
        found = self.working.result()
        return None if first.begun > 1 else found

    def disturbed(self, first: Walk) -> bool:
        """Tell whether the two may have got into each other's way."""
        return any(
            DISTURBED.search(str(refusal)) for refusal in (*first.refusals, *self.walk.refusals)
        )


def part(way: Sequence[Revision], chosen: Collection[str], walks: int | None) -> int:
    """Return how many revisions are the first one's: all of them where a second does not pay.

    Args:
        way: The revisions to go through.
        chosen: Those to prove.
        walks: How many may go beside each other, if that is not left to be decided here.

    """
    places = [place for place, revision in enumerate(way) if revision.revision in chosen]
    if walks is None:
        pays = len(places) >= LONG and _cores() > 1
        walks = 2 if pays and not any(map(_is_shared, way)) else 1
    return places[int(len(places) * PART)] if walks > 1 and places else len(way)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_shared(revision: Revision) -> bool:
    return SHARED.search(revision.path.read_text(errors="replace")) is not None


@contextmanager
def second(
    first: Walk, way: Sequence[Revision], begins: int, chosen: Collection[str], *, tell: Tell
) -> Iterator[Second | None]:
    """Send a second walk ahead; what it still does at the end of the block is not waited for.

    Args:
        first: Which has begun.
        way: The revisions, each after those that it builds on.
        begins: From where on the second one proves; with nothing left there is none.
        chosen: The revisions to prove.
        tell: Told before each revision that the second one proves.

    """
    if begins == len(way):
        yield None
        return
    called_off = Event()

    def work() -> Stretch | None:
        try:
            walk.begin_after(0)
            for place, revision in enumerate(way[:begins]):
                if called_off.is_set():
                    return None
                if revision.revision in chosen:
                    repeat(walk, revision, place)
                else:
                    walk.upgrade(revision)
            places = range(begins, len(way))
            return walked(walk, way, places, chosen, tell=tell, called_off=called_off)
        except Exception:  # noqa: BLE001 - the first one will find out, and say it
            return None

    with (
        opened(
            first.project, first.server, first.seed, first.rows_per_table, first.leave_out
        ) as walk,
        ThreadPoolExecutor(1) as pool,
    ):
        working = pool.submit(work)
        try:
            yield Second(walk, called_off, working)
        except BaseException as error:
            if not isinstance(error, Exception):  # who is interrupted does not wait for its end
                walk.source.kill()
            raise
        finally:
            called_off.set()
