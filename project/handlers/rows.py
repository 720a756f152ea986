"""``/api/{table}``: pages of rows, exports of all of them, and new rows."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
import psycopg

from project.api import events, inserting, openapi, reading, rendering
from project.api.once import Once, answered
from project.api.payload import Row as Payload
from project.api.payload import read_body, reader
from project.api.query import Query, read_parameters, read_query
from project.api.reading import Question
from project.api.statement import Statement
from project.handlers import live
from project.handlers.base import JSON
from project.handlers.loading import CSV, NDJSON, LoadingHandler
from project.handlers.problems import Problem, ProblemError, unavailable
from project.handlers.refusals import OnceError, is_unreadable
from project.handlers.resource import writes
from project.models import Audience

COPY_CSV = b"COPY (%b) TO STDOUT (FORMAT csv, HEADER)"

#: As CSV with one column, and for delimiter and quote two characters that JSON never holds as they
#: are: so each row is a line, and nothing in it is escaped a second time.
COPY_LINES = rb"COPY (%b) TO STDOUT (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')"


#: What is done to a row at its key, and to no others.
ONE_BY_ONE = frozenset({"PUT", "PATCH", "DELETE"})


class Rows(LoadingHandler):
    """The rows of a collection."""

    async def get(self) -> None:
        """Answer with a page as a JSON array, with all rows as lines of JSON or as CSV, or live."""
        self.admit_reader()
        match self.accepted(self.offers()):
            case "application/json":
                await self.page(reading.page_asked(self.view, self.request.query))
            case "application/x-ndjson" | "text/csv" as form:
                parameters = read_parameters(self.request.query)
                query = read_query(self.collections, self.collection, self.asker, parameters)
                await self.count(query, None)
                await self.export(query, form)
            case events.MEDIA_TYPE:
                await live.follow(self)
            case openapi.ONE:
                await self.single(reading.page_asked(self.view, self.request.query))
            case _:
                forms = ", ".join(reversed(self.offers()))
                raise ProblemError(Problem(406, f"This address has {forms}."))

    def offers(self) -> list[str]:
        """Return the forms that the rows have; what nobody may change has no changes."""
        fixed = self.collection.resource.write is Audience.nobody
        return [*([] if fixed else [events.MEDIA_TYPE]), openapi.ONE, CSV, NDJSON, JSON]

    def instead(self) -> str | None:
        """Say where rows are changed, to whoever tries it here with a filter."""
        if self.request.method in ONE_BY_ONE:
            return f"Rows are changed one at a time, at {self.request.path}/{{key}}."
        return None

    @writes
    async def post(self) -> None:
        """Insert a row; or all rows of an array, of lines or of a table, or none."""
        body = self.body_as(JSON, NDJSON, CSV)
        if self.file is not None:
            await self.post_bulk(self.file)
            return
        items, many = read_body(body)
        rows = reader(self.collection, self.asker, partial=False).rows(items, many=many)
        await self.insert(rows, self.once(body), many=many)

    async def insert(self, rows: list[Payload], once: Once | None, *, many: bool) -> None:
        """Insert rows and answer with them."""
        order: tuple[int, ...] = ()
        if not rows:
            shown: tuple[bytes | None, ...] = (b"", b"0", None, None)
        else:
            statement, order = inserting.insert(self.view, rows, once)
            try:
                [shown] = await self.change(lambda: self.run(statement), rows, many=many)
            except OnceError:
                shown = await self.again(once)
        body, _, place, tag = shown
        if not many and place is not None:
            self.set_header("Location", self.place(place))
            self.set_header("Etag", (tag or b"").decode())
        body = body or b""
        self.show(201, b"[%b]\n" % _in_order(body, order) if many else body + b"\n")

    async def again(self, once: Once | None) -> tuple[bytes | None, ...]:
        """Return what was answered when the client asked the same before.

        Raises:
            ProblemError: 422 if it was something else that it asked by that name.

        """
        assert once is not None  # noqa: S101  (only a request with a key collides with one)
        rows = await self.run(answered(self.asker, once))
        if not rows:
            raise ProblemError(unavailable("contention", "Ask again."))
        [(request_hash, body, place, tag)] = rows
        if request_hash != once.request_hash.hex().encode():
            detail = "This Idempotency-Key belongs to another request."
            raise ProblemError(Problem(422, detail, "urn:project:problem:idempotency"))
        return body, None, place, tag

    async def page(self, asked: Question) -> None:
        """Answer with one page, and say where the next one is."""
        [[page, number, last]] = await self.ask(asked.statement)
        body, rows = page or b"", int(number or 0)
        if body and asked.change:
            body = rendering.rendered(asked.change, body)
        # A full page may have been the last; the next one is empty then.
        if rows and rows == asked.size and last is not None:
            self.set_header("Link", f'<{asked.following.after(last)}>; rel="next"')
        await self.count(asked.query, rows)
        self.set_header("Content-Type", f"{JSON}; charset=UTF-8")
        self.finish(b"[%b]\n" % body)

    async def single(self, asked: Question) -> None:
        """Answer with the one row that is met, as an object.

        Raises:
            ProblemError: 406 if it is none, or several.

        """
        [[page, number, _]] = await self.ask(asked.statement)
        if number != b"1":
            raise ProblemError(Problem(406, f"One row was asked for, and {int(number or 0)} met."))
        body = page or b""
        if asked.change:
            body = rendering.rendered(asked.change, body)
        self.set_header("Content-Type", f"{openapi.ONE}; charset=UTF-8")
        self.finish(b"%b\n" % body)

    async def count(self, query: Query, rows: int | None) -> None:
        """Say how many rows there are on all pages, if the client would like to know.

        Args:
            query: What was asked.
            rows: The rows of this page, or None for all.

        """
        match self.preferences().get("count"):
            case "exact":
                [[total]] = await self.ask(reading.count(query))
                number = int(total or 0)
            case "estimated" | "planned" as asked:
                [[plan]] = await self.ask(reading.estimate(query))
                number = int(json.loads(plan or b"")[0]["Plan"]["Plan Rows"])
                self.applied(f"count={asked}")
            case _:
                return
        if self.preferences()["count"] == "exact":
            self.applied("count=exact")
        place = f"{query.offset}-{query.offset + rows - 1}" if rows and not query.cursor else "*"
        self.set_header("Content-Range", f"{place}/{number}")

    async def export(self, query: Query, form: str) -> None:
        """Stream all rows; the process holds a piece of them at a time."""
        change = rendering.change_of(query)
        as_table = form == CSV and change is None
        make, copy = (reading.table, COPY_CSV) if as_table else (reading.lines, COPY_LINES)
        statement = make(self.collections, query)
        pieces = self.reads.copy(copy % statement.text, statement.values)
        self.set_header("Content-Type", f"{form}; charset=UTF-8")
        async with aclosing(pieces):
            first = await self.first(pieces, statement)
            if form == CSV and change:
                self.write(rendering.csv_header(query))
            async for piece in _following(first, pieces, change, form):
                self.write(piece)
                await self.send()
                if self.request.method == "HEAD":
                    return
        self.finish()

    async def first(self, pieces: AsyncIterator[bytes], statement: Statement) -> bytes:
        """Return the first piece: whatever PostgreSQL refuses, it says before that."""
        try:
            return await anext(pieces, b"")
        except psycopg.Error as error:
            if not is_unreadable(error):
                raise
            raise await self.fault(statement.given) from error


def _in_order(body: bytes, order: tuple[int, ...]) -> bytes:
    """Put rows into the order in which the client gave them; as a rule they are in it."""
    if order == tuple(range(len(order))):
        return body
    rows = msgspec.json.decode(b"[%b]" % body, type=list[msgspec.Raw])
    placed = sorted(zip(order, rows, strict=True), key=lambda item: item[0])
    return b",\n".join(bytes(row) for _, row in placed)


async def _following(
    first: bytes, pieces: AsyncIterator[bytes], change: rendering.Change | None, form: str
) -> AsyncIterator[bytes]:
    """Yield all pieces, changed where a decorator has to; a piece ends with a row."""
    piece = first
    while piece:
        if change is None:
            yield piece
        elif form == CSV:
            yield rendering.csv_lines(change, piece.splitlines())
        else:
            yield b"".join(rendering.line(change, row) for row in piece.splitlines())
        piece = await anext(pieces, b"")
