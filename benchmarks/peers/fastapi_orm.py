"""What a user would otherwise pick: FastAPI, SQLAlchemy's asynchronous ORM and Pydantic.

Written as their documentation has it; the pool is as large as the service's.
"""

import hashlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from models import AccessToken, Account, AuditEntry, MyTable
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, or_, select
from sqlalchemy import insert as insert_rows
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload, selectinload


class Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


class NewRow(BaseModel):
    name: Annotated[str, Field(max_length=50)]


class Owner(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    email: str
    role: str


class Token(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    label: str


class OwnedToken(Token):
    account: Owner


class Person(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    access_token: list[Token] = Field(validation_alias="access_tokens")


engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


async def who(
    session: Annotated[AsyncSession, Depends(session)],
    authorization: Annotated[str | None, Header()] = None,
) -> Account | None:
    """Look up the token that a request shows; the bare requests show none."""
    if authorization is None:
        return None
    digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).digest()
    live = (
        select(Account)
        .join(AccessToken)
        .where(
            AccessToken.token_hash == digest,
            AccessToken.revoked_at.is_(None),
            or_(AccessToken.expires_at.is_(None), AccessToken.expires_at > func.now()),
        )
    )
    account = await session.scalar(live)
    if account is None:
        raise HTTPException(401)
    return account


Who = Annotated[Account | None, Depends(who)]


def shown(row: MyTable) -> dict[str, object]:
    return {"id": row.id, "name": row.name}


@app.get("/", response_model=list[Row])
async def root(session: Annotated[AsyncSession, Depends(session)]) -> Sequence[MyTable]:
    return (await session.scalars(select(MyTable).order_by(MyTable.id))).all()


@app.get("/api/my_table", response_model=list[Row])
async def page(
    session: Annotated[AsyncSession, Depends(session)],
    id: str | None = None,  # noqa: A002
) -> Sequence[MyTable]:
    rows = select(MyTable).order_by(MyTable.id).limit(100)
    if id is not None:
        rows = rows.where(MyTable.id > int(id.removeprefix("gt.")))
    return (await session.scalars(rows)).all()


@app.get("/api/my_table/{key}", response_model=Row)
async def row(session: Annotated[AsyncSession, Depends(session)], key: int) -> MyTable:
    found = await session.get(MyTable, key)
    if found is None:
        raise HTTPException(404)
    return found


@app.post("/api/my_table", response_model=Row, status_code=201)
async def insert(
    session: Annotated[AsyncSession, Depends(session)], given: NewRow, account: Who
) -> MyTable:
    made = MyTable(**given.model_dump())
    session.add(made)
    if account is not None:
        await session.flush()
        session.add(
            AuditEntry(
                account_id=account.id,
                action="insert",
                table_name="my_table",
                row_key={"id": made.id},
                after=shown(made),
            )
        )
    await session.commit()
    return made


@app.patch("/api/my_table/{key}", response_model=Row)
async def change(
    session: Annotated[AsyncSession, Depends(session)], key: int, given: NewRow, account: Who
) -> MyTable:
    found = await session.get(MyTable, key, with_for_update=account is not None)
    if found is None:
        raise HTTPException(404)
    before = shown(found)
    found.name = given.name
    if account is not None:
        session.add(
            AuditEntry(
                account_id=account.id,
                action="update",
                table_name="my_table",
                row_key={"id": found.id},
                before=before,
                after=shown(found),
            )
        )
    await session.commit()
    return found


@app.get("/api/access_token", response_model=list[OwnedToken])
async def to_one(
    session: Annotated[AsyncSession, Depends(session)], _account: Who
) -> Sequence[AccessToken]:
    tokens = select(AccessToken).options(joinedload(AccessToken.account))
    return (await session.scalars(tokens.order_by(AccessToken.id).limit(100))).all()


@app.get("/api/account", response_model=list[Person])
async def to_many(
    session: Annotated[AsyncSession, Depends(session)], _account: Who
) -> Sequence[Account]:
    live = Account.access_tokens.and_(AccessToken.revoked_at.is_(None))
    accounts = select(Account).options(selectinload(live))
    return (await session.scalars(accounts.order_by(Account.id).limit(100))).all()


@app.post("/api/my_table/bulk", status_code=201)
async def bulk(
    session: Annotated[AsyncSession, Depends(session)], given: list[NewRow]
) -> dict[str, int]:
    await session.execute(insert_rows(MyTable), [row.model_dump() for row in given])
    await session.commit()
    return {"inserted": len(given)}


@app.get("/export")
async def export() -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        yield "id,name\n"
        statement = select(MyTable.id, MyTable.name).order_by(MyTable.id)
        async with sessions() as opened:
            async for part in (await opened.stream(statement)).partitions(1000):
                yield "".join([f"{row.id},{row.name}\n" for row in part])

    return StreamingResponse(lines(), media_type="text/csv")


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
