"""The listener for Prometheus: what each of the processes says of itself, at one address.

Processes share the address; whichever is asked asks the others, each through a Unix socket.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from project.metrics import MEDIA_TYPE, joined

#: Seconds that another process may take to say its figures; its health check takes 2 at most.
ANSWER_SECONDS = 3

#: The figures of one process, as text.
Figures = Callable[[], Awaitable[str]]


@dataclass(frozen=True)
class Desk:
    """Where the processes can be asked.

    Attributes:
        public: The sockets of the address that Prometheus asks; all processes listen.
        private: For each process, the Unix socket on which it tells the others.

    """

    public: Sequence[socket.socket]
    private: Sequence[socket.socket]


@contextmanager
def desk(public: Sequence[socket.socket], processes: int) -> Iterator[Desk]:
    """Make the Unix sockets by which processes ask each other; they are gone after the block."""
    with ExitStack() as closing, TemporaryDirectory(prefix="project-") as folder:
        private = []
        for number in range(processes):
            listening = closing.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(Path(folder) / str(number)))
            listening.listen()
            listening.setblocking(False)  # noqa: FBT003
            private.append(listening)
        yield Desk(public, private)


async def tell(desk: Desk, number: int, figures: Figures) -> None:
    """Tell the figures of this process to the others, and those of all to Prometheus.

    Args:
        desk: Where they ask.
        number: Which of the processes this is.
        figures: What it says.

    """

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write((await figures()).encode())
            await writer.drain()
        writer.close()

    await asyncio.start_unix_server(answer, sock=desk.private[number])
    others = [each.getsockname() for each in desk.private if each is not desk.private[number]]
    routes = [("/metrics", All, {"figures": figures, "others": others})]
    server = HTTPServer(Application(routes, log_function=lambda _: None))
    server.add_sockets(desk.public)


class All(RequestHandler):
    """The figures of all processes."""

    def initialize(self, figures: Figures, others: Sequence[str]) -> None:
        """See Tornado; the route says whom to ask."""
        self.figures = figures
        self.others = others

    async def get(self) -> None:
        """Answer with the figures of this process, and of those that answer in time."""
        texts = await asyncio.gather(self.figures(), *[ask(path) for path in self.others])
        self.set_header("Content-Type", MEDIA_TYPE)
        self.finish(joined(texts))


async def ask(path: str) -> str:
    """Return the figures of another process; nothing, if it does not answer."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return (await reader.read()).decode()
            finally:
                writer.close()
    return ""
