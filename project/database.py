"""Engines by role (serving, migrating) and the ways to read through them.

A role's limits are connection options, set by libpq when the connection opens: a ``SET`` would be
a statement, and one sent before Alembic's ``configure()`` switches its
``transaction_per_migration`` off without a word.
"""

import logging
import select
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from project import embedded
from project.settings import Settings, describe

ROOT = Path(__file__).resolve().parent.parent

#: Where the embedded PostgreSQL keeps its data; git ignores it.
EMBEDDED_FOLDER = ROOT / ".postgres"

#: Rows that travel together from the database to the client. A page of it is what one request
#: holds in memory; fewer would cost a network write for every handful of rows.
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


def serving(url: sa.URL, settings: Settings) -> AsyncEngine:
    """Return the engine that handlers use; it connects when first used.

    Every statement is a transaction of its own (autocommit) unless a handler opens one: a read is
    one statement, and BEGIN and ROLLBACK around it would cost two more round trips.
    """
    engine = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_seconds,
        connect_args=_options("project", statement_timeout=settings.statement_seconds),
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401
    """Let the pool replace a connection that the server closed while it was idle.

    An idle connection has nothing to say; if its socket is readable, the server said goodbye. That
    costs one system call, where SQLAlchemy's ``pool_pre_ping`` costs a round trip.
    """
    raw = connection.driver_connection
    if raw.closed or select.select([raw.fileno()], [], [], 0)[0]:
        raise DisconnectionError


@asynccontextmanager
async def driver(engine: AsyncEngine) -> AsyncIterator[psycopg.AsyncConnection]:
    """Lend psycopg's own connection out of the engine's pool.

    What a handler reads is rendered by PostgreSQL, so SQLAlchemy's result layer would only hand it
    on, for a third of the time of a request.
    """
    async with engine.connect() as connection:
        raw = cast(
            "psycopg.AsyncConnection", (await connection.get_raw_connection()).driver_connection
        )
        try:
            yield raw
        finally:
            if raw.closed:
                await connection.invalidate()


class Statement(NamedTuple):
    """A statement as the driver takes it: compiled once, when a module is imported."""

    text: str
    parameters: dict[str, Any]


def compiled(statement: sa.Select[Any]) -> Statement:
    """Compile a statement for psycopg."""
    result = statement.compile(dialect=sa.make_url("postgresql://").get_dialect()())
    return Statement(str(result), dict(result.params))


async def pages(engine: AsyncEngine, statement: Statement) -> AsyncGenerator[list[str]]:
    """Yield the first column of a statement's rows as text, :data:`PAGE` rows at a time.

    Rows are taken from the server only as fast as pages are taken from here. Close the generator
    (``contextlib.aclosing``) to cancel the statement and free its connection.
    """
    async with driver(engine) as connection, connection.cursor() as cursor:
        rows = cursor.stream(statement.text.encode(), statement.parameters, size=PAGE)
        async with aclosing(cast("AsyncGenerator[tuple[str]]", rows)):
            page: list[str] = []
            async for row in rows:
                page.append(row[0])
                if len(page) == PAGE:
                    yield page
                    page = []
            if page:
                yield page


async def stamped(engine: AsyncEngine) -> frozenset[str]:
    """Return the revisions that the database stands at; empty when it was never migrated."""
    async with driver(engine) as connection:
        try:
            cursor = await connection.execute("SELECT version_num FROM alembic_version")
            return frozenset([row[0] async for row in cursor])
        except psycopg.errors.UndefinedTable:
            return frozenset()


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
    """Say in one sentence why a connection could not be opened."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    reason = lines[-1].removeprefix("connection failed: ").rstrip(".") if lines else "no reason"
    return DatabaseError(f"Cannot use the database {describe(url)}: {reason}.")
