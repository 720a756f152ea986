"""Tables without rows again, or without what no whole number can be."""

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


NUMBERS = """
    SELECT nspname, relname, attname
    FROM pg_catalog.pg_attribute
    JOIN pg_catalog.pg_class AS class ON class.oid = attrelid
    JOIN pg_catalog.pg_namespace AS schema ON schema.oid = relnamespace
    WHERE atttypid = ANY ('{numeric,float4,float8}'::pg_catalog.regtype[])
        AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND relkind IN ('r', 'p') AND NOT relispartition AND nspname !~ '^pg_|^information_schema$'
"""


def without_nan(connection: psycopg.Connection) -> None:
    """Write 0 where a number is NaN, unless a constraint or a trigger refuses that.

    Args:
        connection: To a scratch database; in autocommit mode.

    """
    for schema, table, column in connection.execute(NUMBERS.encode()).fetchall():
        statement = sql.SQL("UPDATE {0} SET {1} = 0 WHERE {1} = 'NaN'").format(
            sql.Identifier(schema, table), sql.Identifier(column)
        )
        with suppress(psycopg.errors.IntegrityError, psycopg.errors.RaiseException):
            connection.execute(statement, prepare=False)
