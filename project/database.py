"""Connections by role: serving (psycopg's own, asynchronous) and migrating (SQLAlchemy's).

A role's limits are connection options, set by libpq when the connection opens: a ``SET`` would be
a statement, and one sent before Alembic's ``configure()`` switches its
``transaction_per_migration`` off without a word.
"""

import asyncio
import logging
import re
import select
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import OperationalError

from project import embedded
from project.settings import Settings, describe

ROOT = Path(__file__).resolve().parent.parent

#: Where the embedded PostgreSQL keeps its data; git ignores it.
EMBEDDED_FOLDER = ROOT / ".postgres"

#: Rows that travel together from the database to the client: what one request holds in memory.
#: Fewer would cost a network write for every handful of rows.
PAGE = 500

#: Bytes of an export that are gathered before they are sent on.
PIECE = 64 * 1024

#: The advisory lock that one migrator holds: any number that no other program on the database uses.
MIGRATION_LOCK = 0x70726F6A656374  # "project" in ASCII

log = logging.getLogger(__name__)


class DatabaseError(Exception):
    """The database cannot be used; the message says which and why in one sentence."""


@contextmanager
def available(settings: Settings) -> Iterator[sa.URL]:
    """Yield the URL of the database that the settings name, or of the embedded one.

    Raises:
        DatabaseError: the embedded server does not start.

    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    try:
        with embedded.running(EMBEDDED_FOLDER) as url:
            yield url
    except embedded.EmbeddedError as error:
        raise DatabaseError(str(error)) from error


def _options(url: sa.URL, name: str, **limits: float) -> dict[str, Any]:
    """Connection arguments of a role; what the URL asks for itself is kept.

    Args:
        url: The database; its query may hold ``options`` and ``connect_timeout``.
        name: What ``pg_stat_activity`` calls the connection.
        limits: PostgreSQL settings in seconds; 0 is PostgreSQL's word for no limit.

    """
    ours = (f"-c {limit}={int(seconds * 1000)}" for limit, seconds in limits.items())
    theirs = url.query.get("options", "")
    given = (theirs,) if isinstance(theirs, str) else theirs
    return {
        "application_name": name,
        "options": " ".join((*ours, *given)),
        "connect_timeout": url.query.get("connect_timeout", "10"),
    }


def _dialect() -> sa.Dialect:
    return sa.make_url("postgresql://").get_dialect()()


#: Rows of a result, as PostgreSQL wrote them; None is null.
Rows = list[tuple[bytes | None, ...]]


def rows_of(cursor: psycopg.AsyncCursor[Any]) -> Rows:
    """Return the rows of a result that has come, without making Python objects of the values.

    What is passed on to a client need not be decoded to be encoded again.
    """
    result = cursor.pgresult
    if result is None:
        return []
    columns = range(result.nfields)
    return [
        tuple([result.get_value(row, column) for column in columns])
        for row in range(result.ntuples)
    ]


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
        limits = _options(url, "project", statement_timeout=settings.statement_seconds)
        # What is passed on as it comes must look alike on every server.
        limits["options"] = f"-c timezone=UTC -c intervalstyle=iso_8601 {limits['options']}"
        self._arguments = {
            **arguments,
            **limits,
            "autocommit": True,
            "client_encoding": "UTF8",
        }
        self._size = settings.pool_size
        self._turns = asyncio.Semaphore(settings.pool_size)
        self._patience = settings.pool_seconds
        self._idle: list[psycopg.AsyncConnection] = []
        self._lent = self._waiting = self._timed_out = 0
        self._closed = False

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection; requests that have to wait for one are served in their order.

        Raises:
            BusyError: none became free in time.
            psycopg.OperationalError: the database cannot be reached or refuses the user. That is
                said at once: nobody waits for a database that is gone.

        """
        await self._turn()
        self._lent += 1
        try:
            connection = self._kept() or await psycopg.AsyncConnection.connect(**self._arguments)
            try:
                yield connection
            finally:
                # Dead, or in the middle of something: not for the next request.
                if connection.pgconn.transaction_status != TransactionStatus.IDLE or self._closed:
                    await connection.close()
                else:
                    self._idle.append(connection)
        finally:
            self._lent -= 1
            self._turns.release()

    def usage(self) -> Usage:
        """Say how much is in use at this moment."""
        opened = self._lent + len(self._idle)
        return Usage(self._size, opened, self._lent, self._waiting, self._timed_out)

    def _kept(self) -> psycopg.AsyncConnection | None:
        """Take the connection that was used last, if there is one that the server kept open, too.

        An idle connection has nothing to say; if its socket is readable, the server said goodbye.
        To look costs one system call, to ask with a statement would cost a round trip.
        """
        while self._idle:
            connection = self._idle.pop()
            socket = select.poll()
            socket.register(connection.fileno(), select.POLLIN)
            if not socket.poll(0):
                return connection
            connection.pgconn.finish()
        return None

    async def _turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._turns.acquire()
        except TimeoutError:
            self._timed_out += 1
            raise BusyError from None
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Open a connection of one's own, beside those that requests share."""
        connection = await psycopg.AsyncConnection.connect(**self._arguments)
        try:
            yield connection
        finally:
            await connection.close()

    async def run(self, text: bytes, values: Sequence[object] = ()) -> Rows:
        """Run one statement, and return its rows as the bytes that PostgreSQL wrote."""
        async with self.lend() as connection:
            return rows_of(await connection.execute(text, values))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection for several statements that are carried out together or not at all."""
        async with self.lend() as connection, connection.transaction():
            yield connection

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
        async with self.lend() as connection, connection.cursor() as cursor:
            rows = cursor.stream(statement.text, statement.parameters, size=PAGE)
            async with aclosing(cast("AsyncGenerator[tuple[str]]", rows)):
                async for row in rows:
                    yield row[0]

    async def stamped(self) -> frozenset[str]:
        """Return the revisions that the database stands at; empty when it was never migrated."""
        async with self.lend() as connection:
            try:
                cursor = await connection.execute("SELECT version_num FROM alembic_version")
                return frozenset([row[0] async for row in cursor])
            except psycopg.errors.UndefinedTable:
                return frozenset()

    async def close(self) -> None:
        """Close the connections that are not lent now, and the others when they come back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()


@contextmanager
def migrating(settings: Settings, *, exclusive: bool) -> Iterator[sa.Connection]:
    """Connect as the migrator.

    Args:
        settings: Which database, and how long statements may run.
        exclusive: Whether this command changes the database; two such take turns.

    Raises:
        DatabaseError: the database cannot be reached or refuses the user.

    """
    with available(settings) as url:
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            connect_args=_options(
                url,
                "project migration",
                statement_timeout=settings.migration_statement_seconds,
            ),
        )
        try:
            connection = engine.connect()
        except OperationalError as error:
            raise unusable(url, error.orig) from error
        with connection:
            if exclusive:
                _take_turn(connection)
            yield connection


def _take_turn(connection: sa.Connection) -> None:
    """Hold the migrators' lock until the connection closes.

    The lock is asked for again and again instead of waited for: a waiting statement keeps a
    snapshot open, and ``CREATE INDEX CONCURRENTLY`` in the migration that runs would wait for that
    snapshot to end: a deadlock. Each try is committed, so none keeps one.
    """
    said = False
    while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(MIGRATION_LOCK))):
        if not said:
            log.warning("Another migration is running (%s); waiting for it.", _holder(connection))
            said = True
        connection.commit()
        time.sleep(0.2)
    connection.commit()


def _holder(connection: sa.Connection) -> str:
    row = connection.execute(
        sa.text(
            "SELECT pid, application_name, coalesce(host(client_addr), 'local')"
            " FROM pg_catalog.pg_locks JOIN pg_catalog.pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND (classid::bigint << 32 | objid::bigint) = :lock"
        ),
        {"lock": MIGRATION_LOCK},
    ).first()
    return f"process {row[0]}, {row[1]}, from {row[2]}" if row else "it just ended"


def unusable(url: sa.URL, error: BaseException | None) -> DatabaseError:
    """Say in one sentence why a connection could not be opened.

    libpq writes a paragraph ("connection to server at … failed: FATAL:  …", then a hint or a list
    of attempts); its first line ends in the reason.
    """
    line = (str(error).strip().splitlines() or ["it does not say why"])[0]
    reason = re.split(r"failed: (?:FATAL: +)?", line)[-1].rstrip(".")
    return DatabaseError(f"Cannot use the database {describe(url)}: {reason}.")
