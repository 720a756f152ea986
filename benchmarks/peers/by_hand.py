"""What the API costs at least: psycopg's own pool, one statement by hand, under Tornado."""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncCopy
from psycopg_pool import AsyncConnectionPool
from tornado.web import Application, RequestHandler

PAGE = (
    "SELECT coalesce(json_agg(t), '[]')::text FROM"
    " (SELECT id, name FROM my_table{} ORDER BY id LIMIT 100) t"
)
ROW = "SELECT row_to_json(t)::text FROM (SELECT id, name FROM my_table WHERE id = %s) t"


TO_ONE = (
    "SELECT coalesce(json_agg(t), '[]')::text FROM (SELECT o.id, o.label, json_build_object("
    "'email', a.email, 'role', a.role) AS account FROM access_token o"
    " JOIN account a ON a.id = o.account_id ORDER BY o.id LIMIT 100) t"
)
TO_MANY = (
    "SELECT coalesce(json_agg(t), '[]')::text FROM (SELECT a.id, a.email, (SELECT json_agg(s)"
    " FROM (SELECT o.id, o.label FROM access_token o WHERE o.account_id = a.id"
    " AND o.revoked_at IS NULL) s)"
    " AS access_token FROM account a ORDER BY a.id LIMIT 100) t"
)


INSERT = (
    "INSERT INTO my_table (name) VALUES (%s)"
    " RETURNING json_build_object('id', id, 'name', name)::text"
)
PATCH = (
    "UPDATE my_table SET name = %s WHERE id = %s"
    " RETURNING json_build_object('id', id, 'name', name)::text"
)

# The same with the service's duties, for requests that show a token: it is looked up, and a write
# is noted in the audit by the statement that makes it.
WHO = (
    "SELECT account.id FROM access_token token JOIN account ON account.id = token.account_id"
    " WHERE token_hash = %s AND revoked_at IS NULL"
    " AND (expires_at IS NULL OR expires_at > now())"
)
INSERT_AUDITED = (
    "WITH after AS (INSERT INTO my_table (name) VALUES (%s) RETURNING *), audited AS ("
    "INSERT INTO audit_entry (account_id, action, table_name, row_key, after)"
    " SELECT %s, 'insert', 'my_table', jsonb_build_object('id', id), to_jsonb(after) FROM after)"
    " SELECT json_build_object('id', id, 'name', name)::text FROM after"
)
PATCH_AUDITED = (
    "WITH before AS (SELECT * FROM my_table WHERE id = %s FOR UPDATE),"
    " after AS (UPDATE my_table t SET name = %s FROM before WHERE t.id = before.id RETURNING t.*),"
    " audited AS (INSERT INTO audit_entry (account_id, action, table_name, row_key, before, after)"
    " SELECT %s, 'update', 'my_table', jsonb_build_object('id', before.id), to_jsonb(before),"
    " to_jsonb(after) FROM before, after)"
    " SELECT json_build_object('id', id, 'name', name)::text FROM after"
)


class Rows(RequestHandler):
    async def get(self) -> None:
        low = self.get_argument("id", "")
        statement, values = (
            (PAGE.format(" WHERE id > %s"), [low[3:]]) if low else (PAGE.format(""), [])
        )
        await answer(self, statement, values)

    async def post(self) -> None:
        name = json.loads(self.request.body)["name"]
        account = await who(self)
        self.set_status(201)
        if account is None:
            await answer(self, INSERT, [name])
        else:
            await answer(self, INSERT_AUDITED, [name, account])


class Row(RequestHandler):
    async def get(self, key: str) -> None:
        await answer(self, ROW, [key])

    async def patch(self, key: str) -> None:
        name = json.loads(self.request.body)["name"]
        account = await who(self)
        if account is None:
            await answer(self, PATCH, [name, key])
        else:
            await answer(self, PATCH_AUDITED, [key, name, account])


class Fixed(RequestHandler):
    def initialize(self, statement: str) -> None:
        self.statement = statement

    async def get(self) -> None:
        await who(self)
        await answer(self, self.statement, [])


@asynccontextmanager
async def copying(handler: RequestHandler, statement: str) -> AsyncIterator[AsyncCopy]:
    async with (
        handler.settings["pool"].connection() as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        yield copy


class Bulk(RequestHandler):
    async def post(self) -> None:
        rows = self.request.body.splitlines()
        async with copying(self, "COPY my_table (name) FROM STDIN") as copy:
            for row in rows:
                await copy.write_row([json.loads(row)["name"]])
        self.set_status(201)
        self.finish({"inserted": len(rows)})


class Export(RequestHandler):
    async def get(self) -> None:
        statement = (
            "COPY (SELECT id, name FROM my_table ORDER BY id) TO STDOUT (FORMAT csv, HEADER)"
        )
        async with copying(self, statement) as copy:
            piece = bytearray()
            async for row in copy:
                piece += row
                if len(piece) > 65536:
                    self.write(bytes(piece))
                    piece.clear()
                    await self.flush()
        self.finish(bytes(piece))


async def who(handler: RequestHandler) -> int | None:
    """Look up the token that a request shows; the bare requests show none."""
    header = handler.request.headers.get("Authorization")
    if header is None:
        return None
    digest = hashlib.sha256(header.removeprefix("Bearer ").encode()).digest()
    async with handler.settings["pool"].connection() as connection:
        cursor = await connection.execute(WHO, [digest])
        [account] = await cursor.fetchone()
    return int(account)


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
        routes: list[tuple[Any, ...]] = [
            ("/api/my_table", Rows),
            (r"/api/my_table/(\d+)", Row),
            ("/api/access_token", Fixed, {"statement": TO_ONE}),
            ("/api/account", Fixed, {"statement": TO_MANY}),
            ("/api/my_table/bulk", Bulk),
            ("/export", Export),
        ]
        app = Application(routes, log_function=lambda _: None, pool=pool)
        app.listen(int(sys.argv[1]), "127.0.0.1", max_body_size=2**30)
        await asyncio.Event().wait()


asyncio.run(main())
