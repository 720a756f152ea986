"""What parts of a request cost: a statement in the driver, and putting it together.

.venv/bin/python -m benchmarks.parts [times]

CPU time of this process alone, the least of five rounds.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import psycopg

from benchmarks import stage
from project.api import auditing, inserting, written
from project.api.access import Asker
from project.api.collection import View, collections
from project.connection import Connection, rows_of
from project.models import Base, Role

TEXT = b"SELECT row_to_json(t)::text FROM (SELECT id, name FROM my_table WHERE id = %s::integer) t"


async def least(name: str, times: int, part: Callable[[], Awaitable[object]]) -> None:
    found = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            await part()
        found.append(1_000_000 * (time.process_time() - began) / times)
    print(f"{name:50} {min(found):6.0f} µs")


async def driver(url: str, times: int) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as driven:

        async def cursor() -> object:
            return rows_of(await driven.execute(TEXT, ["77"]))

        await least("a statement, by a cursor of psycopg", times, cursor)
        connection = Connection(driven)

        async def directly() -> object:
            return await connection.run(TEXT, ["77"])

        await least("by libpq's functions, as the service does", times, directly)
        assert connection.driver is driven  # psycopg closes it, and its socket is watched no more


async def statements(times: int) -> None:
    served = collections(Base)
    view = View(served, served["my_table"], Asker(1, Role.editor))
    kept = [
        part
        for module in (auditing, inserting, written)
        for part in vars(module).values()
        if hasattr(part, "cache_clear")
    ]

    async def insert() -> object:
        return inserting.insert(view, [{"name": "a new name"}])  # type: ignore[dict-item]

    async def anew() -> object:
        for part in kept:
            part.cache_clear()
        return await insert()

    await least("the statement of an insert, all of it made anew", times, anew)
    await least("with what follows from who asks kept", times, insert)


def main(times: int = 2000) -> None:
    asyncio.run(statements(times))
    with stage.database(100) as url:
        asyncio.run(driver(stage.text(url), times))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
