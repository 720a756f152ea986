"""What every benchmark needs: a database of its own, and services beside each other on it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL

from project import embedded

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"


@contextmanager
def database(rows: int) -> Iterator[URL]:
    """A fresh embedded PostgreSQL as the project ships it, at head, with rows in ``my_table``."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.running(Path(folder) / "postgres", {"max_connections": "100"}) as url,
    ):
        alembic = [str(Path(sys.executable).with_name("alembic")), "upgrade", "head"]
        subprocess.run(alembic, cwd=ROOT, env=environment(url), check=True, capture_output=True)
        with psycopg.connect(text(url), autocommit=True) as connection:
            connection.execute(
                "INSERT INTO my_table (name) SELECT 'row number ' || n"
                " FROM generate_series(1, %s) AS n",
                [rows],
            )
            connection.execute("VACUUM ANALYZE my_table")
        yield url


def count(url: URL, query: str) -> int:
    """The one number that a query answers."""
    with psycopg.connect(text(url)) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def environment(url: URL, **variables: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": text(url),
        "LOG_LEVEL": "warning",
        **variables,
    }


@contextmanager
def service(
    url: URL, port: int, log: Path | None = None, **variables: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """The project's own service, as `python -m project` starts it; what it logs goes to a file."""
    command = [sys.executable, "-m", "project"]
    variables = environment(url, PORT=str(port), **variables)
    with _process(command, port, variables, log=log) as process:
        yield process


@contextmanager
def peer(
    name: str, url: URL, port: int, body: bytes = b"", *more: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A service to compare with, from `benchmarks/peers/`."""
    command = [sys.executable, str(PEERS / f"{name}.py"), str(port), *more]
    with _process(command, port, environment(url), body) as process:
        yield process


@contextmanager
def _process(
    command: list[str],
    port: int,
    variables: dict[str, str],
    body: bytes = b"",
    log: Path | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    with open(log or os.devnull, "a") as errors:  # noqa: PTH123  (a place, not a path)
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors if log else None,
        )
    assert process.stdin is not None
    process.stdin.write(body)
    process.stdin.close()
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
