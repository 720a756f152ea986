"""What the models of a release send, sent: by its own driver, its types and its defaults.

Runs in the worker. Each statement is executed in a savepoint, as the service's role, and rolled
back. They are made once, with values from rows that are there, and sent again on other databases:
what they come to there is compared outside.

Sources:
    https://docs.sqlalchemy.org/en/21/orm/persistence_techniques.html (what a flush sends)

"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from project.schema.worker.definitions import Definitions

#: Of a value in Python that its type refuses, where PostgreSQL has a code of its own for errors.
PYTHON = "python"

#: Rows to read at most, and rows to take values from.
ALL, ROWS = 1000, 5


@dataclass(frozen=True)
class Sent:
    """One statement of a release."""

    table: sa.Table
    kind: str  # as in ``probes.Probe``
    columns: tuple[str, ...]
    statement: Any
    room: Any = None  # what deletes the row that it inserts


@dataclass
class Release:
    """The statements of a project's models."""

    definitions: Definitions
    made: list[Sent] = field(default_factory=list)

    def make(
        self,
        connection: sa.engine.Connection,
        metadatas: Sequence[sa.MetaData],
        wanted: Collection[tuple[str, str]] | None,
    ) -> None:
        """Make the statements for some tables, or all, with values of this database."""
        default = connection.dialect.default_schema_name
        self.made = [
            sent
            for metadata in metadatas
            for table in metadata.sorted_tables
            if wanted is None or (table.schema or default, table.name) in wanted
            for sent in self._of(connection, table)
        ]

    def _of(self, connection: sa.engine.Connection, table: sa.Table) -> Iterator[Sent]:
        columns = self._columns(table)
        names = tuple(column.name for column in columns)
        yield Sent(table, "SELECT", names, sa.select(*columns).limit(ALL))
        row = _row(connection, columns)
        if row is None:
            return
        for column, value in row.items():
            if value is not None and not isinstance(column.type, sa.JSON):
                counted = sa.select(sa.func.count()).select_from(table).where(column == value)
                yield Sent(table, "WHERE", (column.name,), counted)
        key = [column for column in table.primary_key if column in row]
        if not key or len(key) != len(table.primary_key):
            return
        this = sa.and_(*(column == row[column] for column in key))
        for chosen in _written(row):
            values = {column: row[column] for column in chosen}
            named = tuple(column.name for column in chosen)
            room = sa.delete(table).where(this)
            yield Sent(table, "INSERT", named, sa.insert(table).values(values), room)
        for column, value in row.items():
            if column not in key and column.computed is None:
                update = sa.update(table).where(this).values({column: value})
                yield Sent(table, "UPDATE", (column.name,), update)
        yield Sent(table, "DELETE", (), sa.delete(table).where(this))

    def _columns(self, table: sa.Table) -> list["sa.Column[Any]"]:
        """Return the columns that classes map; all of a table that no class maps."""
        mappers = [mapper for mapper in self.definitions.mappers if mapper.local_table is table]
        mapped = {column for mapper in mappers for column in mapper.columns}
        return [column for column in table.columns if not mappers or column in mapped]

    def send(self, connection: sa.engine.Connection, role: str | None) -> list[dict[str, Any]]:
        """Execute the statements, each as if it were the only one; nothing of them remains."""
        default = connection.dialect.default_schema_name or ""
        quote = connection.dialect.identifier_preparer.quote
        as_whom = f"SET LOCAL ROLE {quote(role)}" if role else "SELECT"
        connection.exec_driver_sql("SET LOCAL statement_timeout = '5s'")
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        told = []
        for sent in self.made:
            point = connection.begin_nested()
            try:
                if sent.room is not None:
                    _make_room(connection, sent.room)
                connection.exec_driver_sql(as_whom)
                ended = {"rows": _rows(connection.execute(sent.statement))}
            except Exception as error:  # noqa: BLE001 - of any driver, or of a type's own code
                ended = _error(error)
            point.rollback()
            about = {
                "schema": sent.table.schema or default,
                "table": sent.table.name,
                "kind": sent.kind,
                "columns": sent.columns,
                "sql": " ".join(str(sent.statement).split()),
            }
            told.append({**about, **ended})
        connection.rollback()
        return told


def _row(
    connection: sa.engine.Connection, columns: Sequence["sa.Column[Any]"]
) -> dict["sa.Column[Any]", Any] | None:
    """Read the fullest of some rows; None if there is none, or the models cannot read it."""
    with connection.begin_nested() as point:
        try:
            found = connection.execute(sa.select(*columns).limit(ROWS)).fetchall()
        except Exception:  # noqa: BLE001 - of any driver, or of a type's own code
            return None
        finally:
            point.rollback()
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    return min(rows, key=lambda row: list(row.values()).count(None), default=None)


def _written(row: dict["sa.Column[Any]", Any]) -> Iterator[list["sa.Column[Any]"]]:
    """Yield the columns that an INSERT names: those it must, and all it may."""
    plain = [
        column
        for column in row
        if column.computed is None and not (column.identity and column.identity.always)
    ]
    left = [
        column
        for column in plain
        if column.server_default is not None
        or column.identity is not None
        or isinstance(column.default, sa.Sequence)
        or column is getattr(column.table, "autoincrement_column", None)
    ]
    yield [column for column in plain if column not in left]
    if left:
        yield plain


def _make_room(connection: sa.engine.Connection, room: Any) -> None:  # noqa: ANN401
    """Delete a row, whoever refers to it, so that it can be inserted again."""
    with connection.begin_nested() as point:
        try:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.execute(room)
            connection.exec_driver_sql("SET LOCAL session_replication_role = origin")
        except sa.exc.DBAPIError:
            point.rollback()


def _rows(result: "sa.CursorResult[Any]") -> int:
    if not result.returns_rows:
        return int(result.rowcount)
    rows = result.fetchall()
    counted = len(rows) == 1 and list(result.keys()) == ["count_1"]
    return int(rows[0][0]) if counted else len(rows)


def _error(error: Exception) -> dict[str, Any]:
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or PYTHON
    told = getattr(cause, "diag", None)
    said = (str(cause).strip().splitlines() or [""])[0]
    return {
        "sqlstate": state,
        "message": f"{type(cause).__name__}: {said}" if state == PYTHON else said,
        "column": getattr(told, "column_name", None) or getattr(cause, "column_name", None) or "",
        "constraint": getattr(told, "constraint_name", None)
        or getattr(cause, "constraint_name", None)
        or "",
    }
