"""An HTTP server that can be stopped without losing a request."""

import asyncio
import json
import logging
import math
import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application

#: Seconds without any request in flight after which a stopped server counts as drained. A request
#: that a client sent on an open connection just before it could learn of the stop arrives in it.
QUIET_SECONDS = 0.2

#: Bytes of a request's body; a handler that takes more says so when it sees the headers.
MAX_BODY = 1024 * 1024

#: Bytes of a body beyond that which are read and thrown away before the answer: most clients send
#: all before they listen, and would miss what is said and the connection closed on them.
BEYOND = 16 * MAX_BODY

#: Seconds that a body may take to arrive; a handler that waits longer for one says so
#: (``set_body_timeout``). Not Tornado's limit, which makes a task of each body that it reads.
BODY_SECONDS = 30.0

#: Bytes of a request's headers. A request of up to four times as many is told so; on more the
#: connection is closed.
MAX_HEADERS = 64 * 1024

TOO_LARGE = "The body is larger than the service accepts."

log = logging.getLogger(__name__)


class Server(HTTPServer):
    """A server that knows which connections are owed an answer.

    A connection is owed one from the moment a request's headers are read until the last byte of
    the answer was handed to the kernel, or the connection closed. Tornado counts neither.
    """

    def initialize(  # type: ignore[override]
        self,
        application: Application,
        proxies: Sequence[str] = (),
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """See ``HTTPServer``; limits are set for a service, not for uploads.

        Of `proxies`, the header ``X-Forwarded-For`` is believed.
        """
        super().initialize(
            application,
            max_header_size=4 * MAX_HEADERS,
            max_body_size=sys.maxsize,  # Tornado would say 400, without a word; see _Begin
            idle_connection_timeout=75,
            xheaders=bool(proxies),
            trusted_downstream=list(proxies),
            **kwargs,
        )
        self.application = application
        self._owed: set[object] = set()
        self._changed = asyncio.Event()

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Tornado's word that a connection waits for its next request: it is owed nothing."""
        self._settle(server_conn)
        inner = super().start_request(server_conn, request_conn)
        return _Begin(self, server_conn, request_conn, inner)

    def begin(self, server_conn: object) -> None:
        """Count a request whose headers have arrived."""
        self._owed.add(server_conn)
        self._changed.set()

    def on_close(self, server_conn: object) -> None:
        """Tornado's word that a connection is gone."""
        self._settle(server_conn)
        super().on_close(server_conn)

    def in_flight(self) -> int:
        """Return how many connections are owed an answer."""
        return len(self._owed)

    def _settle(self, server_conn: object) -> None:
        self._owed.discard(server_conn)
        self._changed.set()

    async def drain(self, preroll: float, limit: float) -> bool:
        """Stop: refuse new connections, answer the requests in flight, close what is left.

        Every answer from now on asks its client to close the connection (``Connection: close``),
        and ``/readyz`` says that the service is draining.

        Args:
            preroll: Seconds to go on listening meanwhile.
            limit: Seconds to wait for requests in flight after that.

        Returns:
            Whether all of them were answered.

        """
        self.application.settings["draining"].set()
        self.conn_params.no_keep_alive = True
        await asyncio.sleep(preroll)
        self.stop()
        try:
            async with asyncio.timeout(limit):
                while self._owed or await self._begins_within(QUIET_SECONDS):
                    self._changed.clear()
                    if self._owed:
                        await self._changed.wait()
        except TimeoutError:
            log.warning("%d requests were not answered in time.", len(self._owed))
        drained = not self._owed
        await self.close_all_connections()
        return drained

    async def _begins_within(self, seconds: float) -> bool:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                while not self._owed:
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            return False
        return True


class _Begin(HTTPMessageDelegate):
    """Tells the server that a request has begun, and passes on what is not too large."""

    def __init__(
        self,
        server: Server,
        server_conn: object,
        request_conn: HTTPConnection,
        inner: HTTPMessageDelegate,
    ) -> None:
        self.server = server
        self.server_conn = server_conn
        self.request_conn = request_conn
        self.inner = inner
        self.timer: asyncio.TimerHandle | None = None
        self.refused = self.bodiless = False
        self.limit = math.inf
        self.arrived = 0

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Any:  # noqa: ANN401
        self.server.begin(self.server_conn)
        if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
            loop = asyncio.get_running_loop()
            self.timer = loop.call_later(BODY_SECONDS, self._give_up)
        assert isinstance(start_line, RequestStartLine)  # noqa: S101  (it is a server's)
        self.bodiless = start_line.method == "HEAD"
        if start_line.path[:8].lower().startswith(("http://", "https://")):
            # As to a proxy; a server has to understand that, too (RFC 9112, section 3.2.2).
            place = start_line.path.partition("://")[2].partition("/")[2]
            start_line = start_line._replace(path=f"/{place}")
        length = sum([len(name) + len(value) + 4 for name, value in headers.get_all()])
        if length + len(start_line.path) > MAX_HEADERS:
            return self._refuse(431, "The address and the headers are larger than is accepted.")
        prepared = self.inner.headers_received(start_line, headers)
        if prepared is None:  # else the handler takes the body in pieces, and has limits of its own
            self.limit = MAX_BODY
        declared = headers.get("Content-Length", "")
        if declared.isdecimal() and int(declared) > self.limit + BEYOND:
            return self._refuse(413, TOO_LARGE)
        return prepared

    def data_received(self, chunk: bytes) -> Any:  # noqa: ANN401
        self.arrived += len(chunk)
        if self.refused or self.arrived > self.limit:
            # A body in chunks does not say how long it is going to be.
            if not self.refused and self.arrived > self.limit + BEYOND:
                self._refuse(413, TOO_LARGE)
            return None
        return self.inner.data_received(chunk)

    def on_connection_close(self) -> None:
        self._arrived()
        self.inner.on_connection_close()

    def finish(self) -> None:
        self._arrived()
        if self.refused:
            return
        if self.arrived > self.limit:
            self._refuse(413, TOO_LARGE)
        else:
            self.inner.finish()

    def _arrived(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def _give_up(self) -> None:
        """Hang up on a body that takes too long, unless its handler has set a limit of its own."""
        connection = cast("HTTP1Connection", self.request_conn)
        if connection._body_timeout is None:  # noqa: SLF001  (what set_body_timeout set)
            connection.stream.close()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what the application shall not see, as a problem (RFC 9457)."""
        self.refused = True
        reason = HTTPStatus(status).phrase
        members = {"type": "about:blank", "title": reason, "status": status, "detail": detail}
        body = json.dumps(members).encode() + b"\n"
        headers = HTTPHeaders(
            {
                "Content-Type": "application/problem+json",
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
        )
        start_line = ResponseStartLine("HTTP/1.1", status, reason)
        self.request_conn.write_headers(start_line, headers, None if self.bodiless else body)
        self.request_conn.finish()
