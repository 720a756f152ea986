"""``python -m project``: the running service. It serves and nothing else; Alembic migrates."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from socket import socket

import psycopg
import sqlalchemy as sa
from tornado.netutil import bind_sockets

from project import admin, database, logs, processes, settings, tokens
from project.pool import Connections
from project.revisions import History, read_history
from project.serving import Service, serve
from project.settings import Settings, SettingsError, describe


class AddressError(Exception):
    """The service cannot listen where it was told to; the message says why."""


def main() -> int:
    """Serve until told to stop.

    Returns:
        The exit code: 0 when every request was answered, 1 when some were given up, 2 when the
        service could not start, 3 when processes of it ended again and again.

    """
    try:
        configured = settings.load()
        logs.configure(configured.log_level, configured.log_format)
        with database.available(configured) as url:
            # Nobody else reaches the embedded database, so nobody else could make the first.
            token = tokens.first(configured) if configured.database_url is None else None
            return start(configured, url, token)
    except (SettingsError, database.DatabaseError, AddressError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:  # before anything was served
        return 128 + signal.SIGINT


def start(settings: Settings, url: sa.URL, token: str | None) -> int:
    """Serve the database at `url`, in as many processes as are wanted; return the exit code.

    A `token` that was just made is shown, this once.
    """
    history = read_history()
    revision = asyncio.run(standing(settings, url, history))
    number = settings.processes or processes.cores()
    with ExitStack() as closing:
        sockets = listen(settings, number)
        desk = None
        if settings.metrics_port is not None:
            desk = closing.enter_context(
                admin.desk(
                    bind(settings.metrics_address, settings.metrics_port, "METRICS_"), number
                )
            )
        service = Service(settings, url, history, sockets, desk)

        def greet() -> None:
            print(greeting(service, revision, token), flush=True)  # noqa: T201

        if number == 1:
            return asyncio.run(serve(service, greet=greet))
        with processes.signals_held():
            return processes.run(
                number,
                lambda place, pipe: asyncio.run(serve(service, place, pipe)),
                kept=[each for own in sockets for each in own],
                begun=greet,
            )


async def standing(settings: Settings, url: sa.URL, history: History) -> str:
    """Connect once, and say where the database stands.

    A database at another revision is no reason not to start: ``/readyz`` says so, and a migration
    may be on its way. One that cannot be used is.

    Raises:
        DatabaseError: it cannot be reached or refuses the user.

    """
    connections = Connections(url, settings)
    try:
        stamped = await connections.stamped()
    except psycopg.Error as error:
        raise database.unusable(url, error) from error
    finally:
        await connections.close()
    objection = history.objection(stamped)
    return objection[1] if objection else f"{', '.join(sorted(stamped))} (head)"


def listen(settings: Settings, number: int) -> list[list[socket]]:
    """Return sockets for each of the processes, which accept connections already.

    Each has its own at the same address, so that the kernel spreads connections evenly.

    Raises:
        AddressError: the port is taken, or the address is not this machine's.

    """
    alone = bind(settings.address, settings.port)
    if number == 1:
        return [alone]
    # Only who binds a port alone is told that another service has it.
    port = alone[0].getsockname()[1]
    for each in alone:
        each.close()
    return [bind_sockets(port, settings.address, reuse_port=True) for _ in range(number)]


def bind(address: str, port: int, prefix: str = "") -> list[socket]:
    """Listen on an address; the kernel chooses the port for 0.

    Raises:
        AddressError: the port is taken, or the address is not this machine's. The variables that
            say it begin with the `prefix`.

    """
    try:
        return bind_sockets(port, address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AddressError(
            f"Cannot listen on {address}, port {port}: {reason}. "
            f"Set {prefix}PORT or {prefix}ADDRESS to another."
        ) from error


def greeting(service: Service, revision: str, token: str | None) -> str:
    """Say where the service is, what it uses and how to stop it."""
    settings = service.settings
    lines = [f"Serving  {place(settings.address, service.sockets[0])}/"]
    if len(service.sockets) > 1:
        lines.append(f"Workers  {len(service.sockets)} processes")
    if service.desk:
        lines.append(f"Metrics  {place(settings.metrics_address, service.desk.public)}/metrics")
    if settings.database_url is None:
        kept = "an embedded PostgreSQL 18, kept in .postgres; scripts/psql looks inside"
        lines.append(f"Database {kept}")
    else:
        lines.append(f"Database {describe(service.url)}")
    if settings.replica_url:
        lines.append(f"Replica  {describe(settings.replica_url)}")
    lines.append(f"Revision {revision}")
    if token:
        lines.append(f"Token    {token} ({tokens.FIRST}; shown this once)")
    lines.append(f"Stop     Ctrl-C, or kill {os.getpid()}")
    return "\n".join(lines)


def place(address: str, sockets: Sequence[socket]) -> str:
    """Return the address of sockets as a URL."""
    name = f"[{address}]" if ":" in address else address
    return f"http://{name}:{sockets[0].getsockname()[1]}"


if __name__ == "__main__":
    sys.exit(main())
