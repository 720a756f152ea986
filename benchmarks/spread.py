"""How evenly do new connections fall on processes: with one socket for all, or one for each?

.venv/bin/python -m benchmarks.spread [processes] [connections]
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from socket import socket

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler


class Number(RequestHandler):
    def get(self) -> None:
        self.finish(str(os.getpid()))


async def serve(sockets: list[socket]) -> None:
    server = HTTPServer(Application([("/", Number)], log_function=lambda _: None))
    server.add_sockets(sockets)
    await asyncio.Event().wait()


async def ask(port: int) -> bytes:
    """Ask on a connection of its own, as all the others do at the same time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.rpartition(b"\r\n")[2]


async def answers(port: int, number: int) -> list[bytes]:
    return await asyncio.gather(*[ask(port) for _ in range(number)])


def main(processes: int = 4, connections: int = 200) -> None:
    for own in (False, True):
        first = bind_sockets(0, "127.0.0.1", reuse_port=own)
        port = first[0].getsockname()[1]
        more = range(processes - 1)
        sockets = [first]
        sockets += [
            bind_sockets(port, "127.0.0.1", reuse_port=True) if own else first for _ in more
        ]
        children = []
        for listening in sockets:
            if child := os.fork():
                children.append(child)
            else:
                asyncio.run(serve(listening))
        for _ in range(3):
            counted = Counter(asyncio.run(answers(port, connections)))
            print(f"{'one each ' if own else 'one socket'}", sorted(counted.values()))
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for listening in sockets:
            for each in listening:
                each.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
