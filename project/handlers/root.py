"""``GET /``: all rows of ``my_table``."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from tornado.escape import xhtml_escape

from project import database
from project.handlers.base import HTML, JSON, Handler
from project.handlers.problems import Problem, ProblemError
from project.models import MyTable

TABLE = sa.inspect(MyTable).local_table


def rows_as_json(table: sa.FromClause) -> sa.Select[Any]:
    """Select every row of a table as one JSON object, rendered by PostgreSQL, by primary key."""
    rows = sa.select(*table.columns).order_by(*table.primary_key).subquery("row")
    return sa.select(sa.cast(sa.func.row_to_json(rows.table_valued()), sa.Text))


ROWS = database.compiled(rows_as_json(TABLE))


class Shape(NamedTuple):
    """How rows are written: what comes before, between and after them."""

    content_type: str
    before: str
    between: str
    after: str
    row: Callable[[str], str]


ARRAY = Shape(f"{JSON}; charset=UTF-8", "[", ",\n", "]\n", str)


class Root(Handler):
    """All rows, as a JSON array to programs and as a page to browsers."""

    async def get(self) -> None:
        """Stream the rows in the shape that the client asked for."""
        match self.accepted([HTML, JSON]):
            case "text/html":
                shape = await self.page()
            case "application/json":
                shape = ARRAY
            case _:
                raise ProblemError(Problem(406, f"This address has {JSON} and {HTML}."))
        await self.stream(shape)

    async def stream(self, shape: Shape) -> None:
        """Write the rows page by page, so that a table of any length takes little memory.

        A table that fits into one page goes out whole, with its length and an entity tag.
        """
        self.set_header("Content-Type", shape.content_type)
        self.write(shape.before)
        between = ""
        async with aclosing(database.pages(self.engine, ROWS)) as pages:
            async for page in pages:
                self.write(between + shape.between.join(map(shape.row, page)))
                between = shape.between
                if len(page) == database.PAGE:
                    await self.send()
                    if self.request.method == "HEAD":
                        return
        self.finish(shape.after)

    async def page(self) -> Shape:
        """Return the page as a shape: all that stands before and after the rows of its table."""
        stamped = await database.stamped(self.engine)
        columns = [(column.name, column.comment or "") for column in TABLE.columns]
        # Escaped text can hold no "<", so nothing else on the page looks like the mark.
        page = self.render_string(
            "root.html",
            table=TABLE.name,
            comment=TABLE.comment,
            columns=columns,
            revision=", ".join(sorted(stamped)) or "none",
            rows="<!--rows-->",
        ).decode()
        before, after = page.split("<!--rows-->")
        return Shape("text/html; charset=UTF-8", before, "\n", after, _table_row)


def _table_row(row: str) -> str:
    values = msgspec.json.decode(row, type=dict[str, Any]).values()
    return "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in values) + "</tr>"


def _cell(value: object) -> str:
    if value is None:
        return '<span class="null">null</span>'
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return xhtml_escape(text)
