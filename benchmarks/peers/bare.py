"""The ceiling: Tornado answering the same bytes from memory."""

import asyncio
import sys

from tornado.web import Application, RequestHandler


class Constant(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(BODY)


async def main() -> None:
    Application([("/", Constant)], log_function=lambda _: None).listen(
        int(sys.argv[1]), "127.0.0.1"
    )
    await asyncio.Event().wait()


BODY = sys.stdin.buffer.read()
asyncio.run(main())
