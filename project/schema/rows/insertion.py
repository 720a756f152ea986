"""Insert a row, or hear from the server what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import CheckViolation, DiskFull

from project.schema.rows.proposals import DEFAULT, Row
from project.schema.rows.tables import Name, Table

#: Classes of errors that another row would meet as well: no right, no such function, no space, a
#: timeout. Others speak of values.
HOPELESS = {"0A", "25", "42", "53", "55", "57", "58", "XX"}


@dataclass(frozen=True)
class Refusal:
    """What the server said, and what that puts in doubt."""

    reason: str
    rule: str  # the constraint or the kind of error that said no
    table: Name
    columns: frozenset[str]  # in doubt
    hopeless: bool = False


def insert(
    connection: psycopg.Connection, batch: Mapping[Name, Table], rows: Mapping[Name, Row]
) -> Refusal | None:
    """Insert a row into each table, all of them or none."""
    *others, last = [_insertion(table, rows[name]) for name, table in batch.items()]
    statement = last
    if others:
        inner = (
            sql.SQL("{} AS ({})").format(sql.Identifier(f"row{place}"), other)
            for place, other in enumerate(others)
        )
        statement = sql.SQL("WITH {} {}").format(sql.SQL(", ").join(inner), last)
    values = [value for row in rows.values() for value in row.values() if value is not DEFAULT]
    try:
        cursor = connection.execute(statement, values, prepare=False)
    except psycopg.Error as error:
        if connection.closed or isinstance(error, DiskFull):
            raise
        return _refusal(error, batch)
    if cursor.rowcount == 0:
        *_, name = batch
        reason = "a trigger or a rule left the row out"
        return Refusal(reason, "", name, batch[name].names)
    return None


def _insertion(table: Table, row: Row) -> sql.Composed:
    """Return the statement for a row; its values are parameters, of the types of the columns."""
    if not row:
        return sql.SQL("INSERT INTO {} DEFAULT VALUES").format(quoted(*table.name))
    return sql.SQL("INSERT INTO {} ({}) {} VALUES ({})").format(
        quoted(*table.name),
        sql.SQL(", ").join(map(quoted, row)),
        # Otherwise an identity that is GENERATED ALWAYS takes no value.
        sql.SQL("OVERRIDING SYSTEM VALUE"),
        sql.SQL(", ").join(
            sql.SQL("DEFAULT") if value is DEFAULT else sql.Placeholder() for value in row.values()
        ),
    )


def quoted(*names: str) -> sql.Identifier:
    """Return a name as a statement with parameters has it, where a "%" would begin one."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))


def _refusal(error: psycopg.Error, batch: Mapping[Name, Table]) -> Refusal:
    said = error.diag
    name = (said.schema_name or "", said.table_name or "")
    # A partition is refused under its own name, and belongs to the one table there is.
    table = batch.get(name) or next(iter(batch.values()))
    state = error.sqlstate or ""
    rules = {rule.name: frozenset(rule.columns) for rule in (*table.checks, *table.uniques)}
    rules |= {key.name: frozenset(key.columns) for key in table.foreign_keys}
    columns = table.names
    if said.column_name in table.names:
        columns = frozenset({said.column_name})
    elif said.constraint_name or state == CheckViolation.sqlstate:
        columns = rules.get(said.constraint_name or "") or columns
    if any(table.by_name[column].generated for column in columns):
        columns = table.names  # any of which may have gone into it
    return Refusal(
        said.message_primary or str(error),
        said.constraint_name or state,
        table.name,
        columns,
        hopeless=state[:2] in HOPELESS,
    )
