"""Live changes: what notifying costs those who write, and what streams cost the service.

    .venv/bin/python -m benchmarks.live [writers] [seconds]

First, commits a second of a row with its entry in the audit, by so many writers at once: without a
word to anybody, with NOTIFY in each transaction, and told afterwards as the service does. Then,
inserts a second through the service, with no stream and with many, and memory for each stream, and
for one whose client takes nothing.
"""

import asyncio
import socket
import statistics
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import psutil
import psycopg

from benchmarks import load, stage
from benchmarks.api import make_token
from project.follower import TOGETHER_SECONDS

ROUNDS = 5
STREAMS = 200

PLAIN = """
    WITH written AS (INSERT INTO my_table (name) VALUES ('x') RETURNING *),
    audited AS (
        INSERT INTO audit_entry (action, table_name, row_key, after)
        SELECT 'insert', 'my_table', jsonb_build_object('id', id), to_jsonb(written.*)
        FROM written {}
    )
    SELECT * FROM written
"""
SILENT = PLAIN.format("")
WITHIN = PLAIN.format("RETURNING pg_notify('audit_entry', '')")

#: Changes of 20 MB, which no buffer of the kernel takes.
BACKLOG = """
    INSERT INTO audit_entry (action, table_name, row_key, after)
    SELECT 'insert', 'my_table', jsonb_build_object('id', n),
        jsonb_build_object('id', n, 'name', repeat('x', 50))
    FROM generate_series(1, 200000) n
"""

STREAM = b"GET /api/my_table HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n%b\r\n"


def main(writers: int = 16, seconds: int = 3) -> None:
    with ExitStack() as running:
        url = running.enter_context(stage.database(100))
        text = url.render_as_string(hide_password=False)
        asyncio.run(compare(text, writers, seconds))
        token = make_token(stage.environment(url))
        port = stage.free_port()
        process = running.enter_context(stage.service(url, port))
        asyncio.run(serve(port, token, psutil.Process(process.pid), seconds))
        with psycopg.connect(text, autocommit=True) as connection:
            connection.execute(BACKLOG)
        asyncio.run(ignore(port, psutil.Process(process.pid)))


async def compare(url: str, writers: int, seconds: int) -> None:
    ways: list[tuple[str, str, bool]] = [
        ("without a word", SILENT, False),
        ("NOTIFY in the transaction", WITHIN, False),
        ("told afterwards", SILENT, True),
    ]
    rates: dict[str, list[float]] = {name: [] for name, _, _ in ways}
    for _ in range(ROUNDS):
        for name, statement, telling in ways:
            rates[name].append(await commits(url, statement, writers, seconds, telling=telling))
    best = statistics.median(rates["without a word"])
    print(f"{writers} writers; commits a second, medians of {ROUNDS}:")
    for name, found in rates.items():
        rate = statistics.median(found)
        print(f"{name:28} {rate:6.0f} ({100 * rate / best:3.0f} %)", flush=True)


async def commits(url: str, statement: str, writers: int, seconds: int, *, telling: bool) -> float:
    done = 0

    async def repeat(text: str, pause: float) -> None:
        nonlocal done
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while True:
                await connection.execute(text.encode())
                done += not pause
                await asyncio.sleep(pause)

    await for_seconds(
        seconds,
        *(lambda: repeat(statement, 0) for _ in range(writers)),
        *([lambda: repeat("NOTIFY audit_entry", TOGETHER_SECONDS)] if telling else []),
    )
    return done / seconds


async def for_seconds(seconds: float, *each: Callable[[], Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(one()) for one in each]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def serve(port: int, token: str, process: psutil.Process, seconds: float) -> None:
    request = load.send("POST", "/api/my_table", b'{"name": "x"}', token)
    alone = await inserts(port, request, seconds)
    before = process.memory_info().rss
    received = 0

    async def stream() -> None:
        nonlocal received
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(STREAM % b"")
        while piece := await reader.read(65536):
            received += piece.count(b"event: ")

    streams = [asyncio.create_task(stream()) for _ in range(STREAMS)]
    await asyncio.sleep(1)
    each = (process.memory_info().rss - before) / STREAMS / 1024
    followed = await inserts(port, request, seconds)
    for task in streams:
        task.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    print(f"\ninserts a second: {alone:.0f}; with {STREAMS} streams {followed:.0f}", end="")
    print(f" ({100 * followed / alone:.0f} %), which received {received / seconds:.0f} events")
    print(f"memory for an open stream: {each:.0f} KiB")


async def ignore(port: int, process: psutil.Process) -> None:
    """Open streams with much to tell, and take none of it."""
    before = process.memory_info().rss
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(STREAMS)]
    for client in clients:
        client.sendall(STREAM % b"Last-Event-ID: 0\r\n")
    await asyncio.sleep(10)
    each = (process.memory_info().rss - before) / STREAMS / 1024
    print(f"memory for a client that takes nothing of 200,000 events: {each:.0f} KiB")
    for client in clients:
        assert client.recv(12) == b"HTTP/1.1 200"
        client.close()


async def inserts(port: int, request: bytes, seconds: float) -> float:
    tally = load.Tally()
    await load.ask(port, request, 16, seconds, tally, b"201")
    assert not tally.errors, tally.errors
    return tally.answered / seconds


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
