"""The end of the audit, followed through one connection for all streams of the process.

Numbers of the audit are given out when a change is written and can be read when it is committed,
so a lower one may become readable after a higher one, or never. Until which number all is there
is found out here (decision 17); what the entries say, each stream reads for itself.
"""

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, cast

import psycopg

from project.connection import Rows, rows_of
from project.pool import BusyError, Connections

#: What is said on this channel is only that there is something new; ids say what.
CHANNEL = "audit_entry"

LISTEN = f"LISTEN {CHANNEL}".encode()
NOTIFY = f"NOTIFY {CHANNEL}".encode()

#: Seconds that changes wait for others to be told together with.
TOGETHER_SECONDS = 0.01

#: Seconds after which one looks unasked: for entries that others wrote who do not notify.
LOOK_SECONDS = 15.0

#: Seconds between looks at those who may yet commit a lower number.
GAP_SECONDS = 0.05

#: Seconds of such looks that are worth a line in the log.
PATIENCE_SECONDS = 10.0

#: Seconds before a lost connection is opened again.
RETRY_SECONDS = 0.5

#: Seconds after which a server that does not answer is given up.
ANSWER_SECONDS = 30.0

LAST = b"SELECT coalesce(max(id), 0)::text FROM audit_entry"

NEWER = b"""
    SELECT table_name, max(id)::text, count(*)::text FROM audit_entry
    WHERE id > %s AND id <= %s GROUP BY table_name
"""

# Whoever inserts holds this lock from before it draws a number until after its commit is visible.
WRITERS = b"""
    SELECT virtualtransaction, pid::text FROM pg_catalog.pg_locks
    WHERE locktype = 'relation' AND relation = 'audit_entry'::regclass
        AND mode = 'RowExclusiveLock' AND granted
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Follower:
    """Knows how far the audit is complete, and wakes those who wait for more.

    It follows while there are streams, and is no work for anybody while there are none.

    Attributes:
        complete: The number up to which every entry that there will ever be can be read; None
            until that is known.
        over: Whether streams have to end, because the service does.
        streams: How many there are.

    """

    def __init__(self, connections: Connections, draining: asyncio.Event) -> None:
        self.complete: int | None = None
        self.over = False
        self._connections = connections
        self._draining = draining
        self.streams = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = asyncio.Event()
        self._failure: Exception | None = None
        self._first = 0
        self._newest: dict[str, int] = {}
        self._asked: dict[Hashable, asyncio.Task[Any]] = {}
        self._untold = False
        self._telling: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow for as long as the block lasts.

        Raises:
            psycopg.Error: the database cannot be followed now.

        """
        if not self.streams:
            self.complete, self._failure, self._newest = None, None, {}
            self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._end())]
        self.streams += 1
        try:
            while self.complete is None:
                if self._failure is not None:
                    raise psycopg.OperationalError from self._failure
                await self._turn.wait()
            yield
        finally:
            self.streams -= 1
            if not self.streams:
                for task in self._tasks:
                    task.cancel()

    def tell(self) -> None:
        """Let all processes know that something was written; many changes are told at once.

        Not in the transaction that writes, where a notification would make all commits of the
        server wait for each other. If it gets lost, others look after a while.
        """
        self._untold = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._untold:
            await asyncio.sleep(TOGETHER_SECONDS)
            self._untold = False
            with suppress(psycopg.Error, BusyError):
                await self._connections.run(NOTIFY)

    def newest(self, table: str) -> int:
        """Return the number up to which there may be entries of a table."""
        return self._newest.get(table, self._first)

    async def beyond(self, position: int, seconds: float) -> bool:
        """Wait until more is complete than up to there; return whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.over and (self.complete or 0) <= position:
                    await self._turn.wait()
        return (self.complete or 0) > position

    async def shared(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask once what several streams want to know at the same time."""
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(ask())
            self._asked[key].add_done_callback(functools.partial(self._answered, key))
        return cast("T", await asyncio.shield(self._asked[key]))

    def _answered(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._asked[key]
        # Whoever waited for it may be gone by the time that it fails.
        if not task.cancelled():
            task.exception()

    def _announce(self) -> None:
        self._turn.set()
        self._turn = asyncio.Event()

    async def _end(self) -> None:
        await self._draining.wait()
        self.over = True
        self._announce()

    async def _follow(self) -> None:
        while True:
            try:
                async with self._connections.beside() as connection:
                    await connection.execute(LISTEN)
                    while True:
                        await self._look(connection)
                        async for _ in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                            pass
            except (psycopg.Error, TimeoutError) as error:
                said = " ".join(str(error).split()) or "the database does not answer"
                log.warning("Cannot follow the audit: %s", said)
                self._failure = error
                self._announce()
            await asyncio.sleep(RETRY_SECONDS)

    async def _look(self, connection: psycopg.AsyncConnection) -> None:
        """Find out until where the audit is complete by now."""
        [[found]] = await _ask(connection, LAST)
        last = int(found or 0)
        newer: Rows = []
        if last == self.complete:
            return
        if self.complete is None:
            await self._settled(connection)
            self._first = last
        else:
            newer = await _ask(connection, NEWER, [self.complete, last])
            if sum(int(count or 0) for _, _, count in newer) != last - self.complete:
                await self._settled(connection)
                newer = await _ask(connection, NEWER, [self.complete, last])
        for table, highest, _ in newer:
            self._newest[(table or b"").decode()] = int(highest or 0)
        self.complete, self._failure = last, None
        self._announce()

    async def _settled(self, connection: psycopg.AsyncConnection) -> None:
        """Wait until all who write to the audit now have committed or given up."""
        writing = set(await _ask(connection, WRITERS))
        late = time.monotonic() + PATIENCE_SECONDS
        while writing:
            if time.monotonic() > late:
                late = float("inf")
                numbers = b", ".join([number or b"" for _, number in writing]).decode()
                log.warning("Live changes wait for process %s to commit to the audit.", numbers)
            await asyncio.sleep(GAP_SECONDS)
            writing &= set(await _ask(connection, WRITERS))


async def _ask(
    connection: psycopg.AsyncConnection, text: bytes, values: Sequence[object] = ()
) -> Rows:
    async with asyncio.timeout(ANSWER_SECONDS):
        return rows_of(cast("psycopg.AsyncCursor[object]", await connection.execute(text, values)))
