"""Expressions, as the planner and the parser of a scratch database understand them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from project.schema.catalog import PIN
from project.schema.equivalence import text
from project.schema.equivalence.knowledge import knowledge
from project.schema.equivalence.meaning import meaning
from project.schema.equivalence.node import Node

Connection = psycopg.Connection[Any]

#: What depends on who asks, on state or on chance: its value proves nothing.
UNSTEADY = re.compile(
    r"nextval|currval|lastval|random|uuid|user|role|setting|schema|backend|txid|xact|clock|inet_"
    r"|timeofday|snapshot|catalog|version",
    re.IGNORECASE,
)

#: What the planner makes of an expression whose value never changes.
CONSTANT = re.compile(
    r"\(?(?:E?'(?:[^']|'')*'|-?[\d.]+|true|false|NULL)\)?(?:::[^'()]*(?:\([\d,]+\)[^'()]*)?)?"
)

#: A literal that is cast twice, or a number that is cast.
CAST_TWICE = re.compile(rf"\((?:E?'(?:[^']|'')*'::{text.TYPE}|-?[\d.]+)\)::{text.TYPE}", re.VERBOSE)

#: Of a query that is made around an expression: what its column is called, and which of the table's
#: somebody must be allowed to read.
AROUND = re.compile(r":resname (?:\\.|[^\s\\])+|:selectedCols \(b[^)]*\)")

#: A number that is cast to money.
AMOUNT = re.compile(r"(?:\((?:\(-?[\d.]+\)|-?[\d.]+|'-?[\d.]+'(?:::\w+)?)\)|'[^']*')::money\b")

#: Two zones in which no moment has the same date, nor either that of UTC all day.
ZONES = ("Etc/GMT+12", "Etc/GMT-14")

#: In a stored query: where something was written, and in which words, and what it was called there.
#: ``a AT TIME ZONE b`` is ``timezone(b, a)`` in other words.
INCIDENTAL = re.compile(
    r":(?:stmt_)?(?:location|len) -?\d+|:(?:alias|eref) (?:<>|\{ALIAS (?:[^{}\\]|\\.)*\})"
    r"|:rtekind_join_using_alias \S+|:\w*format \d"
)


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """Hold a transaction, or a part of one, of which nothing stays."""
    with connection.transaction(force_rollback=True):
        connection.execute(PIN)
        yield


def same(
    connection: Connection,
    one: str,
    other: str,
    source: str,
) -> bool:
    """Tell whether two expressions mean the same.

    The planner folds what is constant, so casts of literals and other spellings of them vanish; the
    parser's tree holds no names of aliases, and can be written in one form for all that mean the
    same. Functions of the user's are never unfolded: to call one and to write what it does are two
    things.

    Args:
        connection: In a transaction.
        one: An expression, as printed.
        other: Likewise.
        source: What follows SELECT and the expression: ``FROM …``, or nothing.

    """
    one, other = (with_amounts(connection, text.one_name_for_now(each)) for each in (one, other))
    if one == other:
        return True
    for read in (plan, parsed) if text.functions(one) == text.functions(other) else ():
        understood = read(connection, one, source)
        if understood is not None and understood == read(connection, other, source):
            return True
    meant = [meanings(connection, each, source) for each in (one, other)]
    return bool(meant[0] & meant[1])


def plan(connection: Connection, expression: str, source: str = "") -> Any:  # noqa: ANN401
    """Return how the planner would ask for an expression, which is not run; None if it cannot.

    Args:
        connection: To a scratch database.
        expression: As printed.
        source: What follows SELECT and the expression.

    """
    try:
        with undone(connection):
            explain = f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT {expression} {source}"
            row = connection.execute(explain.encode()).fetchone()
    except psycopg.Error:
        return None
    return row[0][0]["Plan"] if row else None


def parsed(connection: Connection, expression: str, source: str) -> str | None:
    """Return how the parser reads an expression, which has no name; None if it cannot."""
    stored = tree(connection, f"SELECT {expression} {source}")
    return stored and AROUND.sub("", stored)


def meanings(
    connection: Connection,
    expression: str,
    source: str,
) -> frozenset[Node]:
    """Return what an expression means, as it is written and as the planner has folded it.

    Two that have one of these in common mean the same. The planner prints no collations, and it
    unfolds functions of the user's, so an expression with these is only taken as it is written.

    Args:
        connection: To a scratch database.
        expression: As printed.
        source: What follows SELECT and the expression.

    """
    written = [expression, with_single_casts(connection, expression)]
    if not text.functions(expression) and "COLLATE" not in text.unquoted(expression):
        planned = plan(connection, expression, source) or {}
        written += map(text.without_limits, planned.get("Output", ()))
    trees = [
        AROUND.sub("", stored)
        for each in dict.fromkeys(written)
        if (stored := tree(connection, f"SELECT {each} {source}"))
    ]
    known = knowledge(connection, *trees)
    return frozenset(meaning(stored, known) for stored in trees)


def tree(connection: Connection, query: str) -> str | None:
    """Return how the parser reads a query, without what is incidental; None if it cannot."""
    create = f"CREATE VIEW pg_temp.understood AS {query}"
    return rule(connection, create, "pg_temp.understood", "_RETURN")


def folded(connection: Connection, query: str) -> str:
    """Write a query as the server prints it now, and literals that are cast twice cast once.

    What it prints it may read otherwise: of a list that is cast, each part is.
    """
    try:
        with undone(connection):
            connection.execute(f"CREATE VIEW pg_temp.understood AS {query}".encode())
            row = connection.execute(
                "SELECT pg_get_viewdef('pg_temp.understood'::regclass)"
            ).fetchone()
        query = row[0].removesuffix(";") if row else query
    except psycopg.Error:  # it is not one that a view can have
        pass
    return with_single_casts(connection, query)


def with_single_casts(connection: Connection, query: str) -> str:
    """Write the literals that are cast twice as the planner does, cast once."""

    def once(match: re.Match[str]) -> str:
        understood = plan(connection, match[0])
        return str(understood["Output"][0]) if understood else match[0]

    return CAST_TWICE.sub(once, query)


def with_amounts(connection: Connection, expression: str) -> str:
    """Write numbers that are cast to ``money`` as the literals that the server makes of them.

    The planner does not, for it depends on ``lc_monetary`` how they look.
    """

    def amount(match: re.Match[str]) -> str:
        row = connection.execute(f"SELECT quote_literal(({match[0]})::text)".encode()).fetchone()
        return f"{row[0]}::money" if row else match[0]

    return AMOUNT.sub(amount, expression)


def rule(connection: Connection, create: str, relation: str, name: str) -> str | None:
    """Make a rule and return how the parser read it, without what is incidental."""
    try:
        with undone(connection):
            connection.execute(create.encode())
            row = connection.execute(
                "SELECT concat_ws(' ', ev_type, is_instead, ev_qual, ev_action),"
                " ev_class::oid::text FROM pg_rewrite"
                " WHERE ev_class = %s::regclass AND rulename = %s",
                [relation, name],
            ).fetchone()
    except psycopg.Error:
        return None
    if row is None:
        return None
    stored = INCIDENTAL.sub("", row[0])
    return re.sub(rf":relid {row[1]}\b", ":relid 0", stored)


def same_value(connection: Connection, one: str, other: str, kind: str) -> bool:
    """Tell whether two defaults yield the same, always.

    Where both depend on the moment, they are evaluated: at two moments, in two time zones, each
    with its own date. What depends on anything else is left alone.

    Args:
        connection: In a transaction; to a scratch database.
        one: An expression without columns, as printed.
        other: Likewise.
        kind: The type that they are for.

    """
    with undone(connection):
        if same(connection, f"({one})::{kind}", f"({other})::{kind}", ""):
            return True
        for expression in (one, other):
            bare = text.unquoted(expression)
            if UNSTEADY.search(bare) or text.functions(expression):
                return False
            planned = plan(connection, f"({expression})::{kind}")
            if planned is None or CONSTANT.fullmatch(planned["Output"][0]):
                return False
        return all(
            _value(connection, one, kind, zone) == _value(connection, other, kind, zone)
            for zone in ZONES
        )


def _value(connection: Connection, expression: str, kind: str, zone: str) -> object:
    # In a transaction that has lasted a while, now() and statement_timestamp() are apart.
    connection.execute("SELECT pg_sleep(0.001), set_config('timezone', %s, true)", [zone])
    try:
        with connection.transaction():
            row = connection.execute(f"SELECT (({expression})::{kind})::text".encode()).fetchone()
    except psycopg.Error:
        return object()  # like no other
    return row


@contextmanager
def copied(connection: Connection, schema: str, table: str) -> Iterator[str]:
    """Yield the name of an empty table like another, which means it within the block.

    It has the columns, their types and NOT NULL, and nothing that would stand in the way of a
    change of type.

    Raises:
        psycopg.Error: there is no such table.

    """
    with undone(connection):
        copy = sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {})")
        connection.execute(copy.format(sql.Identifier(table), sql.Identifier(schema, table)))
        yield sql.Identifier("pg_temp", table).as_string(connection)
