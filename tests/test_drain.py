"""SIGTERM: not ready, no new connections, every request in flight answered, exit 0."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from .conftest import Process, execute, secret, until

Start = Callable[..., Process]


class Client:
    """A keep-alive client that reads whole answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, path: str = "/") -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        await self.writer.drain()

    async def answer(self) -> tuple[int, str]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        await self.reader.readexactly(length)
        return int(head.split()[1]), head


@asynccontextmanager
async def client(process: Process) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    yield Client(reader, writer)
    writer.close()


@asynccontextmanager
async def waiting_request(
    process: Process, database: sa.URL
) -> AsyncIterator[tuple[Client, sa.Connection]]:
    """A request that waits for a lock in the database, and the connection that holds it."""
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as locking:
        locking.execute(sa.text("LOCK TABLE my_table"))
        async with client(process) as asking:
            await asking.ask()
            query = "SELECT count(*) FROM pg_locks WHERE relation = 'my_table'::regclass"

            async def waits() -> bool:
                found = await asyncio.to_thread(execute, database, f"{query} AND NOT granted")
                return bool(found[0][0])

            await until(waits)
            yield asking, locking


async def refuses(process: Process) -> bool:
    try:
        async with client(process):
            return False
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was in the queue of a socket that was being closed
        return False


async def ended(process: Process) -> int:
    return await asyncio.to_thread(process.popen.wait, 20)


async def test_under_load_no_request_is_lost(start_process: Start, database: sa.URL) -> None:
    execute(database, "INSERT INTO my_table (name) SELECT n FROM generate_series(1, 100) n")
    process = start_process(DATABASE_URL=secret(database))
    warm = asyncio.Event()

    async def load() -> int:
        answers = 0
        async with client(process) as asking:
            while True:
                await asking.ask()
                status, head = await asking.answer()  # raises if the connection ends before it
                assert status == 200
                answers += 1
                if answers == 5:
                    warm.set()
                if "Connection: close" in head:
                    return answers

    clients = [asyncio.create_task(load()) for _ in range(50)]
    await warm.wait()
    process.popen.send_signal(signal.SIGTERM)
    assert all(await asyncio.gather(*clients))
    assert await ended(process) == 0


async def test_a_request_in_flight_is_answered_and_new_ones_are_refused(
    start_process: Start, database: sa.URL
) -> None:
    process = start_process(DATABASE_URL=secret(database))
    async with waiting_request(process, database) as (waiting, locking):
        process.popen.send_signal(signal.SIGTERM)
        await until(lambda: refuses(process))
        assert process.popen.poll() is None
        locking.rollback()
        assert (await waiting.answer())[0] == 200
    assert await ended(process) == 0


async def test_before_it_stops_listening_it_says_that_it_drains(
    start_process: Start, database: sa.URL
) -> None:
    process = start_process(DATABASE_URL=secret(database), PREROLL_SECONDS="3")
    async with client(process) as asking:
        await asking.ask("/readyz")
        assert (await asking.answer())[0] == 200
        process.popen.send_signal(signal.SIGTERM)

        async def not_ready() -> bool:
            async with client(process) as probe:
                await probe.ask("/readyz")
                return (await probe.answer())[0] == 503

        await until(not_ready)
        await asking.ask("/")
        status, head = await asking.answer()
        assert status == 200
        assert "Connection: close" in head
    assert await ended(process) == 0


async def test_after_the_deadline_it_gives_up(start_process: Start, database: sa.URL) -> None:
    process = start_process(DATABASE_URL=secret(database), DRAIN_SECONDS="0.3")
    async with waiting_request(process, database):
        process.popen.send_signal(signal.SIGTERM)
        assert await ended(process) == 1


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_stops_at_once(
    start_process: Start, database: sa.URL, second: signal.Signals
) -> None:
    process = start_process(DATABASE_URL=secret(database), DRAIN_SECONDS="60")
    async with waiting_request(process, database):
        process.popen.send_signal(signal.SIGTERM)
        await until(lambda: refuses(process))
        process.popen.send_signal(second)
        assert await ended(process) == 1


async def test_an_idle_connection_does_not_hold_it_up(
    start_process: Start, database: sa.URL
) -> None:
    process = start_process(DATABASE_URL=secret(database), DRAIN_SECONDS="60")
    async with client(process) as idle:
        await idle.ask("/livez")
        await idle.answer()
        process.popen.send_signal(signal.SIGINT)
        assert await ended(process) == 0
