"""Live changes: ``GET /api/{table}`` as a stream of events (WHATWG HTML, section 9.2).

What may be seen is asked anew for each event: who the token belongs to, and, by the statement that
reads the events, which rows and columns there are for it.
"""

import asyncio
import math
import re
import time
from contextlib import AsyncExitStack
from typing import cast

import psycopg

from project.api import events
from project.api.events import SPAN, Asked, Batch
from project.api.faults import FaultError
from project.follower import LAST, RETRY_SECONDS, Follower
from project.handlers.problems import Problem, ProblemError, unavailable
from project.handlers.refusals import is_unreadable
from project.handlers.resource import ResourceHandler
from project.models import AccessToken, Account
from project.pool import BusyError

#: Seconds of silence after which a sign of life is sent, lest a proxy closes the connection.
HEARTBEAT_SECONDS = 15.0

#: What a stream outlives: a database that restarts, or has no connection to spare.
PASSING = (psycopg.OperationalError, BusyError)

#: The tables whose changes may take a right away.
RIGHTS = (AccessToken.__tablename__, Account.__tablename__)

NUMBER = re.compile(r"\d{1,18}", re.ASCII)


async def follow(handler: ResourceHandler) -> None:
    """Send changes until the client leaves, loses its rights, or the service stops.

    Raises:
        FaultError: a parameter or Last-Event-ID cannot be used.
        ProblemError: 410 if the stream cannot be resumed there, 503 if nothing can be read now.

    """
    asked = events.asked(handler.view, handler.request.query)
    given = _last_event(handler)
    follower = cast("Follower", handler.settings["follower"])
    async with AsyncExitStack() as leaving:
        try:
            async with asyncio.timeout(handler.limits.pool_seconds):
                await leaving.enter_async_context(follower.following())
        except TimeoutError:
            raise ProblemError(unavailable("contention", "Others are writing.")) from None
        stream = Stream(handler, follower, asked, follower.complete if given is None else given)
        await stream.check()
        handler.set_header("Content-Type", f"{events.MEDIA_TYPE}; charset=UTF-8")
        handler.set_header("Cache-Control", "no-store")
        handler.set_header("X-Accel-Buffering", "no")  # nginx would wait for more
        await stream.send(events.opening(stream.position))
        if handler.request.method != "HEAD":
            await stream.run()
    handler.finish()


def _last_event(handler: ResourceHandler) -> int | None:
    text = handler.request.headers.get("Last-Event-ID", "").strip()
    if text and not NUMBER.fullmatch(text):
        raise FaultError(
            400, "Last-Event-ID is not the id of an event of this service.", kind="header"
        )
    return int(text) if text else None


class Stream:
    """The changes of a collection for one client: a position, and what is being sent.

    Nothing waits in a queue for a client: it is read when the client has taken what came before.
    """

    def __init__(
        self, handler: ResourceHandler, follower: Follower, asked: Asked, position: int | None
    ) -> None:
        self.handler = handler
        self.follower = follower
        self.asked = asked
        self.position = position or 0
        self.sent = time.monotonic()
        self.ends = math.inf  # when the token does
        self.confirmed = 0  # the change up to which the rights were looked at

    async def check(self) -> None:
        """Find out whether the stream can begin, as long as that can be answered."""
        await self.entitled()
        await self.read(self.position, self.position)
        await self.events()
        if self.position > (self.follower.complete or 0):
            # Another process may know of later events than this one does yet.
            [[last]] = await self.handler.connections.run(LAST)
            if self.position > int(last or 0):
                raise _gone()

    async def run(self) -> None:
        """Send what happens."""
        while not self.follower.over:
            try:
                more = await self.more()
            except psycopg.errors.QueryCanceled:
                raise
            except PASSING:
                await asyncio.sleep(RETRY_SECONDS)
                more = events.heartbeat(self.position) if self.silent() else b""
            if more is None:
                return
            if more:
                await self.send(more)

    async def more(self) -> bytes | None:
        """Wait for events, or for so long that a sign of life is due; None ends the stream."""
        batch = Batch(b"", self.position)
        left = min(self.sent + HEARTBEAT_SECONDS, self.ends) - time.monotonic()
        if await self.follower.beyond(self.position, max(left, 0)):
            batch = await self.events()
        # Asked after what is sent was read: whoever lost a right before it was written is not told.
        doubtful = batch.written or self.silent() or self.rights_changed()
        if doubtful and not await self.entitled():
            return None
        self.position = batch.upto
        return batch.written or (events.heartbeat(self.position) if self.silent() else b"")

    async def events(self) -> Batch:
        """Return the next events, if there are any by now."""
        complete = self.follower.complete or 0
        newest = self.follower.newest(self.handler.collection.name)
        if newest <= self.position:
            return Batch(b"", max(complete, self.position))
        batch = await self.read(self.position, min(newest, self.position + SPAN))
        return batch._replace(upto=complete) if batch.upto == newest else batch

    async def read(self, after: int, upto: int) -> Batch:
        """Read the events between two positions; streams that ask the same share the answer."""
        statement = self.asked.between(after, upto)
        connections, change = self.handler.connections, self.asked.change

        async def read() -> Batch:
            rows = await connections.run(statement.text, statement.values)
            return events.batch(rows, upto, change)

        try:
            return await self.follower.shared(statement, read)
        except psycopg.Error as error:
            if not is_unreadable(error):
                raise
            if statement.given:
                raise await self.handler.fault(statement.given) from error
            raise _gone() from error  # rows that were of other types then

    async def entitled(self) -> bool:
        """Say whether the token is still good for what it was."""
        authorization = self.handler.request.headers.get("Authorization")
        if authorization is None:
            return True
        self.confirmed = self.follower.complete or 0
        live = await self.handler.tokens.live(authorization)
        if live is not None and live.seconds is not None:
            self.ends = time.monotonic() + live.seconds
        return live is not None and live.asker == self.handler.asker

    def rights_changed(self) -> bool:
        """Say whether the token has ended, or somebody has changed a token or an account."""
        newest = max(self.follower.newest(table) for table in RIGHTS)
        return newest > self.confirmed or time.monotonic() >= self.ends

    def silent(self) -> bool:
        """Say whether a sign of life is due."""
        return time.monotonic() >= self.sent + HEARTBEAT_SECONDS

    async def send(self, text: bytes) -> None:
        """Send a piece.

        Raises:
            TimeoutError: the client does not take it in time; it comes back where it left off.

        """
        self.handler.write(text)
        await self.handler.send()
        self.sent = time.monotonic()


def _gone() -> ProblemError:
    detail = "The changes since then cannot be told; read the rows again, and follow from now on."
    return ProblemError(Problem(410, detail))
