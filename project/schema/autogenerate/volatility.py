"""Which defaults differ from row to row: PostgreSQL must then write every row of the table anew."""

from collections.abc import Iterable, Iterator

import psycopg
from psycopg import sql

from project.schema.snapshot import Key


def volatile(
    connection: psycopg.Connection, columns: Iterable[tuple[Key, str, str]]
) -> Iterator[Key]:
    """Find out by adding each column to a table of its own that is then rolled back.

    What counts is what PostgreSQL does, not what a function is marked as: one in SQL is put in
    place of its call first, and may turn out to be constant.

    Args:
        connection: To a scratch database where the defaults' functions are; in no transaction.
        columns: Key, type and default.

    """
    for key, type_, default in columns:
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("CREATE TEMPORARY TABLE probe (one int)")
                before = _file(connection)
                add = sql.SQL("ALTER TABLE probe ADD COLUMN other {} DEFAULT {}")
                connection.execute(add.format(sql.SQL(type_), sql.SQL(default)))
                rewritten = _file(connection) != before
        except psycopg.Error:
            continue  # a type or function that the migration makes itself
        if rewritten:
            yield key


def _file(connection: psycopg.Connection) -> object:
    return connection.execute("SELECT pg_relation_filenode('probe')").fetchone()
