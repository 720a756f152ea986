"""The connections that serve requests."""

import asyncio
import select
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple, cast

import psycopg
import sqlalchemy as sa

from project import database
from project.connection import Connection, Rows
from project.settings import Settings

#: Rows that travel together from the database to the client: what one request holds in memory.
#: Fewer would cost a network write for every handful of rows.
PAGE = 500

#: Bytes of an export that are gathered before they are sent on.
PIECE = 64 * 1024


def _dialect() -> sa.Dialect:
    return sa.make_url("postgresql://").get_dialect()()


class BusyError(Exception):
    """Every connection was in use for longer than a request may wait."""


class Statement(NamedTuple):
    """A statement as the driver takes it: compiled once, when a module is imported."""

    text: bytes
    parameters: dict[str, Any]


def compiled(statement: sa.SelectBase) -> Statement:
    """Compile a statement for psycopg."""
    result = statement.compile(dialect=_dialect())
    return Statement(str(result).encode(), dict(result.params))


class Turn(NamedTuple):
    """A request that waits for a connection."""

    until: float  # by the loop's clock
    come: asyncio.Future[None]


class Usage(NamedTuple):
    """How much of its connections a process uses."""

    size: int  # connections at most
    opened: int  # those that are open, in use or idle
    lent: int  # in use, or being opened for a request
    waiting: int  # requests that wait for one
    timed_out: int  # requests that waited in vain, since the start


class Connections:
    """The connections that serve requests: at most so many, each opened when first needed.

    Handlers talk to psycopg, not through SQLAlchemy: what they read is rendered by PostgreSQL, and
    a result layer that only hands it on would take a good part of the time of a request. Every
    statement is a transaction of its own (autocommit), which saves the round trips of BEGIN and
    COMMIT around the one statement that a read is.
    """

    def __init__(self, url: sa.URL, settings: Settings) -> None:
        _, arguments = _dialect().create_connect_args(url)
        limits = database.options(url, "project", statement_timeout=settings.statement_seconds)
        # What is passed on as it comes must look alike on every server.
        limits["options"] = f"-c timezone=UTC -c intervalstyle=iso_8601 {limits['options']}"
        self._arguments = {
            **arguments,
            **limits,
            "autocommit": True,
            "client_encoding": "UTF8",
            # A rollback makes psycopg drop whatever is prepared, and ours with it.
            "prepare_threshold": None,
        }
        self._size = settings.pool_size
        self._free = settings.pool_size
        self._queue: deque[Turn] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._patience = settings.pool_seconds
        self._idle: list[Connection] = []
        self._lent = self._timed_out = 0
        self._closed = False

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """Lend a connection; requests that have to wait for one are served in their order.

        Raises:
            BusyError: none became free in time.
            psycopg.OperationalError: the database cannot be reached or refuses the user. That is
                said at once: nobody waits for a database that is gone.

        """
        connection = await self._take()
        try:
            yield connection
        finally:
            await self._give_back(connection)

    async def run(self, text: bytes, values: Sequence[object] = ()) -> Rows:
        """Run one statement, and return its rows as the bytes that PostgreSQL wrote."""
        # Not by `lend`: a context manager costs as much as putting the statement on its way.
        connection = await self._take()
        try:
            return await connection.run(text, values)
        finally:
            await self._give_back(connection)

    async def _take(self) -> Connection:
        await self._turn()
        self._lent += 1
        try:
            return self._kept() or Connection(await self._open())
        except BaseException:
            self._lent -= 1
            self._pass_on()
            raise

    async def _give_back(self, connection: Connection) -> None:
        try:
            # Dead, or in the middle of something: not for the next request.
            if connection.idle and not self._closed:
                self._idle.append(connection)
            else:
                await connection.close()
        finally:
            self._lent -= 1
            self._pass_on()

    def usage(self) -> Usage:
        """Say how much is in use at this moment."""
        opened = self._lent + len(self._idle)
        waiting = sum(not turn.come.done() for turn in self._queue)
        return Usage(self._size, opened, self._lent, waiting, self._timed_out)

    async def _open(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(**self._arguments)

    def _kept(self) -> Connection | None:
        """Take the connection that was used last, if there is one that the server kept open, too.

        An idle connection has nothing to say; if its socket is readable, the server said goodbye.
        To look costs one system call, to ask with a statement would cost a round trip.
        """
        while self._idle:
            connection = self._idle.pop()
            poll = select.poll()
            poll.register(connection.socket, select.POLLIN)
            if not poll.poll(0):
                return connection
            connection.finish()
        return None

    async def _turn(self) -> None:
        """Wait for a connection, behind those who came before."""
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        come: asyncio.Future[None] = loop.create_future()
        self._queue.append(Turn(loop.time() + self._patience, come))
        if self._timer is None:
            self._timer = loop.call_later(self._patience, self._give_up)
        try:
            await come
        except asyncio.CancelledError:
            if come.done() and not come.cancelled() and come.exception() is None:
                self._pass_on()  # it came, and nobody is there to take it
            raise

    def _give_up(self) -> None:
        """Turn away those who have waited for too long.

        All wait equally long, so they are the first; one timer for all of them is enough.
        """
        loop = asyncio.get_running_loop()
        while self._queue and (self._queue[0].until <= loop.time() or self._queue[0].come.done()):
            come = self._queue.popleft().come
            if not come.done():
                self._timed_out += 1
                come.set_exception(BusyError())
        first = self._queue[0].until if self._queue else None
        self._timer = None if first is None else loop.call_at(first, self._give_up)

    def _pass_on(self) -> None:
        while self._queue:
            come = self._queue.popleft().come
            if not come.done():
                come.set_result(None)
                return
        self._free += 1

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Open a connection of one's own, beside those that requests share."""
        connection = await self._open()
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection for several statements that are carried out together or not at all."""
        async with self.lend() as connection:
            driver = connection.driver
            async with driver.transaction():
                yield driver

    async def copy(self, text: bytes, values: Sequence[object] = ()) -> AsyncGenerator[bytes]:
        """Yield what a ``COPY … TO STDOUT`` writes, in pieces, as fast as they are taken.

        It may take longer than other statements: as long as its client takes the pieces, each of
        which has its own limit. Close the generator (``contextlib.aclosing``) to cancel it and
        free its connection.
        """
        async with self.transaction() as connection, connection.cursor() as cursor:
            await cursor.execute("SET LOCAL statement_timeout = 0")
            async with cursor.copy(text, values) as copy:
                piece = bytearray()
                while row := await copy.read():
                    piece += row
                    if len(piece) >= PIECE:
                        yield bytes(piece)
                        piece.clear()
            if piece:
                yield bytes(piece)

    async def stream(self, statement: Statement) -> AsyncGenerator[str]:
        """Yield the first column of a statement's rows, as fast as they are taken.

        Close the generator (``contextlib.aclosing``) to cancel the statement and free its
        connection.
        """
        async with self.lend() as connection, connection.driver.cursor() as cursor:
            rows = cursor.stream(statement.text, statement.parameters, size=PAGE)
            async with aclosing(cast("AsyncGenerator[tuple[str]]", rows)):
                async for row in rows:
                    yield row[0]

    async def stamped(self) -> frozenset[str]:
        """Return the revisions that the database stands at; empty when it was never migrated."""
        try:
            rows = await self.run(b"SELECT version_num FROM alembic_version")
        except psycopg.errors.UndefinedTable:
            return frozenset()
        return frozenset([(version or b"").decode() for (version,) in rows])

    async def close(self) -> None:
        """Close the connections that are not lent now, and the others when they come back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()
