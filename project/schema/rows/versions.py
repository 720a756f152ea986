"""Whether a table still holds the rows that it held, told without reading them.

A row of a heap is never changed in place: what an UPDATE writes is a new one, elsewhere, by another
transaction. So while the same rows by number of place (``ctid``) and transaction (``xmin``) are
there, and the description of the columns is the same, all that they say is the same. Sources:
PostgreSQL, "System Columns", "Multiversion Concurrency Control".
"""

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from project.schema.rows.tables import TABLES, Name

#: Of so many tables one statement asks. The server plans it anew after a change of any of them; to
#: send one for each costs more than that.
TOGETHER = 8


class Version(NamedTuple):
    """A table as it is now."""

    oid: int
    name: Name
    partitioned: bool
    #: While it is the same, so are the rows; None for a table that is not one heap.
    sign: str | None


DESCRIBED = f"""
    SELECT oid, schema, name, partitioned,
        (
            SELECT string_agg(concat_ws(' ', oid, attnum, attname, pg_attribute.xmin), ' ')
            FROM pg_catalog.pg_attribute WHERE attrelid = oid AND attnum > 0
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
    heaps = [table for table, heap in described if heap]
    groups = [heaps[start : start + TOGETHER] for start in range(0, len(heaps), TOGETHER)]
    asked = [
        connection.cursor(row_factory=tuple_row).execute(
            _digests(tuple(table.name for table in group)), prepare=True
        )
        for group in groups
    ]
    signed = [
        table._replace(sign=f"{table.sign} {digest!r}")
        for group, cursor in zip(groups, asked, strict=True)
        for table, digest in zip(group, cursor.fetchone() or (), strict=True)
    ]
    return signed + [table._replace(sign=None) for table, heap in described if not heap]


@lru_cache(maxsize=4096)
def _digests(names: tuple[Name, ...]) -> bytes:
    digest = sql.SQL(
        "(SELECT sha256(convert_to(string_agg(concat(ctid, xmin), ' '), 'UTF8')) FROM ONLY {})"
    )
    each = (digest.format(sql.Identifier(*name)) for name in names)
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(each)).as_bytes()
