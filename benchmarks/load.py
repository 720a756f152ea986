"""Keep-alive clients in a closed loop: each sends its next request when the last was answered.

As little Python a request as possible, since client, service and database share the machine.
"""

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial


@dataclass
class Tally:
    """What the clients saw."""

    answered: int = 0
    failed: int = 0  # another status than 200
    lost: int = 0  # connections that ended while a request was unanswered
    refused: int = 0  # connections that could not be opened
    seconds: list[float] = field(default_factory=list)
    stopping: bool = False

    def quantile(self, share: float) -> float:
        """Milliseconds within which that share of the requests was answered."""
        return 1000 * sorted(self.seconds)[int(share * (len(self.seconds) - 1))]

    @property
    def errors(self) -> int:
        return self.failed + self.lost + self.refused


class Client(asyncio.Protocol):
    """One connection; answers have a Content-Length or are chunked."""

    def __init__(self, request: bytes, tally: Tally, status: bytes = b"200") -> None:
        self.status = b"HTTP/1.1 " + status
        self.request = request
        self.tally = tally
        self.received = bytearray()
        self.end = 0
        self.asked = 0.0
        self.owed = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.received.clear()
        self.end = 0
        self.owed = True
        self.asked = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.end and (head := self.received.find(b"\r\n\r\n")) >= 0:
            headers = bytes(self.received[:head]).lower()
            _, found, length = headers.partition(b"content-length:")
            self.end = head + 4 + int(length.partition(b"\r")[0]) if found else -1
        if self.end > 0:
            complete = len(self.received) >= self.end
        else:
            complete = self.end < 0 and self.received.endswith(b"\r\n0\r\n\r\n")
        if complete:
            self.answered()

    def answered(self) -> None:
        self.owed = False
        self.tally.answered += 1
        self.tally.failed += not self.received.startswith(self.status)
        self.tally.seconds.append(time.perf_counter() - self.asked)
        if b"\r\nConnection: close\r\n" in self.received[:1000]:
            return
        if self.tally.stopping:
            self.transport.close()
        else:
            self.ask()

    def connection_lost(self, _error: Exception | None) -> None:
        self.tally.lost += self.owed
        if not self.closed.done():
            self.closed.set_result(None)


def get(path: str, token: str = "") -> bytes:
    """A request to read."""
    who = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n{who}\r\n".encode()


def send(method: str, path: str, body: bytes, token: str = "") -> bytes:
    """A request to change something."""
    who = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
        f"{who}Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def clients(port: int, path: str, number: int, seconds: float, tally: Tally) -> None:
    """Run clients that read for a time, then let each finish its last request."""
    await ask(port, get(path), number, seconds, tally)


async def ask(  # noqa: PLR0913, PLR0917
    port: int,
    request: bytes,
    number: int,
    seconds: float,
    tally: Tally,
    status: bytes = b"200",
) -> None:
    """Run clients for a time, then let each finish its last request.

    Each has its own number, from 1, in place of ``{client}``.
    """
    loop = asyncio.get_running_loop()
    opened = []
    for client_number in range(1, number + 1):
        own = request.replace(b"{client}", str(client_number).encode())
        try:
            _, client = await loop.create_connection(
                partial(Client, own, tally, status), "127.0.0.1", port
            )
        except OSError:
            tally.refused += 1
        else:
            opened.append(client.closed)
    await asyncio.wait(opened, timeout=seconds)
    tally.stopping = True
    await asyncio.wait(opened, timeout=30)
