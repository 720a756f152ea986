"""Statements that write: each changes rows and notes the change in the audit, all or nothing.

One statement does it all, so that in autocommit it is a transaction of its own: what is written
and what is noted of it cannot come apart, and a change costs one round trip.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from project.api.auditing import audited
from project.api.collection import Collection, View
from project.api.column import sql_default
from project.api.faults import FaultError
from project.api.filters import key_is, owned, where
from project.api.once import Once, kept
from project.api.payload import Row, with_changes, with_defaults
from project.api.query import Query, read_query
from project.api.reading import columns, hashed, tag
from project.api.statement import (
    Fragment,
    Statement,
    format_sql,
    identifier,
    join_sql,
    value,
)

#: Sets of members that the rows of one request may have: each is an INSERT of its own.
SHAPES = 50

#: What follows from who asks for what is made once, for the views that were seen last.
remembered = functools.lru_cache(maxsize=1024)


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
    collection = view.collection
    shapes: dict[tuple[str, ...], list[int]] = {}
    complete = [with_defaults(collection, dict(row)) for row in rows]
    for number, row in enumerate(complete):
        shapes.setdefault(tuple(sorted(row)), []).append(number)
    if len(shapes) > SHAPES:
        raise FaultError(422, f"The rows have more than {SHAPES} different sets of members.")
    steps = [
        format_sql(
            "{} AS ({})",
            identifier(f"written{place}"),
            _shaped(collection, names, [complete[number] for number in numbers]),
        )
        for place, (names, numbers) in enumerate(shapes.items())
    ]
    parts = [format_sql("TABLE {}", identifier(f"written{place}")) for place in range(len(shapes))]
    steps.append(format_sql("written AS ({})", join_sql(" UNION ALL ", parts)))
    steps.append(audited(view, "FROM written t0", None, "t0"))
    steps.append(_shown(view))
    if once is not None:
        steps += kept(view.asker, once)
    statement = format_sql("WITH {} SELECT * FROM shown", join_sql(", ", steps)).statement()
    return Inserting(statement, tuple(number for numbers in shapes.values() for number in numbers))


def load(view: View, names: Sequence[str]) -> Statement:
    """Return the statement that inserts what was copied into the temporary table ``loaded``.

    Its answer is the number of rows.
    """
    read = "loaded, LATERAL json_to_record({})"
    records = _records(read, view.collection, names, Fragment("loaded.document"))
    steps = [
        format_sql("written AS ({})", _insert(view.collection, names, records)),
        audited(view, "FROM written t0", None, "t0"),
    ]
    return format_sql("WITH {} SELECT count(*) FROM written", join_sql(", ", steps)).statement()


def update(
    view: View,
    key: Sequence[str],
    row: Row,
    *,
    match: Sequence[str] | None = None,
    replace: bool = False,
) -> Statement:
    """Return the statement that changes a row.

    Its answer is one row: how many there were to change and how many were changed (0 or 1), and of
    the changed one its body, tag and key.

    Args:
        view: Where the row is, and who changes it.
        key: Its key.
        row: The columns that are given.
        match: The entity tags of which the row must have one; None for any.
        replace: Whether the columns that are not given get their defaults.

    """
    collection = view.collection
    if row or replace:
        row = with_changes(collection, row)
    setting = list(_settings(view, row, replace=replace))
    before = _before(view, key)
    steps = [before]
    if setting:
        steps.append(
            format_sql(
                "after AS (UPDATE {} t0 SET {} FROM before b{}{} RETURNING t0.*)",
                collection.table,
                join_sql(", ", setting),
                format_sql(
                    ", {}", _records("json_to_record({})", collection, sorted(row), _json(row))
                )
                if row
                else Fragment(""),
                where([*_same_row(collection), *_matching(view, match)]),
            )
        )
        both = "FROM before b, after t0"
        steps.append(audited(view, both, "b", "t0"))
    else:
        unchanged = where(_matching(view, match))
        steps.append(format_sql("after AS (SELECT b.* FROM before b{})", unchanged))
    return _answer(view, steps)


def delete(
    view: View,
    key: Sequence[str],
    *,
    match: Sequence[str] | None = None,
) -> Statement:
    """Return the statement that deletes a row; its answer is that of :func:`update`."""
    steps = [
        _before(view, key),
        format_sql(
            "after AS (DELETE FROM {} t0 USING before b{} RETURNING t0.*)",
            view.collection.table,
            where([*_same_row(view.collection), *_matching(view, match)]),
        ),
        audited(view, "FROM after b", "b", None),
    ]
    return _answer(view, steps)


def locked(view: View, key: Sequence[str], names: Iterable[str]) -> Statement:
    """Return the statement that reads columns as text and keeps the row from changing."""
    conditions = _at(view, key)
    texts = [format_sql("{}::text", identifier("t0", name)) for name in names]
    return format_sql(
        "SELECT {} FROM {} t0{} FOR UPDATE",
        join_sql(", ", texts),
        view.collection.table,
        where(conditions),
    ).statement()


@remembered
def whole(view: View) -> Query:
    """Return the question for a row as it is."""
    return read_query(view.collections, view.collection, view.asker, [])


@remembered
def _shown(view: View) -> Fragment:
    """Render the rows that were written."""
    collection = view.collection
    return format_sql(
        "shown AS (SELECT coalesce(string_agg(row_to_json(s.*)::text, E',\\n'), '') AS body,"
        " count(*) AS number, min({}) AS row_key, min({}) AS tag"
        " FROM written t0, LATERAL ({}) s)",
        *(_place(collection, "t0"), _tag(collection, "t0"), columns(view.collections, whole(view))),
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


def _shaped(collection: Collection, names: Sequence[str], rows: Sequence[Row]) -> Fragment:
    if names:
        records = _records("json_to_recordset({})", collection, names, _json(rows))
        return _insert(collection, names, records)
    if any(column.default for column in collection.every.values()):
        numbers = format_sql("generate_series(1, {})", value(len(rows), "integer"))
        return _insert(collection, names, numbers)
    return _defaults(collection, len(rows))


def _json(rows: Row | Sequence[Row]) -> Fragment:
    return value(msgspec.json.encode(rows).decode(), "json")


def _records(
    function: str, collection: Collection, names: Sequence[str], rows: Fragment
) -> Fragment:
    """Have PostgreSQL read JSON as columns of their types."""
    typed = ", ".join(f"{identifier(n).text} {collection.every[n].type.sql}" for n in names)
    return format_sql(function + " AS given ({})", rows, Fragment(typed))


def _settings(view: View, row: Mapping[str, object], *, replace: bool) -> Iterable[Fragment]:
    collection = view.collection
    for name in sorted(row):
        yield format_sql("{} = {}", identifier(name), identifier("given", name))
    if replace:
        keys = {column.name for column in collection.key}
        for column in collection.taken_from(view.asker):
            if column.name not in row and column.name not in keys:
                yield format_sql("{} = DEFAULT", identifier(column.name))
    elif not row:
        return
    for column in collection.every.values():
        if column.onupdate is not None and (expression := sql_default(column.onupdate)) is not None:
            yield format_sql("{} = {}", identifier(column.name), Fragment(expression))
    if (version := collection.version) is not None:
        yield format_sql("{} = {} + 1", identifier(version.name), version.within("t0"))


def _before(view: View, key: Sequence[str]) -> Fragment:
    """Find the row, as it is now, and keep others from changing it meanwhile."""
    return format_sql(
        "before AS MATERIALIZED (SELECT t0.* FROM {} t0{} FOR UPDATE)",
        view.collection.table,
        where(_at(view, key)),
    )


def _at(view: View, key: Sequence[str]) -> list[Fragment]:
    """Return the conditions for the row at a key, if it is one that the asker sees."""
    return [*key_is(view.collection.key, "t0", key), *owned(view.collection, "t0", view.asker)]


@remembered
def _same_row(collection: Collection) -> list[Fragment]:
    return [format_sql("{} = {}", c.within("t0"), c.within("b")) for c in collection.key]


def _matching(view: View, match: Sequence[str] | None) -> list[Fragment]:
    """Return the condition that the row `b` is still the one that the client saw."""
    if match is None:
        return []
    current = tag(view.collection, "b")
    if current is None:
        shown = whole(view)._replace(alias="b")
        current = format_sql(
            "(SELECT {} FROM ({}) s)", hashed("s"), columns(view.collections, shown)
        )
    return [format_sql("{} = ANY ({})", current, value(list(match), "text[]"))]


def _answer(view: View, steps: Sequence[Fragment]) -> Statement:
    return format_sql("WITH {} {}", join_sql(", ", steps), _changed(view)).statement()


@remembered
def _changed(view: View) -> Fragment:
    """Say how many rows there were and how many were changed, and render the one that was."""
    collection = view.collection
    return format_sql(
        "SELECT (SELECT count(*) FROM before), (SELECT count(*) FROM after),"
        " row_to_json(s.*)::text, {}, {}"
        " FROM (SELECT) one LEFT JOIN after t0 ON true LEFT JOIN LATERAL ({}) s ON true",
        *(_tag(collection, "t0"), _place(collection, "t0"), columns(view.collections, whole(view))),
    )


def _tag(collection: Collection, alias: str) -> Fragment:
    """Return the tag of a row that is shown whole, as `s`."""
    return tag(collection, alias) or hashed("s")


def _place(collection: Collection, alias: str) -> Fragment:
    """Return the key of a row as a JSON array of texts."""
    texts = [format_sql("{}::text", column.within(alias)) for column in collection.key]
    return format_sql("json_build_array({})::text", join_sql(", ", texts))
