"""``GET /``: all rows of ``my_table``."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NamedTuple, cast

import msgspec
import sqlalchemy as sa
from tornado.escape import xhtml_escape

from project import pool
from project.handlers.base import HTML, JSON, Handler
from project.handlers.problems import Problem, ProblemError
from project.models import MyTable

BETWEEN = ",\n"

TABLE = cast("sa.Table", MyTable.__table__)


def rows_as_json(table: sa.Table, page: int) -> sa.SelectBase:
    """Select a table as JSON objects, rendered by PostgreSQL, in the order of its primary key.

    The first row of the result is a whole page of objects, separated by commas; the others are one
    object each. A small table so costs Python one row, and a large one still streams: aggregating
    page by page would make the server sort all of it before it sends the first. The parts come in
    order because PostgreSQL runs no subquery with LIMIT or OFFSET in parallel.
    """
    rows = sa.select(*table.columns).order_by(*table.primary_key)
    first = rows.limit(page).subquery("first")
    rest = rows.offset(page).subquery("rest")
    return sa.select(sa.func.coalesce(sa.func.string_agg(_object(first), BETWEEN), "")).union_all(
        sa.select(_object(rest))
    )


def _object(rows: sa.Subquery) -> sa.ColumnElement[str]:
    return sa.cast(sa.func.row_to_json(rows.table_valued()), sa.Text)


ROWS = pool.compiled(rows_as_json(TABLE, pool.PAGE))


async def pages(rows: AsyncIterator[str]) -> AsyncIterator[str]:
    """Join the rows of :func:`rows_as_json` to pages; only the first may be empty."""
    yield await anext(rows)
    page: list[str] = []
    async for row in rows:
        page.append(row)
        if len(page) == pool.PAGE:
            yield BETWEEN.join(page)
            page.clear()
    if page:
        yield BETWEEN.join(page)


class Shape(NamedTuple):
    """How rows are written: what comes before, between and after them, and how objects look."""

    content_type: str
    before: str
    between: str
    after: str
    rows: Callable[[str], str]


ARRAY = Shape(f"{JSON}; charset=UTF-8", "[", BETWEEN, "]\n", str)


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
        between = shape.before
        async with aclosing(self.connections.stream(ROWS)) as rows:
            async for page in pages(rows):
                if between is shape.between:  # a page was written, and this is another
                    await self.send()
                    if self.request.method == "HEAD":
                        return
                self.write(between + shape.rows(page))
                between = shape.between
        self.finish(shape.after)

    async def page(self) -> Shape:
        """Return the page as a shape: all that stands before and after the rows of its table."""
        stamped = await self.connections.stamped()
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
        return Shape("text/html; charset=UTF-8", before, "\n", after, _table_rows)


def _table_rows(objects: str) -> str:
    """Write JSON objects, separated by commas, as rows of a table."""
    rows = msgspec.json.decode(f"[{objects}]", type=list[dict[str, Any]])
    return "\n".join(
        f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>" for row in rows
    )


def _cell(value: object) -> str:
    if value is None:
        return '<span class="null">null</span>'
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return xhtml_escape(text)
