"""``/api/{table}/{key}``: one row."""

from urllib.parse import unquote

import msgspec
from msgspec import Raw

from project.api import changing, inserting, reading, rendering
from project.api.faults import Fault, bad_body, pointer
from project.api.payload import Row as Payload
from project.api.payload import merged, read_body, reader
from project.api.values import Family, encode
from project.connection import Rows, rows_of
from project.handlers.base import JSON
from project.handlers.changes import ChangingHandler, strong_tags
from project.handlers.problems import Problem, ProblemError
from project.handlers.resource import writes

MERGE_PATCH = "application/merge-patch+json"


class Row(ChangingHandler):
    """One row of a collection, at its primary key; commas separate the columns of a longer one."""

    tag: str | None = None

    async def get(self, _key: str) -> None:
        """Answer with the row, and the entity tag that a change of it may name."""
        self.admit_reader()
        asked = reading.row_asked(self.view, self.request.query)
        rows = await self.ask(reading.one(asked, self.key()))
        if not rows:
            raise self.missing()
        body, tag = rows[0][0] or b"", rows[0][1]
        if asked.change:
            body = rendering.rendered(asked.change, body)
        self.tag = (tag or b"").decode()
        if (match := strong_tags(self.request.headers.get("If-Match", "*"))) is not None and (
            self.tag not in match
        ):
            raise ProblemError(Problem(412, "The row is another than If-Match names."))
        self.set_header("Content-Type", f"{JSON}; charset=UTF-8")
        self.finish(b"%b\n" % body)

    @writes
    async def patch(self, _key: str) -> None:
        """Change some columns: a JSON merge patch (RFC 7396)."""
        row = self.read(self.body_as(MERGE_PATCH, JSON), partial=True)
        documents = [name for name, raw in row.items() if self.is_merged(name, raw)]
        if documents:
            answer = await self.merge(row, documents)
        else:
            statement = changing.update(self.view, self.key(), row, self.condition())
            answer = await self.changed(statement, row)
        self.answer(200, answer)

    @writes
    async def put(self, _key: str) -> None:
        """Replace the row, or insert it where there is none and clients choose the keys."""
        row = self.read(self.body_as(JSON), partial=False)
        key = self.key()
        fresh = self.request.headers.get("If-None-Match", "").strip() == "*"
        if not fresh:
            statement = changing.update(self.view, key, row, self.condition(), replace=True)
            answer = await self.change(lambda: self.run(statement), [row], statement.given)
            if answer[0][0] != b"0":
                self.check(answer)
                self.answer(200, answer)
                return
        if "If-Match" in self.request.headers:
            raise ProblemError(Problem(412, "There is no such row."))
        if not all(column.taken for column in self.collection.key):
            raise self.missing()
        await self.create(row, fresh=fresh)

    @writes
    async def delete(self, _key: str) -> None:
        """Delete the row."""
        self.body_as(JSON)
        statement = changing.delete(self.view, self.key(), self.condition())
        answer = await self.changed(statement, {})
        if self.preferences().get("return") == "representation":
            self.answer(200, answer)
        else:
            self.set_status(204)

    async def create(self, row: Payload, *, fresh: bool) -> None:
        """Insert the row that the client put where there was none."""
        statement, _ = inserting.insert(self.view, [row])
        try:
            [(body, _, place, tag)] = await self.change(lambda: self.run(statement), [row])
        except ProblemError as error:
            if fresh and error.problem.type.endswith(":unique"):
                raise ProblemError(Problem(412, "There is such a row already.")) from error
            raise
        self.set_header("Location", self.place(place or b"[]"))
        self.set_header("Etag", (tag or b"").decode())
        self.show(201, (body or b"") + b"\n")

    def read(self, body: bytes, *, partial: bool) -> Payload:
        """Read the row in the body; the address is its key.

        Raises:
            FaultError: it does not fit, or has another key than the address.

        """
        items, many = read_body(body)
        if many:
            raise bad_body([Fault("It must be an object.", pointer="")])
        if not partial:
            items = [self.addressed(items[0])]
        [row] = reader(self.collection, self.asker, partial=partial).rows(items, many=False)
        return row

    def addressed(self, item: Raw) -> Raw:
        """Give a row the key that it is put at."""
        try:
            row = msgspec.json.decode(item, type=Payload)
        except msgspec.DecodeError:
            return item  # whose reader will say what is wrong
        for column, text in zip(self.collection.key, self.key(), strict=True):
            if column.name in row and _text(row[column.name]) != text:
                detail = "It must be the key of the address."
                raise bad_body([Fault(detail, pointer=pointer(column.name))])
            try:
                value = msgspec.convert(text, column.type.payload, strict=False)
            except msgspec.ValidationError:
                raise self.missing() from None
            row[column.name] = Raw(encode(value))
        # Whoever read the row sends back what the service fills in, too.
        known = {column.name for column in self.collection.known_to(self.asker)}
        taken = {column.name for column in self.collection.taken_from(self.asker)}
        return Raw(encode({name: row[name] for name in row if name in taken or name not in known}))

    def is_merged(self, name: str, raw: Raw) -> bool:
        """Say whether a member is itself a patch: of a document within the row."""
        column = self.collection.columns[name]
        document = column.type.family in {Family.json, Family.jsonb}
        return document and bytes(raw).lstrip().startswith(b"{")

    async def merge(self, row: Payload, documents: list[str]) -> Rows:
        """Change a row with documents in it, which have to be read to be merged."""
        lock = changing.locked(self.view, self.key(), documents)

        async def run() -> Rows:
            async with self.connections.transaction() as connection:
                found = rows_of(await connection.execute(lock.text, lock.values))
                if not found:
                    return [(b"0", b"0")]
                complete = {
                    name: merged(row[name], document)
                    for name, document in zip(documents, found[0], strict=True)
                }
                statement = changing.update(
                    self.view, self.key(), {**row, **complete}, self.condition()
                )
                return rows_of(await connection.execute(statement.text, statement.values))

        answer = await self.change(run, [row], lock.given)
        self.check(answer)
        return answer

    def answer(self, status: int, answer: Rows) -> None:
        """Answer with the row as it is now."""
        [(_, _, body, tag, place)] = answer
        if self.request.method != "DELETE":
            self.set_header("Etag", (tag or b"").decode())
            self.set_header("Content-Location", self.place(place or b"[]"))
        self.show(status, (body or b"") + b"\n")

    def key(self) -> list[str]:
        """Return the values of the key, each as the client wrote it.

        Raises:
            ProblemError: 404 when they are fewer or more than the key has columns.

        """
        # Split before they are decoded: a comma within a value is written %2C.
        values = [unquote(value) for value in self.request.path.rpartition("/")[2].split(",")]
        if len(values) != len(self.collection.key) or any("\0" in value for value in values):
            raise self.missing()
        return values

    def compute_etag(self) -> str | None:
        """Return the tag that PostgreSQL made: of a version, or of what is shown."""
        return self.tag


def _text(raw: Raw) -> str:
    """Return a value of a key as an address has it."""
    value = msgspec.json.decode(raw)
    return value if isinstance(value, str) else bytes(raw).decode()
