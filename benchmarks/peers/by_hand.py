"""What the API costs at least: psycopg's own pool, one statement by hand, under Tornado."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence

from psycopg_pool import AsyncConnectionPool
from tornado.web import Application, RequestHandler

PAGE = (
    "SELECT coalesce(json_agg(t), '[]')::text FROM"
    " (SELECT id, name FROM my_table{} ORDER BY id LIMIT 100) t"
)
ROW = "SELECT row_to_json(t)::text FROM (SELECT id, name FROM my_table WHERE id = %s) t"


class Rows(RequestHandler):
    async def get(self) -> None:
        low = self.get_argument("id", "")
        statement, values = (
            (PAGE.format(" WHERE id > %s"), [low[3:]]) if low else (PAGE.format(""), [])
        )
        await answer(self, statement, values)

    async def post(self) -> None:
        name = json.loads(self.request.body)["name"]
        self.set_status(201)
        await answer(
            self,
            "INSERT INTO my_table (name) VALUES (%s)"
            " RETURNING json_build_object('id', id, 'name', name)::text",
            [name],
        )


class Row(RequestHandler):
    async def get(self, key: str) -> None:
        await answer(self, ROW, [key])

    async def patch(self, key: str) -> None:
        name = json.loads(self.request.body)["name"]
        await answer(
            self,
            "UPDATE my_table SET name = %s WHERE id = %s"
            " RETURNING json_build_object('id', id, 'name', name)::text",
            [name, key],
        )


async def answer(handler: RequestHandler, statement: str, values: Sequence[object]) -> None:
    async with handler.settings["pool"].connection() as connection:
        cursor = await connection.execute(statement, values)
        [body] = await cursor.fetchone()
    handler.set_header("Content-Type", "application/json; charset=UTF-8")
    handler.finish(body)


async def main() -> None:
    async with AsyncConnectionPool(
        os.environ["DATABASE_URL"], min_size=10, max_size=10, kwargs={"autocommit": True}
    ) as pool:
        routes = [("/api/my_table", Rows), (r"/api/my_table/(\d+)", Row)]
        app = Application(routes, log_function=lambda _: None, pool=pool)
        app.listen(int(sys.argv[1]), "127.0.0.1")
        await asyncio.Event().wait()


asyncio.run(main())
