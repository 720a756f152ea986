"""What requests that change rows have in common: their bodies, conditions and answers."""

import functools
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import quote

import msgspec
import psycopg
from tornado.web import HTTPError, stream_request_body

from project.api import rendering
from project.api.changing import Condition
from project.api.collection import Collection
from project.api.faults import FaultError
from project.api.once import Once
from project.api.payload import Row as Payload
from project.api.payload import given_of
from project.api.query import read_parameters
from project.api.statement import Given, Statement
from project.api.written import whole
from project.connection import Rows
from project.follower import Follower
from project.handlers.base import JSON
from project.handlers.problems import Problem, ProblemError
from project.handlers.refusals import is_unreadable
from project.handlers.resource import ResourceHandler

TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')

#: What a client may call a request: printable, and as long as the column.
KEY = re.compile(r"[\x20-\x7e]{1,255}")

#: In what characters a body is encoded, if its type says so.
CHARSET = re.compile(r';\s*charset="?([^\s;"]+)', re.IGNORECASE)

#: Bytes of a body, but for one that is loaded in bulk.
BODY = 1024 * 1024

#: Bytes beyond a limit that are read and thrown away, so that the client comes to hear of it: most
#: send all before they listen, and a connection that is closed on them takes the answer along.
BEYOND = 16 * 1024 * 1024


#: What PostgREST's clients may prefer that would make of a change another one: a preference that is
#: not known is ignored (RFC 7240), and they would not notice.
UNMET = {
    ("tx", "rollback"): "Every change that is answered with success is carried out.",
    ("resolution", "merge-duplicates"): "PUT a row at its key: that inserts or replaces it.",
    ("resolution", "ignore-duplicates"): "A row that is there already makes the request fail.",
}


#: Methods whose requests have bodies.
WITH_BODY = frozenset({"DELETE", "PATCH", "POST", "PUT"})


class ChangingHandler(ResourceHandler):
    """A request that may change rows; its body arrives in pieces, and no more of it than may.

    Served as :func:`in_pieces` for the methods that have bodies, and as it is for the others: to
    be told that there is no body would cost each page two turns of the event loop.
    """

    largest = BODY
    arrived = 0

    def initialize(self, collection: Collection) -> None:
        """See Tornado."""
        super().initialize(collection)
        self.received = bytearray()

    async def prepare(self) -> None:  # type: ignore[override]
        """Before the body is read: who asks, and how much may come?"""
        await super().prepare()
        self.largest = self.room()
        length = self.request.headers.get("Content-Length", "")
        waits = self.request.headers.get("Expect", "").lower() == "100-continue"
        if length.isdecimal() and int(length) > self.largest + (0 if waits else BEYOND):
            raise HTTPError(413)

    def room(self) -> int:
        """Return how many bytes of a body may come."""
        return BODY

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body, unless there is too much of it."""
        self.arrived += len(chunk)
        if self.arrived <= self.largest:
            self.keep(chunk)
        elif self.arrived > self.largest + BEYOND:
            # It came in chunks, and may go on for ever: Tornado hangs up when this is sent.
            self.send_error(413)

    def keep(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        self.received += chunk

    def body_as(self, *media_types: str) -> bytes:
        """Return the body, if it is of one of these types.

        Raises:
            ProblemError: 415 if it is of another.
            HTTPError: 413 if it is too large.
            FaultError: the request has parameters, which a change takes none of.

        """
        if self.arrived > self.largest:
            raise HTTPError(413)
        for name, _ in read_parameters(self.request.query):
            raise FaultError(400, f"A {self.request.method} takes no parameters, such as {name}.")
        for wish, instead in UNMET.items():
            if wish in self.preferences().items():
                raise FaultError(
                    400, f"Prefer: {'='.join(wish)} is not met here. {instead}", kind="header"
                )
        coding = self.request.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            detail = f"The body is encoded as {coding}; send it as it is."
            raise ProblemError(Problem(415, detail, headers=(("Accept-Encoding", "identity"),)))
        charset = CHARSET.search(self.request.headers.get("Content-Type", ""))
        if charset and charset[1].lower() not in {"utf-8", "us-ascii"}:
            raise ProblemError(Problem(415, f"The body is in {charset[1]}; send it in UTF-8."))
        sent = self.media_type()
        if sent not in media_types:
            accepted = ", ".join(media_types)
            headers = ((f"Accept-{(self.request.method or '').capitalize()}", accepted),)
            detail = f"The body is of type {sent}; this address takes {accepted}."
            raise ProblemError(Problem(415, detail, headers=headers))
        return self.content()

    def media_type(self) -> str:
        """Return the type of the body, without its parameters."""
        return self.request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()

    def content(self) -> bytes:
        """Return the body."""
        return bytes(self.received)

    def match(self) -> list[str] | None:
        """Return the tags of which the row must have one (RFC 9110, 13.1.1); None for any.

        Raises:
            ProblemError: 428 where the resource wants to know and the client does not say.

        """
        header = self.request.headers.get("If-Match", "").strip()
        if header:
            return strong_tags(header)
        if self.collection.resource.match_required:
            detail = "Say in If-Match which version of the row the change is based on."
            raise ProblemError(Problem(428, detail))
        return None

    def condition(self) -> Condition:
        """Return what the row must be to be changed (RFC 9110, 13.1).

        Raises:
            ProblemError: 428 where the resource wants to know and the client does not say.

        """
        match, header = self.match(), self.request.headers.get("If-None-Match", "").strip()
        if header == "*":
            return Condition([])  # no row that is there is one that is not there
        return Condition(match, [found[0].removeprefix("W/") for found in TAG.finditer(header)])

    def once(self, body: bytes) -> Once | None:
        """Return what the client calls this request, if it does."""
        key = self.request.headers.get("Idempotency-Key")
        if key is None:
            return None
        if not KEY.fullmatch(key):
            raise FaultError(
                400, "Idempotency-Key must be 1 to 255 printable ASCII characters.", kind="header"
            )
        asked = b"\0".join([self.request.path.encode(), body])
        return Once(key, hashlib.sha256(asked).digest())

    async def change(
        self,
        run: Callable[[], Awaitable[Rows]],
        rows: list[Payload],
        key: tuple[Given, ...] = (),
        *,
        many: bool = False,
    ) -> Rows:
        """Run a change.

        Raises:
            FaultError: PostgreSQL does not take a value; it is pointed at.
            ProblemError: PostgreSQL refuses the change.

        """
        try:
            answer = await self.attempt(run, many=many)
        except psycopg.Error as error:
            if not is_unreadable(error):
                raise
            given = (*key, *given_of(self.collection, rows, many=many))
            raise await self.fault(given, 422) from error
        self.tell()
        return answer

    def tell(self) -> None:
        """Wake those who follow the changes, here and in other processes."""
        cast("Follower", self.settings["follower"]).tell()

    async def changed(self, statement: Statement, row: Payload) -> Rows:
        """Run the change of one row, which the statement's own values address.

        Raises:
            ProblemError: 404 if there is no such row, 412 if it is another version.

        """
        answer = await self.change(lambda: self.run(statement), [row], statement.given)
        self.check(answer)
        return answer

    def check(self, answer: Rows) -> None:
        """Go on only if the row was there, and the one that the client meant."""
        [(found, changed, *_)] = answer
        if found == b"0":
            raise self.missing()
        if changed == b"0":
            detail = "The row is another by now, or the one that it must not be; read it again."
            raise ProblemError(Problem(412, detail))

    async def run(self, statement: Statement) -> Rows:
        """Run a statement in a transaction of its own."""
        return await self.connections.run(statement.text, statement.values)

    def place(self, key: bytes) -> str:
        """Return the address of the row with a key."""
        values = msgspec.json.decode(key, type=list[str])
        return f"{self.collection.address}/{','.join(quote(value, safe='') for value in values)}"

    def show(self, status: int, body: bytes) -> None:
        """Answer with what was written, unless the client can do without."""
        wish = self.preferences().get("return")
        if wish in {"minimal", "headers-only", "representation"}:
            self.applied(f"return={wish}")
        if wish in {"minimal", "headers-only"}:
            self.set_status(201 if status == 201 else 204)  # noqa: PLR2004
            return
        if change := rendering.change_of(whole(self.view)):
            array = body.startswith(b"[")
            body = rendering.rendered(change, body.strip()[1:-1] if array else body)
            body = b"[%b]\n" % body if array else body + b"\n"
        self.set_status(status)
        self.set_header("Content-Type", f"{JSON}; charset=UTF-8")
        self.write(body)


def strong_tags(header: str) -> list[str] | None:
    """Return the tags of If-Match; None for any. A weak one never matches (RFC 9110, 8.8.3.2)."""
    if header.strip() == "*":
        return None
    return [found[0] for found in TAG.finditer(header) if not found[1]]


@functools.cache
def in_pieces(handler: type[ChangingHandler]) -> type[ChangingHandler]:
    """Return a handler that is told of each piece of a body as it arrives."""
    return stream_request_body(type(handler.__name__, (handler,), {}))
