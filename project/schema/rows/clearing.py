"""Tables without rows again."""

from collections.abc import Collection
from contextlib import suppress

import psycopg
from psycopg import sql

from project.schema.rows.tables import TABLES, Name


def clear(connection: psycopg.Connection, leave_out: Collection[Name] = ()) -> None:
    """Delete all rows of all tables, whatever refers to them and whatever triggers say.

    Args:
        connection: To a scratch database.
        leave_out: Schema and name of tables to be left alone.

    """
    query = f"SELECT schema, name FROM ({TABLES}) AS found"  # noqa: S608 - nothing from outside
    found = connection.execute(query.encode()).fetchall()
    names = [sql.Identifier(*name) for name in found if tuple(name) not in set(leave_out)]
    if not names:
        return
    with connection.transaction():
        # Only a superuser may; for others a trigger that refuses TRUNCATE has its way.
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))
