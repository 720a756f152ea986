"""One process that serves: from its sockets until it has drained."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from math import nan
from socket import socket

import sqlalchemy as sa

from project.admin import Desk, tell
from project.app import make_app
from project.handlers.health import obstacle, standing
from project.metrics import Metrics
from project.pool import Connections
from project.processes import AWAITED
from project.replica import Replica
from project.revisions import History
from project.server import Server
from project.settings import Settings


@dataclass(frozen=True)
class Service:
    """What all processes of the service have in common.

    Attributes:
        settings: How it serves.
        url: The database.
        history: The migrations that the code knows.
        sockets: For each process, the sockets on which it listens.
        desk: Where Prometheus asks, if it may.

    """

    settings: Settings
    url: sa.URL
    history: History
    sockets: Sequence[Sequence[socket]]
    desk: Desk | None


async def serve(
    service: Service,
    number: int = 0,
    pipe: int | None = None,
    greet: Callable[[], None] = lambda: None,
) -> int:
    """Serve until told to stop; return the exit code.

    Args:
        service: What is served, and where.
        number: Which of its processes this is.
        pipe: Where a parent says when to stop; None if there is none, and signals say it.
        greet: Called when the service can be asked, and stopped.

    """
    signals = catch_signals() if pipe is None else hear(pipe)
    settings = service.settings
    for place, listening in enumerate(service.sockets):
        # Those of the other processes: or they would stay open when those stop.
        if place != number:
            for each in listening:
                each.close()
    async with AsyncExitStack() as closing:
        connections = Connections(service.url, settings)
        closing.push_async_callback(connections.close)
        pools = {"primary": connections}
        replica = None
        if settings.replica_url is not None:
            replica = Replica(settings.replica_url, settings, connections)
            closing.push_async_callback(replica.close)
            pools["replica"] = replica.connections
        metrics = Metrics(number, pools) if service.desk else None
        app = make_app(settings, connections, service.history, replica=replica, metrics=metrics)
        server = Server(app, proxies=settings.proxies())
        server.add_sockets(service.sockets[number])
        if service.desk and metrics:

            async def figures() -> str:
                draining = app.settings["draining"].is_set()
                problem = await obstacle(connections, service.history, draining=draining)
                behind = (await standing(replica)).get("behind_bytes") if replica else None
                known = nan if behind is None else behind
                return metrics.text(server.in_flight(), known, ready=problem is None)

            watching = asyncio.create_task(metrics.watch())
            closing.callback(watching.cancel)
            await tell(service.desk, number, figures)
        greet()
        return await until_stopped(server, settings, signals)


def catch_signals() -> asyncio.Queue[int]:
    """Return a queue to which SIGTERM and SIGINT go from now on."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    return signals


def hear(pipe: int) -> asyncio.Queue[int]:
    """Return a queue to which the parent's word goes; signals are the parent's to hear."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def told() -> None:
        loop.remove_reader(pipe)
        word = os.read(pipe, 1)
        signals.put_nowait(word[0] if word else signal.SIGTERM)  # it is gone

    loop.add_reader(pipe, told)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
    return signals


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
