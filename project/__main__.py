"""``python -m project``: the running service. It serves and nothing else; Alembic migrates."""

import asyncio
import os
import signal
import sys
from typing import cast

import psycopg
import sqlalchemy as sa
from tornado.netutil import bind_sockets

from project import database, logs, settings, tokens
from project.app import make_app
from project.revisions import History, read_history
from project.server import Server
from project.settings import Settings, SettingsError, describe


class AddressError(Exception):
    """The service cannot listen where it was told to; the message says why."""


def main() -> int:
    """Serve until told to stop.

    Returns:
        The exit code: 0 when every request was answered, 1 when some were given up, 2 when the
        service could not start.

    """
    try:
        configured = settings.load()
        logs.configure(configured.log_level, configured.log_format)
        with database.available(configured) as url:
            # Nobody else reaches the embedded database, so nobody else could make the first.
            token = tokens.first(configured) if configured.database_url is None else None
            return asyncio.run(serve(configured, url, token))
    except (SettingsError, database.DatabaseError, AddressError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2


async def serve(settings: Settings, url: sa.URL, token: str | None = None) -> int:
    """Serve the database at `url` until SIGTERM or SIGINT; return the exit code.

    A `token` that was just made is shown, this once.
    """
    signals = catch_signals()
    history = read_history()
    connections = database.Connections(url, settings)
    try:
        revision = await standing(connections, url, history)
        server = Server(make_app(settings, connections, history), proxies=settings.proxies())
        port = listen(server, settings)
        greet(settings, port, url, revision, token)
        return await until_stopped(server, settings, signals)
    finally:
        await connections.close()


def catch_signals() -> asyncio.Queue[int]:
    """Return a queue to which SIGTERM and SIGINT go from now on."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    return signals


async def standing(connections: database.Connections, url: sa.URL, history: History) -> str:
    """Connect once, and say where the database stands.

    A database at another revision is no reason not to start: ``/readyz`` says so, and a migration
    may be on its way. One that cannot be used is.

    Raises:
        DatabaseError: it cannot be reached or refuses the user.

    """
    try:
        stamped = await connections.stamped()
    except psycopg.Error as error:
        raise database.unusable(url, error) from error
    objection = history.objection(stamped)
    return objection[1] if objection else f"{', '.join(sorted(stamped))} (head)"


def listen(server: Server, settings: Settings) -> int:
    """Begin to accept connections; return the port, which the kernel chooses for 0.

    Raises:
        AddressError: the port is taken, or the address is not this machine's.

    """
    try:
        sockets = bind_sockets(settings.port, settings.address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AddressError(
            f"Cannot listen on {settings.address}, port {settings.port}: {reason}. "
            "Set PORT or ADDRESS to another."
        ) from error
    server.add_sockets(sockets)
    return cast("int", sockets[0].getsockname()[1])


def greet(settings: Settings, port: int, url: sa.URL, revision: str, token: str | None) -> None:
    """Say where the service is, what it uses and how to stop it."""
    name = f"[{settings.address}]" if ":" in settings.address else settings.address
    place = describe(url)
    if settings.database_url is None:
        place = "an embedded PostgreSQL 18, kept in .postgres; scripts/psql looks inside"
    print(  # noqa: T201
        f"Serving  http://{name}:{port}/\n"
        f"Database {place}\n"
        f"Revision {revision}\n"
        f"{f'Token    {token} ({tokens.FIRST}; shown this once){chr(10)}' if token else ''}"
        f"Stop     Ctrl-C, or kill {os.getpid()}",
        flush=True,
    )


async def until_stopped(server: Server, settings: Settings, signals: asyncio.Queue[int]) -> int:
    """Wait for a signal and drain; a second signal ends the wait for requests in flight."""
    # A person at a terminal has no load balancer to wait for.
    preroll = settings.preroll_seconds if await signals.get() == signal.SIGTERM else 0
    draining = asyncio.create_task(server.drain(preroll, settings.drain_seconds))
    impatience = asyncio.create_task(signals.get())
    await asyncio.wait({draining, impatience}, return_when=asyncio.FIRST_COMPLETED)
    impatience.cancel()
    if draining.done():
        return 0 if draining.result() else 1
    draining.cancel()
    server.stop()
    await server.close_all_connections()
    return 1


if __name__ == "__main__":
    sys.exit(main())
