"""Engines by role (serving, migrating) and the ways to read through them.

A role's limits are connection options, set by libpq when the connection opens: a ``SET`` would be
a statement, and one sent before Alembic's ``configure()`` switches its
``transaction_per_migration`` off without a word.
"""

import asyncio
import logging
import re
import select
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

from project import embedded
from project.settings import Settings, describe

ROOT = Path(__file__).resolve().parent.parent

#: Where the embedded PostgreSQL keeps its data; git ignores it.
EMBEDDED_FOLDER = ROOT / ".postgres"

#: Rows that travel together from the database to the client: what one request holds in memory.
#: Fewer would cost a network write for every handful of rows.
PAGE = 500

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


def _options(name: str, **limits: float) -> dict[str, Any]:
    """Connection arguments of a role.

    Args:
        name: What ``pg_stat_activity`` calls the connection.
        limits: PostgreSQL settings in seconds; 0 is PostgreSQL's word for no limit.

    """
    given = " ".join(f"-c {limit}={int(seconds * 1000)}" for limit, seconds in limits.items())
    return {"application_name": name, "options": given, "connect_timeout": 10}


class BusyError(Exception):
    """Every connection was in use for longer than a request may wait."""


class Statement(NamedTuple):
    """A statement as the driver takes it: compiled once, when a module is imported."""

    text: bytes
    parameters: dict[str, Any]


def compiled(statement: sa.SelectBase) -> Statement:
    """Compile a statement for psycopg."""
    result = statement.compile(dialect=sa.make_url("postgresql://").get_dialect()())
    return Statement(str(result).encode(), dict(result.params))


class Connections:
    """The connections that serve requests; none is opened before it is needed.

    Handlers talk to psycopg, not through SQLAlchemy: what they read is rendered by PostgreSQL, and
    a result layer that only hands it on would take a good part of the time of a request. Every
    statement is a transaction of its own (autocommit), which saves the round trips of BEGIN and
    COMMIT around the one statement that a read is.
    """

    def __init__(self, url: sa.URL, settings: Settings) -> None:
        self.engine = create_async_engine(
            url,
            isolation_level="AUTOCOMMIT",
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_reset_on_return=None,  # lend() looks at the connection itself
            connect_args=_options("project", statement_timeout=settings.statement_seconds),
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        # SQLAlchemy's pool wakes a waiter and then lets a newcomer take its connection: under load
        # some requests wait for seconds while the median takes milliseconds. This queue is fair.
        self._turns = asyncio.Semaphore(settings.pool_size)
        self._patience = settings.pool_seconds

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection.

        Raises:
            BusyError: none became free in time.
            sqlalchemy.exc.OperationalError: the database cannot be reached or refuses the user.

        """
        await self._turn()
        try:
            lent = await self.engine.raw_connection()
            connection = cast("psycopg.AsyncConnection", lent.driver_connection)
            try:
                yield connection
            finally:
                if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                    lent.close()
                else:  # dead, or in the middle of something: not for the next request
                    await greenlet_spawn(lent.invalidate)
        finally:
            self._turns.release()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(self._patience if self._turns.locked() else None):
                await self._turns.acquire()
        except TimeoutError:
            raise BusyError from None

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
        """Close the connections that are not lent."""
        await self.engine.dispose()


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401
    """Let the pool replace a connection that the server closed while it was idle.

    An idle connection has nothing to say; if its socket is readable, the server said goodbye. That
    costs one system call, where SQLAlchemy's ``pool_pre_ping`` costs a round trip.
    """
    raw = connection.driver_connection
    if raw.closed:
        raise DisconnectionError
    socket = select.poll()
    socket.register(raw.fileno(), select.POLLIN)
    if socket.poll(0):
        raise DisconnectionError


@contextmanager
def migrating(settings: Settings, *, exclusive: bool) -> Iterator[sa.Connection]:
    """Connect as the migrator.

    Args:
        settings: Which database, and how long statements may wait for locks and run.
        exclusive: Whether this command changes the database; two such take turns.

    Raises:
        DatabaseError: the database cannot be reached or refuses the user.

    """
    with available(settings) as url:
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            connect_args=_options(
                "project migration",
                lock_timeout=settings.migration_lock_seconds,
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
