"""The handler that every other one extends: methods, errors, and clients that leave."""

import asyncio
import functools
import json
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Any, cast

import mimeparse
from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler

from project import logs
from project.api.faults import FaultError
from project.handlers.problems import MEDIA_TYPE, Problem, ProblemError, problem_of
from project.pool import Connections
from project.replica import Reads
from project.revisions import History
from project.settings import Settings

log = logging.getLogger(__name__)

JSON = "application/json"
HTML = "text/html"

#: Pages have styles of their own, and nothing else: no script, no picture, no form, no frame.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)

#: Headers that a page of another origin may read, and those that it may send.
EXPOSED = "Content-Range, ETag, Link, Location, Preference-Applied, Retry-After"
ACCEPTED = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer"
)

#: What the access log shows for a client that left before it was answered (nginx's number).
CLIENT_LEFT = 499


class Handler(RequestHandler):
    """A request, its way to the database and its answer.

    Subclasses define ``get`` and the like; ``HEAD``, ``OPTIONS``, the ``Allow`` header and errors
    follow from that.
    """

    _task: asyncio.Task[Any] | None = None

    @functools.cached_property
    def request_id(self) -> str:
        """What the request is called, in logs and in the answer's ``X-Request-ID``."""
        return logs.named(self.request.headers.get("X-Request-ID"))

    @property
    def connections(self) -> Connections:
        """The connections to the database."""
        return cast("Connections", self.settings["connections"])

    @property
    def reads(self) -> Reads:
        """Where to read: a copy of the database, if there is one and the client can do with it."""
        if "no-cache" in self.request.headers.get("Cache-Control", "").lower():
            return self.connections
        return cast("Reads", self.settings["reads"])

    @property
    def history(self) -> History:
        """The migrations that this code knows."""
        return cast("History", self.settings["history"])

    @property
    def limits(self) -> Settings:
        """The service's settings."""
        return cast("Settings", self.settings["settings"])

    @property
    def draining(self) -> bool:
        """Whether the service is about to stop."""
        return cast("asyncio.Event", self.settings["draining"]).is_set()

    def set_default_headers(self) -> None:
        """Say to browsers what they may do with whatever is answered: next to nothing."""
        self.set_header("X-Request-ID", self.request_id)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        if origins := self.limits.origins():
            self.add_header("Vary", "Origin")
            origin = self.request.headers.get("Origin")
            if origin in origins:
                self.set_header("Access-Control-Allow-Origin", origin)
                self.set_header("Access-Control-Expose-Headers", EXPOSED)

    def prepare(self) -> None:
        """Remember the task, so that it can be stopped when the client leaves."""
        logs.request_id.set(self.request_id)
        self._task = asyncio.current_task()

    async def head(self, *args: str) -> None:
        """Answer like ``GET``; Tornado leaves the body out."""
        answer = cast("Any", self).get(*args)
        if answer is not None:
            await answer

    def options(self, *_args: str) -> None:
        """Say which methods this address answers."""
        self.set_status(204)
        self.set_header("Allow", self.allowed())
        if "Access-Control-Allow-Origin" in self._headers:
            self.set_header("Access-Control-Allow-Methods", self.allowed())
            self.set_header("Access-Control-Allow-Headers", ACCEPTED)
            self.set_header("Access-Control-Max-Age", "600")

    def allowed(self) -> str:
        """Return the methods that the handler defines, as the ``Allow`` header has them."""
        return ", ".join(sorted(self.defined()))

    def instead(self) -> str | None:
        """Say what to do instead of asking by a method that is not answered, if there is a way."""
        return None

    @classmethod
    def defined(cls) -> set[str]:
        """Return the methods that the handler defines."""
        defined = {
            method
            for method in cls.SUPPORTED_METHODS
            if getattr(cls, method.lower()) is not getattr(RequestHandler, method.lower())
        }
        return defined if "GET" in defined else defined - {"HEAD"}

    def accepted(self, offers: Sequence[str]) -> str | None:
        """Return which of the media types the client would rather have, or None.

        Where it likes several alike, the last offer wins.
        """
        self.add_header("Vary", "Accept")
        return _best(tuple(offers), self.request.headers.get("Accept") or "*/*")

    async def send(self) -> None:
        """Send what was written so far, and let other requests have a turn.

        Raises:
            TimeoutError: the client does not take it in time. Its connection is no use then.

        """
        async with asyncio.timeout(self.limits.client_seconds):
            await self.flush()
        # A client as fast as the database would leave nothing to wait for, and the loop to us.
        await asyncio.sleep(0)

    def on_connection_close(self) -> None:
        """Stop working for a client that has left; statements are cancelled on the way out."""
        super().on_connection_close()
        if self._task is not None:
            self._task.cancel()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:  # noqa: ANN401
        """Answer with an error, or break off an answer that has already begun.

        Tornado would end the latter as if it were whole, and the client could not tell.
        """
        connection = cast("HTTP1Connection", self.request.connection)
        if connection.stream.closed():
            self.set_status(CLIENT_LEFT, "Client Closed Request")
            self.finish_quietly()
        elif self._headers_written:
            error = kwargs.get("exc_info", (None, None))[1]
            too_slow = isinstance(error, TimeoutError)
            self.set_status(CLIENT_LEFT if too_slow else status_code, "Broken Off")  # for the log
            connection.stream.close()
            self.finish_quietly()
        else:
            super().send_error(status_code, **kwargs)

    def finish_quietly(self) -> None:
        """End a request whose connection is gone: count and log it, send nothing."""
        if not self._finished:
            future = self.finish()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401
        """Write a problem: as JSON to programs, as a page to browsers."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        problem = problem_of(error, status_code)
        self.set_status(problem.status)
        for name, value in problem.headers:
            self.set_header(name, value)
        if problem.status == 405:  # noqa: PLR2004
            self.set_header("Allow", self.allowed())
            problem = problem._replace(detail=self.instead() or problem.detail)
        members = problem.members(self.request.path)
        if self.accepted([HTML, JSON, MEDIA_TYPE]) == HTML:
            self.set_header("Content-Type", "text/html; charset=UTF-8")
            self.render("problem.html", **members)
        else:
            self.set_header("Content-Type", MEDIA_TYPE)
            self.finish(json.dumps(members) + "\n")

    def log_exception(
        self,
        _type: type[BaseException] | None,
        value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Log what was not foreseen with its traceback, what was in a line, the rest not at all.

        The access log has the status of every answer.
        """
        if isinstance(value, HTTPError | FaultError | TimeoutError):
            return
        status = problem_of(value, 500).status
        if status == 500:  # noqa: PLR2004
            # Not Tornado's own line: it has the query, which may hold a secret.
            request = f"{self.request.method} {self.request.path}"
            log.error("%s failed", request, exc_info=value)
        else:
            log.warning("%s %s: %s", self.request.method, self.request.path, _line(value))


class NotFound(Handler):
    """Answers every address that no other handler has."""

    def prepare(self) -> None:
        """Refuse, whatever the method."""
        super().prepare()
        raise ProblemError(Problem(404, f"Nothing is served at {self.request.path}."))


def _line(error: BaseException | None) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@functools.lru_cache(maxsize=256)
def _best(offers: tuple[str, ...], accept: str) -> str | None:
    """Parse an Accept header (RFC 9110, section 12.5.1); one that cannot be read accepts all."""
    try:
        return mimeparse.best_match(offers, accept) or None
    except mimeparse.MimeTypeParseException:
        return offers[-1]
