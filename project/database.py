"""Which database, and how to connect to it as the migrator; :mod:`project.pool` has the service's.

A role's limits are connection options, set by libpq when the connection opens: a ``SET`` would be
a statement, and one sent before Alembic's ``configure()`` switches its
``transaction_per_migration`` off without a word.
"""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from project import embedded
from project.settings import Settings, describe

ROOT = Path(__file__).resolve().parent.parent

#: Where the embedded PostgreSQL keeps its data; git ignores it.
EMBEDDED_FOLDER = ROOT / ".postgres"

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


def options(url: sa.URL, name: str, **limits: float) -> dict[str, Any]:
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
            connect_args=options(
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
