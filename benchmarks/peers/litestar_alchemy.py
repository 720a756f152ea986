"""What a user would otherwise pick: Litestar, advanced-alchemy and msgspec.

Written as their documentation has it; the pool is as large as the service's.
"""

import os
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import msgspec
import uvicorn
from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
)
from advanced_alchemy.extensions.litestar.providers import create_service_provider
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from litestar import Controller, Litestar, get, patch, post
from litestar.di import Provide
from litestar.response import Stream
from models import AccessToken, Account, MyTable
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

PAGE = (OrderBy("id", "asc"), LimitOffset(100, 0))


class Row(msgspec.Struct):
    id: int
    name: str


class NewRow(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(max_length=50)]


class Owner(msgspec.Struct):
    email: str
    role: str


class Token(msgspec.Struct):
    id: int
    label: str


class OwnedToken(Token):
    account: Owner


class Person(msgspec.Struct):
    id: int
    email: str
    access_tokens: list[Token] = msgspec.field(name="access_token")


class MyTables(SQLAlchemyAsyncRepositoryService[MyTable]):
    class Repository(SQLAlchemyAsyncRepository[MyTable]):
        model_type = MyTable

    repository_type = Repository


class Accounts(SQLAlchemyAsyncRepositoryService[Account]):
    class Repository(SQLAlchemyAsyncRepository[Account]):
        model_type = Account

    repository_type = Repository


class AccessTokens(SQLAlchemyAsyncRepositoryService[AccessToken]):
    class Repository(SQLAlchemyAsyncRepository[AccessToken]):
        model_type = AccessToken

    repository_type = Repository


class Rows(Controller):
    path = "/api/my_table"
    dependencies = {"rows": Provide(create_service_provider(MyTables))}  # noqa: RUF012

    @get()
    async def page(self, rows: MyTables, id: str | None = None) -> Sequence[Row]:  # noqa: A002
        above = [] if id is None else [MyTable.id > int(id.removeprefix("gt."))]
        found = await rows.list(*above, *PAGE)
        return rows.to_schema(found, schema_type=Row).items

    @get("/{key:int}")
    async def row(self, rows: MyTables, key: int) -> Row:
        return rows.to_schema(await rows.get(key), schema_type=Row)

    @post()
    async def insert(self, rows: MyTables, data: NewRow) -> Row:
        return rows.to_schema(await rows.create(data), schema_type=Row)

    @patch("/{key:int}")
    async def change(self, rows: MyTables, key: int, data: NewRow) -> Row:
        return rows.to_schema(await rows.update(data, item_id=key), schema_type=Row)

    @post("/bulk")
    async def bulk(self, rows: MyTables, data: list[NewRow]) -> dict[str, int]:
        await rows.create_many(data)
        return {"inserted": len(data)}


@get("/api/access_token", dependencies={"tokens": Provide(create_service_provider(AccessTokens))})
async def to_one(tokens: AccessTokens) -> Sequence[OwnedToken]:
    found = await tokens.list(*PAGE, load=[joinedload(AccessToken.account)])
    return tokens.to_schema(found, schema_type=OwnedToken).items


@get("/api/account", dependencies={"accounts": Provide(create_service_provider(Accounts))})
async def to_many(accounts: Accounts) -> Sequence[Person]:
    live = Account.access_tokens.and_(AccessToken.revoked_at.is_(None))
    found = await accounts.list(*PAGE, load=[selectinload(live)])
    return accounts.to_schema(found, schema_type=Person).items


@get("/export", media_type="text/csv")
async def export(db_session: AsyncSession) -> Stream:
    async def lines() -> AsyncIterator[str]:
        yield "id,name\n"
        statement = select(MyTable.id, MyTable.name).order_by(MyTable.id)
        async for part in (await db_session.stream(statement)).partitions(1000):
            yield "".join([f"{row.id},{row.name}\n" for row in part])

    return Stream(lines(), media_type="text/csv")


config = SQLAlchemyAsyncConfig(
    connection_string=os.environ["DATABASE_URL"],
    engine_config=EngineConfig(pool_size=10, max_overflow=0),
    session_config=AsyncSessionConfig(expire_on_commit=False),
    before_send_handler="autocommit",
)
app = Litestar(
    [Rows, to_one, to_many, export],
    plugins=[SQLAlchemyPlugin(config=config)],
    request_max_body_size=100 * 1024 * 1024,
)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
