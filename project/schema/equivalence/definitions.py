"""Definitions on a table: checks, exclusions, indexes, statistics.

Both are made on a copy of the expected table and read from the catalog, expressions as the planner
understands them. Where they still differ, one may be what a change of a column's type has left of
the other: that is tried out.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from project.schema.equivalence import text
from project.schema.equivalence.expressions import (
    Connection,
    copied,
    meanings,
    parsed,
    plan,
    undone,
    with_amounts,
)

#: How an expression on a table is understood.
Understand = Callable[[Connection, str, str], Any]

#: How the expressions of a definition are understood, and how its condition is. For an index is not
#: used where a query writes its expressions in other words, whatever they mean.
PLANNED: tuple[Understand, Understand] = (plan, plan)
PARSED: tuple[Understand, Understand] = (parsed, parsed)

MEANT: tuple[Understand, Understand] = (parsed, meanings)

#: Types that a column may have had, besides those that one of the definitions casts to.
FORMER = ("text", "character varying", "integer")

#: Types that a column may have had in between, on its way from one that is still cast to.
BETWEEN = ("text", "character varying")

READ_CHECK = """
    SELECT NULL, pg_get_expr(conbin, conrelid), contype::text, connoinherit
    FROM pg_constraint WHERE conname = 'reprinted' AND conrelid = %s::regclass AND contype = 'c'
"""

# Classes of operators that do the same for types of one kind, text and varchar, are one family.
READ_INDEX = """
    SELECT pg_get_expr(indexprs, indrelid), pg_get_expr(indpred, indrelid), amname, indkey::text,
        indcollation::text, indoption::text, indnkeyatts, to_jsonb(i) ->> 'indnullsnotdistinct',
        ARRAY(
            SELECT opcfamily || ' ' || opcintype FROM unnest(indclass) WITH ORDINALITY AS c (oid, n)
            JOIN pg_opclass ON pg_opclass.oid = c.oid ORDER BY n
        ),
        ARRAY(
            SELECT attoptions::text FROM pg_attribute WHERE attrelid = indexrelid ORDER BY attnum
        ),
        indisprimary, indisunique,
        (SELECT contype::text || coalesce(conexclop::text, '') FROM pg_constraint
            WHERE conindid = indexrelid)
    FROM pg_index AS i
    JOIN pg_class AS class ON class.oid = indexrelid
    JOIN pg_am ON pg_am.oid = relam
    WHERE relname = 'reprinted' AND indrelid = %s::regclass
"""

READ_STATISTICS = """
    SELECT array_to_string(pg_get_statisticsobjdef_expressions(oid), ', '), NULL, stxkeys::text,
        (SELECT array_agg(k ORDER BY k) FROM unnest(stxkind) AS k)::text
    FROM pg_statistic_ext WHERE stxname = 'reprinted' AND stxrelid = %s::regclass
"""


class Column(NamedTuple):
    """A column of the expected table."""

    name: str
    type: str
    collation: str  # as a clause; empty where it is that of the type


def _changed(table: str, columns: Iterable[Column], to: str) -> str:
    """Write the change of columns' types to another; of an array, to one of that."""
    return _retyped(table, ((c, f"{to}[]" if c.type.endswith("[]") else to, "") for c in columns))


def _restored(table: str, columns: Iterable[Column]) -> str:
    """Write the change of columns' types to what they are."""
    return _retyped(table, ((column, column.type, column.collation) for column in columns))


def _retyped(table: str, changes: Iterable[tuple[Column, str, str]]) -> str:
    parts = (
        f"ALTER {sql.Identifier(column.name).as_string()} TYPE {to}{collation} USING NULL::{to}"
        for column, to, collation in changes
    )
    return f"ALTER TABLE {table} {', '.join(parts)}"


def same_definition(
    connection: Connection, kind: str, table: tuple[str, str], one: str, other: str
) -> bool:
    """Tell whether two definitions on a table mean the same.

    Args:
        connection: To a scratch database with the table.
        kind: ``constraint``, ``index`` or ``statistics``.
        table: Its schema and name.
        one: A definition as the catalog's reader gives it, from the text after the name.
        other: Likewise.

    """
    plannable = text.functions(one) == text.functions(other)
    one, other = (with_amounts(connection, text.one_name_for_now(each)) for each in (one, other))
    try:
        with copied(connection, *table) as copy:
            for understand in (PLANNED, PARSED, MEANT) if plannable else (MEANT,):
                read = [_read(connection, kind, copy, each, understand) for each in (one, other)]
                if None in read:
                    if understand is PLANNED:  # one of them cannot be made here
                        return False
                elif all(map(_alike, read[0], read[1])):
                    return True
            return plannable and (
                _is_residue(connection, kind, copy, one, other)
                or _is_residue(connection, kind, copy, other, one)
            )
    except psycopg.Error:
        return False


def _alike(one: object, other: object) -> bool:
    """Tell whether two things are equal, or two meanings have one in common."""
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return bool(one & other)
    return one == other


def _read(
    connection: Connection,
    kind: str,
    copy: str,
    definition: str,
    understand: tuple[Understand, Understand] = PLANNED,
) -> Any:  # noqa: ANN401
    return _after(connection, kind, copy, definition, understand=understand)


def _after(  # noqa: PLR0913
    connection: Connection,
    kind: str,
    copy: str,
    definition: str,
    around: tuple[str, Sequence[str]] = ("", ()),
    *,
    understand: tuple[Understand, Understand] = PLANNED,
) -> Any:  # noqa: ANN401
    """Make a definition, perhaps between changes, and return how it is understood then."""
    before, after = around
    create, read = _statements(kind, copy, definition)
    try:
        with undone(connection):
            for statement in filter(None, (before, create, *after)):
                connection.execute(statement.encode())
            row = connection.execute(read, [copy]).fetchone()
            if row is None:
                return None
            expressions = [
                part and how(connection, part, f"FROM {copy}")
                for how, part in zip(understand, row, strict=False)
            ]
            if any(part and not read for part, read in zip(row, expressions, strict=False)):
                return None
            return [*expressions, *row[2:]]
    except psycopg.Error:
        return None


def _statements(kind: str, copy: str, definition: str) -> tuple[str, Any]:
    if kind == "index":
        return f"CREATE INDEX reprinted ON {copy} {definition}", READ_INDEX
    if kind == "statistics":
        bare = re.sub(r" FROM [^()]*$", "", definition)
        # Not in pg_temp, where statistics cannot be; it does not stay.
        return f"CREATE STATISTICS public.reprinted {bare} FROM {copy}", READ_STATISTICS
    read = READ_CHECK if definition.startswith("CHECK") else READ_INDEX
    return f"ALTER TABLE {copy} ADD CONSTRAINT reprinted {definition}", read


def _is_residue(connection: Connection, kind: str, copy: str, fresh: str, found: str) -> bool:
    """Tell whether a change of a column's type makes `found` of what `fresh` was written as.

    Of one column, or of all that are of one type.

    What the user wrote is not known; it is tried with fewer and fewer casts, as long as it still
    means `fresh` now. A change of type adds casts of columns. Where it takes one away, the column
    had the type of an explicit cast before, and the meaning has changed with it.
    """
    if text.casts_of_columns(fresh) > text.casts_of_columns(found):
        return False
    meant, left = (_read(connection, kind, copy, definition) for definition in (fresh, found))
    former = dict.fromkeys([*text.casts(fresh), *text.casts(found), *FORMER])
    ways = [[type_] for type_ in former]
    ways += [[type_, between] for type_ in dict.fromkeys(text.casts(found)) for between in BETWEEN]
    columns = [c for c in _columns(connection, copy) if c.name in fresh and c.name in found]
    alike = {type_: [c for c in columns if c.type == type_] for type_ in {c.type for c in columns}}
    groups = [*([c] for c in columns), *(group for group in alike.values() if len(group) > 1)]
    for written in text.spellings(fresh):
        if _read(connection, kind, copy, written) != meant:
            continue
        for group in groups:
            for first, *further in ways:
                after = [
                    *(_changed(copy, group, type_) for type_ in further),
                    _restored(copy, group),
                ]
                around = (_changed(copy, group, first), after)
                if _after(connection, kind, copy, written, around) == left:
                    return True
    return False


def _columns(connection: Connection, copy: str) -> list[Column]:
    query = """
        SELECT attname, format_type(atttypid, atttypmod), CASE WHEN attcollation <> typcollation
            THEN ' COLLATE ' || attcollation::regcollation ELSE '' END
        FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
        WHERE attrelid = %s::regclass AND attnum > 0
    """
    return [Column(*row) for row in connection.execute(query, [copy]).fetchall()]
