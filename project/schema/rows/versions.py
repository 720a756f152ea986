"""Whether a table still holds the rows that it held, told without reading them.

A row of a heap is never changed in place: what an UPDATE writes is a new one, elsewhere, by another
transaction. So while the same rows by number of place (``ctid``) and transaction (``xmin``) are
there, and the description of columns and primary key is the same, so is all that they say. Sources:
PostgreSQL, "System Columns", "Multiversion Concurrency Control".
"""

from collections.abc import Collection
from typing import NamedTuple

import psycopg
from psycopg.rows import tuple_row

from project.schema.rows.tables import TABLES, Name
from project.schema.rows.together import together


class Version(NamedTuple):
    """A table as it is now."""

    oid: int
    name: Name
    partitioned: bool
    #: While it is the same, so are the rows; None for a table that is not one heap.
    sign: str | None


DIGEST = "SELECT sha256(convert_to(string_agg(concat(ctid, xmin), ' '), 'UTF8')) FROM {}"

DESCRIBED = f"""
    SELECT oid, schema, name, partitioned,
        concat_ws(' ', oid,
            (SELECT indkey FROM pg_catalog.pg_index WHERE indrelid = found.oid AND indisprimary),
            (
                SELECT string_agg(concat_ws(' ', attnum, attname, pg_attribute.xmin), ' ')
                FROM pg_catalog.pg_attribute WHERE attrelid = found.oid AND attnum > 0
            )
        ),
        NOT partitioned AND EXISTS (
            SELECT FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_am ON pg_am.oid = relam
            WHERE class.oid = found.oid AND amname = 'heap'
        )
    FROM ({TABLES}) AS found ORDER BY oid
"""  # noqa: S608 - nothing from outside


def versions(connection: psycopg.Connection, leave_out: Collection[Name]) -> list[Version]:
    """Return all tables as they are now.

    Args:
        connection: In a transaction that sees one state.
        leave_out: Schema and name of tables that do not matter.

    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        described = [
            (Version(oid, (schema, name), partitioned, description), heap)
            for oid, schema, name, partitioned, description, heap in cursor.execute(
                DESCRIBED.encode(), prepare=True
            ).fetchall()
            if (schema, name) not in leave_out
        ]
    heaps = [(table.name, table.partitioned) for table, heap in described if heap]
    digests = together(connection, DIGEST, heaps)
    return [
        table._replace(sign=f"{table.sign} {digests[table.name]!r}" if heap else None)
        for table, heap in described
    ]
