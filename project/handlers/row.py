"""``/api/{table}/{key}``: one row."""

from urllib.parse import unquote

from project.api import reading, rendering
from project.api.query import read_parameters, read_query
from project.handlers.base import JSON
from project.handlers.resource import ResourceHandler


class Row(ResourceHandler):
    """One row of a collection, at its primary key; commas separate the columns of a longer one."""

    tag: str | None = None

    async def get(self, _key: str) -> None:
        """Answer with the row, and the entity tag that a change of it may name."""
        self.admit_reader()
        parameters = read_parameters(self.request.query)
        query = read_query(self.collections, self.collection, self.asker, parameters)
        rows = await self.ask(reading.one(self.collections, query, self.key()))
        if not rows:
            raise self.missing()
        body, tag = rows[0][0] or b"", rows[0][1]
        if change := rendering.change_of(query):
            body = rendering.rendered(change, body)
        self.tag = (tag or b"").decode()
        self.set_header("Content-Type", f"{JSON}; charset=UTF-8")
        self.finish(b"%b\n" % body)

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
