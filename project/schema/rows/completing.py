"""Values for columns that came later than the rows.

A column that is added holds NULL in every row that is there, or its default. Those who use the
database will change that before the next migration comes; here nobody does.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from random import Random

import psycopg
from psycopg import sql

from project.schema.rows.contents import Contents, Rows
from project.schema.rows.filling import configured, keys_of
from project.schema.rows.insertion import HOPELESS, quoted
from project.schema.rows.proposals import is_constant, later
from project.schema.rows.tables import Column, Name, Table, tables


def complete(
    connection: psycopg.Connection,
    held: Contents,
    *,
    seed: int,
    values: Mapping[str, Collection[str]] | None = None,
    spare: Callable[[str], bool] = lambda _: False,
) -> bool:
    """Give values to columns that hold nothing but NULL, or nothing but their default.

    One row keeps what it has. A value that is refused is proposed otherwise, a few times. Rows are
    found by their primary key; without one they stay as they are.

    Args:
        connection: To a scratch database; in autocommit mode.
        held: The rows of all tables, as they are.
        seed: Chooses among the values that would do.
        values: As for :func:`project.schema.rows.fill`.
        spare: Tells which columns, by name, are to be left alone.

    Returns:
        Whether anything was changed.

    """
    wanted = {
        name: [column for column in rows.monotonous if column not in rows.key and not spare(column)]
        for name, rows in held.items()
        if rows.key
    }
    if not any(wanted.values()):
        return False
    changed = False
    with configured(connection):
        known = tables(connection, values, [name for name, names in wanted.items() if names])
        for name, names in wanted.items():
            if name not in known:
                continue
            for column in _open(known[name], names, held[name]):
                changed |= _complete(connection, known[name], column, held[name], seed)
    return changed


def _open(table: Table, names: Collection[str], rows: Rows) -> Iterator[Column]:
    """Yield the columns that an application may write to."""
    several = {name for key in table.foreign_keys if len(key.columns) > 1 for name in key.columns}
    for name in names:
        column = table.by_name[name]
        if column.generated or column.serves or column.sequence or name in several:
            continue
        nothing = rows.rows[0][rows.columns.index(name)] is None
        if nothing or is_constant(column.default):
            yield column


def _complete(
    connection: psycopg.Connection, table: Table, column: Column, rows: Rows, seed: int
) -> bool:
    options = [
        option
        for key in table.foreign_keys
        if key.columns == (column.name,)
        for option in keys_of(connection, key)
    ]
    random = Random(f"{seed} {table.name} {column.name}")  # noqa: S311 - to vary, not to hide
    changed = False
    for number, row in enumerate(rows.rows):
        key = {part: row[rows.columns.index(part)] for part in rows.key}
        for value in later(table, column, number, seed=seed, options=options, random=random):
            if state := _refused(connection, table.name, column.name, value, key):
                if state[:2] in HOPELESS:
                    return changed
                continue
            changed = True
            break
        else:
            if number == 0:
                return False  # a trigger may keep it as it is
    return changed


def _refused(
    connection: psycopg.Connection,
    name: Name,
    column: str,
    value: str,
    key: Mapping[str, str | None],
) -> str:
    """Write a value into the row with a key; return the code of the server's refusal."""
    statement = sql.SQL("UPDATE {} SET {} = %s WHERE {}").format(
        quoted(*name),
        quoted(column),
        sql.SQL(" AND ").join(sql.SQL("{} = %s").format(quoted(part)) for part in key),
    )
    try:
        connection.execute(statement, [value, *key.values()], prepare=False)
    except psycopg.errors.DiskFull:
        raise
    except psycopg.Error as error:
        if connection.closed:
            raise
        return error.sqlstate or "XX000"
    return ""
