"""A service on a database of its own, to which something is done; and what came of it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from benchmarks import stage
from benchmarks.api import make_token


class Client(NamedTuple):
    """Asks a service on this machine."""

    port: int
    token: str = ""

    async def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> HTTPResponse:
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            body=body,
            headers=headers,
            raise_error=False,
            allow_nonstandard_methods=True,
            request_timeout=30,
        )

    async def statuses(self, requests: Iterable[Awaitable[HTTPResponse]]) -> Counter[int]:
        return Counter(answer.code for answer in await asyncio.gather(*requests))


@dataclass
class Verdict:
    said: str
    wrong: list[str] = field(default_factory=list)

    def expect(self, sentence: str, *, holds: bool) -> None:
        if not holds:
            self.wrong.append(sentence)


@dataclass
class Trial:
    """A service on a database of its own."""

    url: URL
    running: ExitStack
    seconds: float
    log: Path

    def serve(self, **variables: str) -> Client:
        port = stage.free_port()
        self.running.enter_context(stage.service(self.url, port, self.log, **variables))
        return Client(port, make_token(stage.environment(self.url)))

    def count(self) -> int:
        return stage.count(self.url, "SELECT count(*) FROM my_table")
