"""Do two expressions that are printed differently mean the same to the server?

Correct migrations leave residue. After a change of a column's type, its default keeps the old cast
(``'member'::character varying`` on a ``text`` column) and its checks are rewritten with casts; and
``now()`` and ``CURRENT_TIMESTAMP`` are printed as they were written. None of that is drift.

The server decides, in a scratch database, never in the user's: a default is evaluated, any other
expression is read once more without the casts between texts, for a column of the expected type,
and printed again. What cannot be decided stays a difference.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from project.schema.catalog import PIN
from project.schema.snapshot import Difference, Key

#: Casts between types of text, which change nothing but the print of an expression. The types with
#: a length (``varchar(3)``, ``char``) cut or pad and are not among them.
TEXT_CAST = re.compile(r"::(?:text|character varying)(?:\[\])?(?![\w(])")

#: A default that holds one of these words depends on who asks and how often, so its value proves
#: nothing.
UNSTEADY = re.compile(
    r"nextval|currval|lastval|random|uuid|user|role|setting|schema|backend|txid|xact|clock|inet_",
    re.IGNORECASE,
)


def without_equivalents(
    differences: Iterable[Difference], connection: psycopg.Connection
) -> list[Difference]:
    """Leave out the differences that are none to the server.

    Args:
        differences: What differs between the expected side and the other.
        connection: To a scratch database that holds the expected side, in autocommit mode. It is
            left as it was.

    """
    return [difference for difference in differences if not _equivalent(difference, connection)]


def _equivalent(difference: Difference, connection: psycopg.Connection) -> bool:
    expected, found = difference.expected, difference.found
    if not isinstance(expected, str) or not isinstance(found, str):
        return False
    kind, attribute = difference.key.kind, difference.attribute
    if (kind, attribute) == ("column", "default"):
        return _same_value(connection, difference.key, expected, found)
    if (kind, attribute) == ("function", "body"):
        return _unindented(expected) == _unindented(found)
    if (kind, attribute) in {("constraint", "definition"), ("index", "definition")}:
        return _same_print(connection, difference.key, expected, found)
    return False


def _same_value(connection: psycopg.Connection, key: Key, expected: str, found: str) -> bool:
    """Tell whether two defaults yield the same value for their column, at two moments."""
    if UNSTEADY.search(expected) or UNSTEADY.search(found):
        return False
    with _undone(connection):
        try:
            return all(
                _value(connection, key, expected) == _value(connection, key, found)
                for _ in range(2)
            )
        except psycopg.Error:
            return False


def _value(connection: psycopg.Connection, key: Key, expression: str) -> object:
    schema, table, column = key.name
    # In a transaction that has lasted a while, now() and statement_timestamp() are apart.
    connection.execute("SELECT pg_sleep(0.001)")
    cast = f"({expression})::{_type(connection, schema, table, column)}"
    return connection.execute(f"SELECT ({cast})::text".encode()).fetchone()


def _type(connection: psycopg.Connection, schema: str, table: str, column: str) -> str:
    row = connection.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute"
        " WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND attname = %s",
        [schema, table, column],
    ).fetchone()
    return str(row[0]) if row else "text"


def _same_print(connection: psycopg.Connection, key: Key, expected: str, found: str) -> bool:
    """Tell whether two definitions on a table are printed alike once read without text casts."""
    printed = [_reprinted(connection, key, definition) for definition in (expected, found)]
    return printed[0] is not None and printed[0] == printed[1]


def _reprinted(connection: psycopg.Connection, key: Key, definition: str) -> str | None:
    schema, table, _ = key.name
    bare = TEXT_CAST.sub("", definition)
    name = sql.Identifier("reprinted")
    original = sql.Identifier(schema, table)
    with _undone(connection):
        try:
            copy = sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {} INCLUDING GENERATED)")
            connection.execute(copy.format(name, original))
            if key.kind == "constraint":
                add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(name, name)
                connection.execute(add + sql.SQL(bare))
                read = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s"
                row = connection.execute(read, ["reprinted"]).fetchone()
            else:
                connection.execute(
                    sql.SQL("CREATE INDEX reprint ON {} ").format(name) + sql.SQL(bare)
                )
                row = connection.execute("SELECT pg_get_indexdef('reprint'::regclass)").fetchone()
        except psycopg.Error:
            return None
    return str(row[0]) if row else None


@contextmanager
def _undone(connection: psycopg.Connection) -> Iterator[None]:
    with connection.transaction(force_rollback=True):
        connection.execute(PIN)
        yield


def _unindented(body: str) -> list[str]:
    lines = textwrap.dedent(body).splitlines()
    return [line.rstrip() for line in lines if line.strip()]
