"""Statements that insert: rows, and what the audit says of them, all or nothing.

One statement does it all, so that in autocommit it is a transaction of its own: what is written
and what is noted of it cannot come apart, and a change costs one round trip.
"""

from collections.abc import Sequence
from typing import NamedTuple

from project.api.auditing import audited
from project.api.collection import Collection, View
from project.api.column import sql_default
from project.api.faults import FaultError
from project.api.once import Once, filled, kept
from project.api.payload import Row, with_defaults
from project.api.reading import columns
from project.api.statement import (
    Fragment,
    Slot,
    Statement,
    Template,
    format_sql,
    identifier,
    join_sql,
    value,
)
from project.api.written import as_json, place, records, remembered, shown_tag, whole

#: Sets of members that the rows of one request may have: each is an INSERT of its own.
SHAPES = 50


class Shape(NamedTuple):
    """Rows that give the same columns; how many matters only where they give none."""

    names: tuple[str, ...]
    number: int


class Inserting(NamedTuple):
    """A statement that inserts rows, and their places in the body in the order of its answer."""

    statement: Statement
    order: tuple[int, ...]


def insert(view: View, rows: Sequence[Row], once: Once | None = None) -> Inserting:
    """Return the statement for new rows: their bodies, how many, the key of one, and its tag.

    Rows that give the same columns are inserted together; the others get the database's defaults.

    Raises:
        FaultError: the rows give too many different sets of columns.

    """
    shapes: dict[tuple[str, ...], list[int]] = {}
    complete = [with_defaults(view.collection, dict(row)) for row in rows]
    for number, row in enumerate(complete):
        shapes.setdefault(tuple(sorted(row)), []).append(number)
    if len(shapes) > SHAPES:
        detail = f"The rows have more than {SHAPES} different sets of members."
        raise FaultError(422, detail, kind="body")
    known = tuple(Shape(names, 0 if names else len(numbers)) for names, numbers in shapes.items())
    given: dict[Slot, object] = {
        Slot("rows", at): as_json([complete[number] for number in numbers])
        for at, numbers in enumerate(shapes.values())
    }
    if once is not None:
        given |= filled(once)
    statement = _insertion(view, known, once=once is not None).filled(given)
    return Inserting(statement, tuple(number for numbers in shapes.values() for number in numbers))


@remembered
def _insertion(view: View, shapes: tuple[Shape, ...], *, once: bool) -> Template:
    inserted = [
        _shaped(view.collection, shape, Slot("rows", at)) for at, shape in enumerate(shapes)
    ]
    if len(inserted) == 1:
        steps = [format_sql("written AS ({})", *inserted)]
    else:
        names = [identifier(f"written{at}") for at in range(len(inserted))]
        steps = [format_sql("{} AS ({})", *each) for each in zip(names, inserted, strict=True)]
        parts = [format_sql("TABLE {}", name) for name in names]
        steps.append(format_sql("written AS ({})", join_sql(" UNION ALL ", parts)))
    steps.append(audited(view, "FROM written t0", None, "t0"))
    steps.append(_shown(view))
    if once:
        steps += kept(view.asker)
    return format_sql("WITH {} SELECT * FROM shown", join_sql(", ", steps)).template()


def load(view: View, names: Sequence[str]) -> Statement:
    """Return the statement that inserts what was copied into the temporary table ``loaded``.

    Its answer is the number of rows.
    """
    read = "loaded, LATERAL json_to_record({})"
    rows = records(read, view.collection, names, Fragment("loaded.document"))
    steps = [
        format_sql("written AS ({})", _insert(view.collection, names, rows)),
        audited(view, "FROM written t0", None, "t0"),
    ]
    return format_sql("WITH {} SELECT count(*) FROM written", join_sql(", ", steps)).statement()


def _shown(view: View) -> Fragment:
    """Render the rows that were written."""
    collection = view.collection
    return format_sql(
        "shown AS (SELECT coalesce(string_agg(row_to_json(s.*)::text, E',\\n'), '') AS body,"
        " count(*) AS number, min({}) AS row_key, min({}) AS tag"
        " FROM written t0, LATERAL ({}) s)",
        *(place(collection, "t0"), shown_tag(collection, "t0")),
        columns(view.collections, whole(view)),
    )


def _insert(collection: Collection, names: Sequence[str], source: Fragment) -> Fragment:
    """Insert rows that give the same columns, and the model's own defaults that are expressions."""
    made = {
        column.name: expression
        for column in collection.every.values()
        if column.default is not None and column.name not in names
        if (expression := sql_default(column.default)) is not None
    }
    into = join_sql(", ", [identifier(name) for name in (*names, *made)])
    values = [identifier("given", name) for name in names]
    values += [Fragment(f"({expression})".replace("%", "%%")) for expression in made.values()]
    return format_sql(
        "INSERT INTO {} AS t0 ({}) SELECT {} FROM {} RETURNING t0.*",
        *(collection.table, into, join_sql(", ", values), source),
    )


def _defaults(collection: Collection, number: int) -> Fragment:
    """Insert rows that give nothing; VALUES takes DEFAULT for any column, even an identity."""
    column = identifier(next(iter(collection.every)))
    defaults = ", ".join(["(DEFAULT)"] * number)
    return format_sql(
        "INSERT INTO {} AS t0 ({}) VALUES {} RETURNING t0.*",
        *(collection.table, column, Fragment(defaults)),
    )


def _shaped(collection: Collection, shape: Shape, rows: Slot) -> Fragment:
    if shape.names:
        read = records("json_to_recordset({})", collection, shape.names, value(rows, "json"))
        return _insert(collection, shape.names, read)
    if any(column.default for column in collection.every.values()):
        numbers = format_sql("generate_series(1, {})", value(shape.number, "integer"))
        return _insert(collection, (), numbers)
    return _defaults(collection, shape.number)
