"""The types of a database, resolved down to what values are made of."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.rows import dict_row, scalar_row

from project.schema.rows.hints import hints
from project.schema.rows.simple import FOREIGN
from project.schema.rows.values import Type, extremes, is_known, ordinary

#: An array type is one that is subscripted like one; the two vectors read otherwise than arrays.
TYPES = """
    SELECT type.oid, typname AS name, typtype::text AS kind, typcategory::text AS category,
        typdelim::text AS delimiter, typbasetype AS base, typtypmod AS modifier,
        typnotnull AS not_null,
        CASE WHEN typsubscript = 'array_subscript_handler'::regproc
            AND typname NOT IN ('int2vector', 'oidvector') THEN typelem ELSE 0 END AS element,
        (SELECT rngsubtype FROM pg_catalog.pg_range WHERE rngtypid = type.oid) AS bound,
        (SELECT rngtypid FROM pg_catalog.pg_range WHERE rngmultitypid = type.oid) AS range,
        array(
            SELECT enumlabel::text FROM pg_catalog.pg_enum WHERE enumtypid = type.oid
            ORDER BY enumsortorder
        ) AS labels,
        array(
            SELECT pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
            WHERE contypid = type.oid AND contype = 'c' ORDER BY conname
        ) AS checks,
        array(
            SELECT ARRAY[atttypid::bigint, atttypmod] FROM pg_catalog.pg_attribute
            WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        ) AS fields
    FROM pg_catalog.pg_type AS type
    WHERE type.oid = ANY (%s::oid[])
"""

#: A type and its modifier, as a column has them.
Use = tuple[int, int]

#: What a type of an extension may understand: a tree's label, pairs, a shape, a version, a code.
GUESSES = ("a.b", "a=>b", "POINT(1 2)", "(1,2)", "1.0.0", "1", "a", "{}", "[1,2)", "1 2", "")

#: For the type xml, which a server may have been built without.
DOCUMENTS = ("<a/>", "<a>1</a>", f"<a b='&lt;'>{FOREIGN}</a>")

#: Rounds of suggestions for a domain.
OFFERS = 12


def types(connection: psycopg.Connection, uses: Iterable[Use]) -> dict[Use, Type]:
    """Resolve the types of columns.

    What a domain takes, or a type that this module never heard of, is found out by asking the
    server: its checks may call functions.
    """
    uses = sorted(uses)
    catalog: dict[int, dict[str, Any]] = {}
    wanted = {oid for oid, _ in uses}
    with connection.cursor(row_factory=dict_row) as cursor:
        while wanted:  # and then those that they are made of
            rows = cursor.execute(TYPES, [list(wanted)], prepare=True).fetchall()
            catalog |= {row["oid"]: row for row in rows}
            wanted = {oid for row in rows for oid in _made_of(row)} - catalog.keys()
    known: dict[Use, Type] = {}
    return {use: _resolve(connection, catalog, known, use) for use in uses}


def _made_of(row: dict[str, Any]) -> Iterator[int]:
    beneath = (row["element"], row["base"], row["bound"], row["range"])
    yield from filter(None, beneath)
    yield from (oid for oid, _ in row["fields"])


def _resolve(
    connection: psycopg.Connection,
    catalog: dict[int, dict[str, Any]],
    known: dict[Use, Type],
    use: Use,
) -> Type:
    if use in known:
        return known[use]
    oid, modifier = use
    row = catalog[oid]
    kind, beneath = row["kind"], None
    if row["element"]:
        # An array has the modifier of its elements: varchar(3)[].
        kind, beneath = "array", (row["element"], modifier)
    elif kind == "d":
        beneath = (row["base"], row["modifier"])
    elif kind == "r":
        beneath = (row["bound"], -1)
    elif kind == "m":
        beneath = (row["range"], -1)
    type_ = Type(
        name=row["name"],
        kind=kind,
        category=row["category"],
        modifier=modifier,
        delimiter=row["delimiter"],
        labels=tuple(row["labels"]),
        beneath=_resolve(connection, catalog, known, beneath) if beneath else None,
        fields=tuple(
            _resolve(connection, catalog, known, (field, field_modifier))
            for field, field_modifier in row["fields"]
        ),
        not_null=row["not_null"],
    )
    if kind == "d" and type_.beneath:
        type_ = replace(type_, not_null=type_.not_null or type_.beneath.not_null)
    if offers := list(_offers(type_, " ".join(row["checks"]))):
        type_ = replace(type_, samples=_taken(connection, use, offers))
    known[use] = type_
    return type_


def _offers(type_: Type, checks: str) -> Iterator[str]:
    """Yield what a type may take; the extremes last, where ``extremes`` looks for them."""
    if checks and type_.beneath:
        for number in range(OFFERS):
            yield from [value for value in [ordinary(type_.beneath, number)] if value is not None]
            yield from hints(type_.beneath, checks, number)
        yield from extremes(type_.beneath)
    elif type_.kind == "b" and not is_known(type_):
        yield from GUESSES if type_.name != "xml" else DOCUMENTS
        yield "[" + ",".join("1" * max(type_.modifier, 1)) + "]"  # a vector of so many dimensions


def _taken(connection: psycopg.Connection, use: Use, offers: Iterable[str]) -> tuple[str, ...]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        written = cursor.execute("SELECT pg_catalog.format_type(%s, %s)", use).fetchone()
    written = str(written).replace("%", "%%")
    # The value itself stays on the server: not every one has an equal in Python.
    question = f"SELECT CAST(%s AS {written}) IS NULL".encode()
    taken = []
    for offer in dict.fromkeys(offers):
        with suppress(psycopg.DatabaseError):
            connection.execute(question, [offer], prepare=False)
            taken.append(offer)
    return tuple(taken)
