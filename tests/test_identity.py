"""Tokens are looked up together, and never by an answer that is older than the request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import psycopg
import pytest

from project.api.access import Asker
from project.connection import Rows
from project.handlers.identity import Tokens
from project.models import Role
from project.models.access_token import token_hash
from project.pool import Connections

from .conftest import until


class Database:
    """Answers statements when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[set[bytes], asyncio.Future[Rows]]] = []

    @asynccontextmanager
    async def lend(self) -> AsyncIterator["Database"]:
        yield self

    async def run(self, _text: bytes, values: Sequence[list[bytes]]) -> Rows:
        answer: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self.asked.append((set(values[0]), answer))
        return await answer

    async def is_asked(self, times: int) -> None:
        async def reached() -> bool:
            return len(self.asked) == times

        await until(reached)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def tokens(database: Database) -> Tokens:
    return Tokens(cast("Connections", database))


def row(token: str) -> tuple[bytes, ...]:
    return (b"\\x" + token_hash(token).hex().encode(), b"7", b"editor", b"3", b"false", b"5.5")


async def test_who_comes_while_a_lookup_is_on_its_way_waits_for_the_next(
    database: Database, tokens: Tokens
) -> None:
    first = asyncio.create_task(tokens.live("Bearer a"))
    await database.is_asked(1)
    later = [asyncio.create_task(tokens.live(f"Bearer {token}")) for token in "aab"]
    gone = asyncio.create_task(tokens.live("Bearer c"))
    await asyncio.sleep(0)  # one turn of the loop: those tasks have asked
    gone.cancel()
    database.asked[0][1].set_result([row("a")])
    live = await first
    assert live is not None
    assert (live.asker, live.seconds) == (Asker(7, Role.editor), 5.5)
    # Revoked meanwhile: the answer that the first one got is none for those who came after it.
    await database.is_asked(2)
    hashes, answer = database.asked[1]
    assert hashes == {token_hash(token) for token in "abc"}
    answer.set_result([row("b")])
    found = await asyncio.gather(*later)
    assert [live and live.asker for live in found] == [None, None, Asker(7, Role.editor)]


async def test_a_lookup_that_fails_fails_for_those_who_waited_for_it(
    database: Database, tokens: Tokens
) -> None:
    first = asyncio.create_task(tokens.live("Bearer a"))
    await database.is_asked(1)
    second = asyncio.create_task(tokens.live("Bearer a"))
    await asyncio.sleep(0)  # one turn of the loop: that task has asked
    database.asked[0][1].set_exception(psycopg.OperationalError("gone"))
    with pytest.raises(psycopg.OperationalError):
        await first
    await database.is_asked(2)
    database.asked[1][1].set_result([row("a")])
    assert await second is not None


async def test_what_is_no_bearer_token_is_not_looked_up(database: Database, tokens: Tokens) -> None:
    assert await tokens.live("Basic YTpi") is None
    assert await tokens.live("") is None
    assert database.asked == []
