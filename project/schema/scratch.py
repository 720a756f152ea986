"""Databases to throw away: made for one purpose, dropped when it is done."""

import itertools
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import platformdirs
import psycopg
import sqlalchemy as sa
from psycopg import sql

from project import embedded
from project.schema.connections import parsed

#: Nothing here must survive a crash, so the server need not wait for the disk.
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "100",
    # A history is mostly one transaction, which holds a lock on every table it makes.
    "max_locks_per_transaction": "1024",
}

#: Where Linux keeps files in memory, and bytes that must be free there; containers often have some
#: MiB only. To make and drop tables takes half as long as on a disk's file system.
MEMORY = Path("/dev/shm")  # noqa: S108  # of what is in it only this user's own is taken
ROOM = 4 * 2**30

#: The databases made here; no other is ever dropped. The digits tell when, in UTC.
NAME = re.compile(r"scratch_(\d{14})_\d+_\d+")
WHEN = "%Y%m%d%H%M%S"

#: What was not dropped by then was left behind by a process that was killed.
LIFETIME = timedelta(days=1)

#: What the server says to whom it leaves: it was stopped, another process of it crashed, it is not
#: up again; and what a client is left with.
ENDED = {"57P01", "57P02", "57P03", "08006"}

#: What a client hears of a server that has crashed and comes up again; how often it is asked anew,
#: and after how many seconds.
RECOVERING = re.compile(
    r"the database system is|consistent recovery state|closed the connection|terminating connection"
)
TRIES, PAUSE = 25, 0.2

log = logging.getLogger(__name__)
serial = itertools.count()


class ScratchError(Exception):
    """No database can be made; the message says where and why in one sentence, with no password."""


def from_environment() -> str | None:
    """Return the URL of the scratch server, if the environment names one."""
    return os.environ.get("SCRATCH_DATABASE_URL") or None


@contextmanager
def server(url: str | None) -> Iterator[sa.URL]:
    """Yield the server to make databases on, without those that were left behind long ago.

    Args:
        url: A database on the server, of a user who may create others. None for an embedded
            PostgreSQL, which concurrent runs of the same user share.

    Raises:
        ScratchError: the URL cannot be used or the embedded server does not start.

    """
    if url is not None:
        given = _parsed(url)
        sweep(given)
        yield given
        return
    folder = cache_folder()
    with ExitStack() as running:
        try:
            made = running.enter_context(embedded.running(folder, FORGETFUL))
        except (embedded.EmbeddedError, OSError) as error:
            raise ScratchError(
                f"The scratch server in {folder} cannot be used: {error} "
                "If it stays so, delete the folder: it holds nothing of worth."
            ) from error
        sweep(made)
        yield made


def _parsed(text: str) -> sa.URL:
    url = parsed(text)
    if url is None:
        raise ScratchError(
            "The scratch server's URL cannot be read; "
            "expected postgresql://user:password@host:port/database."
        )
    return url


def memory() -> Path | None:
    """Return a folder for files that live in memory until the machine stops, if one has room."""
    try:
        room = shutil.disk_usage(MEMORY).free
    except OSError:
        return None
    return MEMORY if room >= ROOM and os.access(MEMORY, os.W_OK) else None


def cache_folder() -> Path:
    """Find a folder that lasts between runs, of this user alone: in memory, or on the disk.

    Raises:
        ScratchError: somebody else has made it first.

    """
    shared = memory()
    if shared is None:
        cache = platformdirs.user_cache_path("project-schema")
        with suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
            if os.access(cache, os.W_OK):
                return cache / "postgres"
        shared = Path(tempfile.gettempdir())
    own = shared / f"project-schema-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if own.stat().st_uid != os.getuid():
        raise ScratchError(f"The folder {own} belongs to somebody else.")
    return own / "postgres"


@contextmanager
def database(server: sa.URL, *, template: str = "template0") -> Iterator[sa.URL]:
    """Make a database, yield its URL, and drop it whatever happens, also under its users.

    Roles belong to the server, not to a database: those that migrations create stay.

    Args:
        server: What :func:`server` yields.
        template: The database to copy, to which nobody may be connected.

    Raises:
        ScratchError: it cannot be made.

    """
    name = f"scratch_{datetime.now(UTC):{WHEN}}_{os.getpid()}_{next(serial)}"
    with _connected(server) as connection:
        connection.execute("SELECT")  # it answers; from here on there may be something to drop
    try:
        with _connected(server) as connection:
            _create(connection, name, template)
        yield server.set(database=name)
    except Exception as error:
        if blamed := fault(server, error):
            raise blamed from error
        raise
    finally:
        try:
            _drop_for_certain(server, name)
        except ScratchError as error:  # of no concern to whoever is done with it, or failed
            log.info("The database %s stays for a day: %s", name, error)


def fault(server: sa.URL, error: Exception) -> ScratchError | None:
    """Tell whether the server failed, rather than what was asked of it.

    Args:
        server: A database on it.
        error: What happened, with the ``sqlstate`` that the server gave, if it did.

    """
    state = getattr(error, "sqlstate", None) or ""
    where = f"the scratch server {_described(server)}"
    if isinstance(error, ScratchError):
        return None
    if state == psycopg.errors.DiskFull.sqlstate:
        return ScratchError(f"The disk of {where} is full.")
    ended = ScratchError(f"{where[0].upper()}{where[1:]} ended in the middle of the run.")
    if state in ENDED:
        return ended
    try:
        with _connected(server) as connection:
            connection.execute("SELECT")
    except ScratchError:
        return ended
    return None


def empty(server: sa.URL, database: sa.URL) -> None:
    """Make a database of :func:`database` anew.

    Raises:
        ScratchError: it cannot be made.

    """
    name = str(database.database)
    with _connected(server) as connection:
        _drop(connection, name)
        _create(connection, name, "template0")


def sweep(server: sa.URL) -> None:
    """Drop the databases that processes left behind on a server.

    Raises:
        ScratchError: the server cannot be used.

    """
    with _connected(server) as connection:
        names = connection.execute("SELECT datname FROM pg_catalog.pg_database").fetchall()
        for (name,) in names:
            if _is_left_behind(name):
                # Somebody else's, or somebody else was faster.
                with suppress(psycopg.Error):
                    _drop(connection, name)


def _is_left_behind(name: str) -> bool:
    found = NAME.fullmatch(name)
    if found is None:
        return False
    try:
        made = datetime.strptime(found[1], WHEN).replace(tzinfo=UTC)
    except ValueError:
        return False
    return datetime.now(UTC) - made > LIFETIME


def _create(connection: "psycopg.Connection[Any]", name: str, template: str) -> None:
    """Copy a template: its files where they need not reach the disk, else by way of the log.

    To copy files takes two checkpoints, which is quick where nothing is waited for, and a burden
    on a server that has other things to do ("CREATE DATABASE", STRATEGY).
    """
    row = connection.execute("SELECT current_setting('fsync')").fetchone()
    strategy = sql.SQL("FILE_COPY" if row == ("off",) else "WAL_LOG")
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' STRATEGY {}")
    connection.execute(create.format(sql.Identifier(name), sql.Identifier(template), strategy))


def _drop_for_certain(server: sa.URL, name: str) -> None:
    """Drop a database, also from a server that is coming up again.

    On a full disk it ends at the checkpoint that dropping takes, and makes room as it recovers.
    """
    for _ in range(TRIES - 1):
        try:
            with _connected(server) as connection:
                _drop(connection, name)
        except ScratchError as error:
            if not RECOVERING.search(str(error)):
                raise
            sleep(PAUSE)
        else:
            return
    with _connected(server) as connection:
        _drop(connection, name)


def _drop(connection: "psycopg.Connection[Any]", name: str) -> None:
    assert NAME.fullmatch(name), name  # noqa: S101
    connection.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    )


@contextmanager
def _connected(server: sa.URL) -> Iterator["psycopg.Connection[Any]"]:
    """Connect, and turn what goes wrong into a sentence."""
    dialect = sa.make_url("postgresql+psycopg://").get_dialect()()
    _, arguments = dialect.create_connect_args(server)
    arguments = {"connect_timeout": 10, **arguments, "autocommit": True}
    try:
        connection = psycopg.connect(**arguments)
    except psycopg.Error as error:
        reason = re.split(r"failed: (?:FATAL: +)?", _first_line(error))[-1].rstrip(".")
        raise ScratchError(f"Cannot connect to {_described(server)}: {reason}.") from error
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        raise ScratchError(refusal(server, error)) from error


def refusal(server: sa.URL, error: psycopg.Error) -> str:
    """Say in one sentence why a server made or dropped no database."""
    where = _described(server)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"The user {server.username} may not make databases on {where}: CREATEDB is missing."
    if isinstance(error, psycopg.errors.DiskFull):
        return f"The disk of {where} is full."
    return f"Cannot make or drop a database on {where}: {_first_line(error).rstrip('.')}."


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["it does not say why"])[0]


def _described(url: sa.URL) -> str:
    """Name a server without any secret, which may stand in the query, too."""
    query = url.query.get("host", "")
    host = url.host or (query if isinstance(query, str) else ",".join(query)) or "the local server"
    return f"{host}:{url.port}" if url.port else host
