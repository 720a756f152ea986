"""The ceiling: Tornado answering the same bytes from memory."""

import asyncio
import sys

from tornado.web import Application, RequestHandler


class Constant(RequestHandler):
    def get(self) -> None:
        self.set_status(STATUS)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(BODY)

    post = patch = get


async def main() -> None:
    Application([("/.*", Constant)], log_function=lambda _: None).listen(
        int(sys.argv[1]), "127.0.0.1"
    )
    await asyncio.Event().wait()


STATUS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
BODY = sys.stdin.buffer.read()
asyncio.run(main())
