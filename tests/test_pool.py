"""Connections that serve requests: lent in order, run statements, and outlive who gave up."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
import sqlalchemy as sa

from project import connection as of_one
from project.connection import numbered
from project.pool import BusyError, Connections
from project.settings import Settings

from .conftest import until


@pytest.fixture
async def pool(database: sa.URL) -> AsyncIterator[Connections]:
    pool = Connections(database, Settings(database_url=database, pool_size=1, pool_seconds=20))
    yield pool
    await pool.close()


async def backend(pool: Connections) -> bytes | None:
    [[number]] = await pool.run(b"SELECT pg_backend_pid()")
    return number


async def begun(pool: Connections, **usage: int) -> None:
    async def reached() -> bool:
        return usage.items() <= pool.usage()._asdict().items()

    await until(reached)


async def test_values_come_back_as_they_went(pool: Connections) -> None:
    large = "ä'\\\"%s\n" * 200_000  # more than a socket takes at once
    rows = await pool.run(
        b"SELECT %s::text, %s::bytea, %s::bigint, %s::text[], %s::text, '100%%'",
        [large, b"\0\xff", 2**40, ['a "b"', "c,d", ""], None],
    )
    array = b'{"a \\"b\\"","c,d",""}'
    assert rows == [(large.encode(), b"\\x00ff", b"%d" % 2**40, array, None, b"100%")]
    assert numbered(b"%s %% %s %%s") == b"$1 % $2 %s"


async def test_statements_that_are_run_often_are_prepared_and_the_oldest_let_go(
    pool: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_one, "PREPARED", 3)
    for text in [b"SELECT 1", b"SELECT 2", b"SELECT 3", b"SELECT 1", b"SELECT 4"]:
        for _ in range(of_one.OFTEN):
            assert await pool.run(text) == [(text[-1:],)]
    prepared = await pool.run(b"SELECT statement FROM pg_prepared_statements ORDER BY 1")
    assert prepared == [(b"SELECT 1",), (b"SELECT 3",), (b"SELECT 4",)]


async def test_what_is_prepared_outlives_a_transaction_that_is_rolled_back(
    pool: Connections,
) -> None:
    for _ in range(of_one.OFTEN):
        await pool.run(b"SELECT 1")
    with pytest.raises(psycopg.errors.DivisionByZero):  # noqa: PT012
        async with pool.transaction() as driver:
            for number in [*[1] * 10, 0]:  # often enough for psycopg to prepare it, too
                await driver.execute("SELECT 1 / %s", [number])
    assert await pool.run(b"SELECT 1") == [(b"1",)]


async def test_a_statement_that_is_given_up_is_cancelled_and_its_connection_goes_on(
    pool: Connections,
) -> None:
    first = await backend(pool)
    running = asyncio.create_task(pool.run(b"SELECT pg_sleep(60)"))
    await begun(pool, lent=1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await backend(pool) == first


async def test_a_refusal_leaves_the_connection_usable_and_says_why(pool: Connections) -> None:
    first = await backend(pool)
    for _ in range(2 * of_one.OFTEN):
        with pytest.raises(psycopg.errors.DivisionByZero):
            await pool.run(b"SELECT 1 / %s::integer", [0])
        with pytest.raises(psycopg.errors.UndefinedTable):
            await pool.run(b"TABLE nowhere")
    assert await backend(pool) == first


async def test_a_server_that_ends_the_session_is_heard_and_another_is_opened(
    pool: Connections,
) -> None:
    first = await backend(pool)
    with pytest.raises(psycopg.OperationalError):
        await pool.run(b"SELECT pg_terminate_backend(pg_backend_pid())")
    assert await backend(pool) != first


async def test_turns_are_taken_in_order_by_those_who_still_wait(pool: Connections) -> None:
    served = []

    async def serve(number: int) -> None:
        async with pool.lend():
            served.append(number)

    async with pool.lend():
        waiting = [asyncio.create_task(serve(number)) for number in range(4)]
        await begun(pool, waiting=4)
        waiting[1].cancel()
    # The turn of the first has come, and it leaves before it notices: the next one has it then.
    waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert served == [2, 3]
    async with pool.lend():
        assert pool.usage()[:4] == (1, 1, 1, 0)


async def test_who_waits_too_long_is_told_and_nobody_loses_by_it(database: sa.URL) -> None:
    pool = Connections(database, Settings(database_url=database, pool_size=1, pool_seconds=0.01))
    async with pool.lend():
        with pytest.raises(BusyError):
            await pool.run(b"SELECT 1")
    assert await pool.run(b"SELECT 1") == [(b"1",)]
    assert pool.usage().timed_out == 1
    await pool.close()


async def test_who_gives_up_what_was_answered_waits_for_nothing(pool: Connections) -> None:
    first = await backend(pool)
    async with pool.lend() as connection:
        running = asyncio.create_task(connection.run(b"SELECT 1"))
        # The answer is taken from the socket and the task cancelled before it goes on.
        answered = connection._readable  # noqa: SLF001

        def and_cancelled() -> None:
            answered()
            if connection.idle:
                running.cancel()

        asyncio.get_running_loop().add_reader(connection.socket, and_cancelled)
        async with asyncio.timeout(2):
            await asyncio.wait([running])
        assert running.cancelled()
    assert await backend(pool) == first
