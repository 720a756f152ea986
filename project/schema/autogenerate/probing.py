"""What only the server knows: which changes write every row anew, which casts it does by itself.

It is asked by doing it: to a table of its own in a scratch database, in a transaction that is
rolled back. What counts is what PostgreSQL does, not what a type or a function is marked as: a
function in SQL is put in place of its call first, and may turn out to be constant.
"""

from collections.abc import Iterable, Iterator

import psycopg
from psycopg import sql

from project.schema.snapshot import Key


def volatile(
    connections: Iterable[psycopg.Connection], columns: Iterable[tuple[Key, str, str]]
) -> Iterator[Key]:
    """Find the new columns whose default differs from row to row, so that all are written.

    Args:
        connections: To scratch databases, in one of which the defaults' types and functions are; in
            no transaction.
        columns: Key, type and default.

    """
    for key, type_, default in columns:
        asked = (_written_anew(connection, type_, default) for connection in connections)
        # A sequence that a downgrade makes again is in none of them.
        if next((answer for answer in asked if answer is not None), "nextval(" in default):
            yield key


def constant(
    connection: psycopg.Connection, columns: Iterable[tuple[Key, str, str]]
) -> Iterator[Key]:
    """Find the new columns in which a value is the same for all rows, so that none is written.

    Such a value need not be put into the rows: added as the column's default, PostgreSQL notes it
    once ("ALTER TABLE", Notes).

    Args:
        connection: To a scratch database where the types are; in no transaction.
        columns: Key, type, and the value in SQL.

    """
    for key, type_, value in columns:
        if _written_anew(connection, type_, f"({value})") is False:
            yield key


def _written_anew(connection: psycopg.Connection, type_: str, default: str) -> bool | None:
    add = f"ALTER TABLE probe ADD COLUMN other {type_} DEFAULT {default}"
    return rewrites(connection, "CREATE TEMPORARY TABLE probe (one int)", add)


def rewrites(connection: psycopg.Connection, create: str, alter: str) -> bool | None:
    """Tell whether a change of the table `probe` writes its rows anew.

    Args:
        connection: To a scratch database; in no transaction.
        create: Makes the table.
        alter: Changes it.

    Returns:
        None where PostgreSQL refuses the change, perhaps for want of a type or a function that the
        migration makes itself.

    """
    try:
        with connection.transaction(force_rollback=True):
            # In another time zone, a timestamp's values depend on it.
            connection.execute("SET LOCAL TimeZone TO 'UTC'")
            connection.execute(sql.SQL(create))
            before = _file(connection)
            connection.execute(sql.SQL(alter))
            return _file(connection) != before
    except psycopg.Error:
        return None


def _file(connection: psycopg.Connection) -> object:
    return connection.execute("SELECT pg_relation_filenode('probe')").fetchone()


def overlap(connection: psycopg.Connection, table: str, by: str, one: str, other: str) -> bool:
    """Tell whether rows of one partition may belong into another, were that there instead.

    Those of a default may belong anywhere, and any into one.

    Args:
        connection: To a scratch database; in no transaction.
        table: What is partitioned, as SQL names it.
        by: How.
        one: Bounds of the one.
        other: Bounds of the other.

    """
    if "DEFAULT" in {one, other}:
        return True
    try:
        with connection.transaction(force_rollback=True):
            create = f"CREATE TEMPORARY TABLE probe (LIKE {table}) PARTITION BY {by}"
            connection.execute(sql.SQL(create))
            for name, bounds in (("one", one), ("other", other)):
                part = f"CREATE TEMPORARY TABLE probe_{name} PARTITION OF probe {bounds}"
                connection.execute(sql.SQL(part))
    except psycopg.errors.InvalidObjectDefinition:
        return True
    return False
