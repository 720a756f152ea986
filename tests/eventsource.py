"""A client of event streams, as browsers have one: it remembers how far it has come."""

import asyncio
import json
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, NamedTuple

NONE: Mapping[str, str] = MappingProxyType({})


class Event(NamedTuple):
    id: int
    name: str
    data: dict[str, Any]


class EventSource:
    """One open stream; `last` is what a browser would send as Last-Event-ID when it comes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = ""
        self.status = 0
        self.last: int | None = None
        self.heartbeats = 0
        self.lines: list[str] = []
        self.ready: deque[str] = deque()
        self.rest = b""

    async def start(self, path: str, headers: dict[str, str]) -> None:
        sent = {"Host": "test", "Accept": "text/event-stream", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self.writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        self.status = int(self.head.split()[1])

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until the stream ends as it should; one that breaks off raises."""
        async for line in self._lines():
            if line:
                self.lines.append(line)
                continue
            fields = dict(each.split(": ", 1) for each in self.lines)
            self.heartbeats += "" in fields
            self.lines = []
            self.last = int(fields["id"]) if "id" in fields else self.last
            if "data" in fields:
                yield Event(self.last or 0, fields["event"], json.loads(fields["data"]))

    async def take(self, number: int) -> list[Event]:
        found: list[Event] = []
        async with asyncio.timeout(30):
            async for event in self.events():
                found.append(event)
                if len(found) == number:
                    return found
        raise AssertionError(f"the stream ended after {found}")

    async def end(self) -> list[Event]:
        """Wait for the end; return what came until then."""
        async with asyncio.timeout(30):
            return [event async for event in self.events()]

    async def broken_off(self) -> list[Event]:
        """Wait until the stream breaks off; return what came until then."""
        found: list[Event] = []
        with suppress(asyncio.IncompleteReadError):
            async for event in self.events():
                found.append(event)  # noqa: PERF401  (it raises)
            raise AssertionError("the stream ended as it should")
        return found

    async def _lines(self) -> AsyncIterator[str]:
        """Yield lines; they are kept meanwhile, as nobody need take them all."""
        while True:
            while self.ready:
                yield self.ready.popleft()
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            *lines, self.rest = (self.rest + await self.reader.readexactly(size)).split(b"\n")
            self.ready += [line.decode() for line in lines]
            await self.reader.readexactly(2)
            if size == 0:
                return


@asynccontextmanager
async def source(
    port: int, path: str, headers: Mapping[str, str] = NONE, last: int | None = None
) -> AsyncIterator[EventSource]:
    """Open a stream, by a client whose system keeps little of what it does not take."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    connection.settimeout(0)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    opened = EventSource(*await asyncio.open_connection(sock=connection))
    resumed = {} if last is None else {"Last-Event-ID": str(last)}
    await opened.start(path, {**resumed, **headers})
    try:
        yield opened
    finally:
        opened.writer.close()
