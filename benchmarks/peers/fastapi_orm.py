"""What a user would otherwise pick: FastAPI, SQLAlchemy's asynchronous ORM and Pydantic.

Written as their documentation has it; the pool is as large as the service's.
"""

import os
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class MyTable(Base):
    __tablename__ = "my_table"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


@app.get("/", response_model=list[Row])
async def root(session: Annotated[AsyncSession, Depends(session)]) -> Sequence[MyTable]:
    return (await session.scalars(select(MyTable).order_by(MyTable.id))).all()


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
