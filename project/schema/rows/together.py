"""The same question of many tables, in a few statements none of which waits for another."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from project.schema.rows.tables import Name

#: Of so many tables one statement asks. The server plans it anew after a change of any of them; to
#: send one for each costs more than that.
TOGETHER = 8


def together(
    connection: psycopg.Connection, question: str, tables: Sequence[tuple[Name, bool]]
) -> dict[Name, Any]:
    """Ask for one value of each table.

    Args:
        connection: Where; best in a pipeline.
        question: A query for one value of the table ``{}``.
        tables: Their names, and whether they are partitioned. Of others, what others inherit is
            left out. New ones should come last, so that the statements are those of last time.

    """
    groups = [tuple(tables[start : start + TOGETHER]) for start in range(0, len(tables), TOGETHER)]
    asked = [
        connection.cursor(row_factory=tuple_row).execute(_query(question, group), prepare=True)
        for group in groups
    ]
    return {
        name: value
        for group, cursor in zip(groups, asked, strict=True)
        for (name, _), value in zip(group, cursor.fetchone() or (), strict=True)
    }


@lru_cache(maxsize=4096)
def _query(question: str, tables: tuple[tuple[Name, bool], ...]) -> bytes:
    each = (
        sql.SQL("({})").format(
            sql.SQL(question).format(
                sql.SQL("{} {}").format(
                    sql.SQL("" if partitioned else "ONLY"), sql.Identifier(*name)
                )
            )
        )
        for name, partitioned in tables
    )
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(each)).as_bytes()
