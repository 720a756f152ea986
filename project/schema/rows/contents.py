"""The rows of every table as plain values, and what is lost between two such pictures."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from project.schema.rows.tables import Name
from project.schema.rows.versions import Version, versions

#: A row as PostgreSQL prints it, column by column.
Row = tuple[str | None, ...]

#: An example is for a person to read, not to restore from.
EXAMPLE = 80


@dataclass(frozen=True)
class Rows:
    """What a table holds."""

    columns: tuple[str, ...]
    key: tuple[str, ...]  # the columns of its primary key; empty without one
    rows: tuple[Row, ...]  # in the order of the key, or of the whole rows
    #: While it is the same, so is all the rest. None where that cannot be told without reading.
    version: str | None = field(default=None, compare=False)

    @cached_property
    def monotonous(self) -> Collection[str]:
        """The columns that hold the same in all rows, of which there are several."""
        if len(self.rows) < 2:  # noqa: PLR2004
            return ()
        return [
            column
            for column, values in zip(self.columns, zip(*self.rows, strict=True), strict=True)
            if len(set(values)) == 1
        ]


#: Every table's rows.
Contents = Mapping[Name, Rows]

NOTHING: Contents = MappingProxyType({})


@dataclass(frozen=True)
class Loss:
    """Values that were there before and are not there after."""

    schema: str
    table: str
    column: str | None  # None where whole rows, or the table, are gone
    count: int
    example: str  # "id=3: 'before' → 'after'"
    of_nulls: bool = False  # nothing was there but NULL, which a change to NOT NULL replaces


#: What a value of a user's type looks like may change without the table, as when a label of an enum
#: is renamed; so may one that names an object.
COLUMNS = """
    SELECT found.oid,
        array(
            SELECT attname::text FROM pg_catalog.pg_attribute
            WHERE attrelid = found.oid AND attnum > 0 AND NOT attisdropped
                AND attgenerated <> 'v'  -- is in no row, and may fail where it is computed
            ORDER BY attnum
        ),
        array(
            SELECT attname::text
            FROM pg_catalog.pg_constraint, unnest(conkey) WITH ORDINALITY AS part (number, place)
            JOIN pg_catalog.pg_attribute ON attnum = number
            WHERE conrelid = found.oid AND contype = 'p' AND attrelid = found.oid ORDER BY place
        ),
        NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute WHERE attrelid = found.oid AND attnum > 0
                AND (atttypid >= 16384 OR atttypid::pg_catalog.regtype::text LIKE 'reg%%')
        )
    FROM unnest(%s::oid[]) AS found (oid)
"""

#: How values are printed must not depend on who connects.
PRINTED = {
    "bytea_output": "hex",
    "datestyle": "ISO, YMD",
    "extra_float_digits": "1",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "statement_timeout": "0",
}


PRINT = sql.SQL("SELECT {}").format(
    sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(*setting) for setting in PRINTED.items()
    )
)


def read(
    connection: psycopg.Connection, leave_out: Collection[Name] = (), earlier: Contents = NOTHING
) -> Contents:
    """Read the rows of all tables, as they are at one point in time.

    Args:
        connection: To the database; outside of a transaction.
        leave_out: Schema and name of tables that do not matter.
        earlier: What was read of the same database; a table that was not touched since is not read
            again.

    """
    with _printing(connection):
        found = versions(connection, leave_out)
        kept = {table.name: earlier[table.name] for table in found if _untouched(table, earlier)}
        tables = list(_tables(connection, [each for each in found if each.name not in kept]))
        # A statement for each, none of which waits for another's answer: the server keeps the plan
        # of one whose table is still the same, and would make that of all anew.
        cursors = [
            connection.cursor(row_factory=tuple_row).execute(_rows_of(table), prepare=True)
            for table in tables
        ]
        return kept | {
            table.name: table.holding(cursor.fetchall())
            for table, cursor in zip(tables, cursors, strict=True)
        }


def _untouched(table: Version, earlier: Contents) -> bool:
    before = earlier.get(table.name)
    return before is not None and before.version is not None and before.version == table.sign


def _tables(connection: psycopg.Connection, found: Collection[Version]) -> Iterator["_Table"]:
    if not found:
        return
    by_oid = {table.oid: table for table in found}
    with connection.cursor(row_factory=tuple_row) as cursor:
        for oid, columns, key, lasting in cursor.execute(COLUMNS, [list(by_oid)], prepare=True):
            _, name, partitioned, sign = by_oid[oid]
            yield _Table(name, partitioned, tuple(columns), tuple(key), sign if lasting else None)


@contextmanager
def _printing(connection: psycopg.Connection) -> Iterator[None]:
    with connection.pipeline(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(PRINT)
        yield


@dataclass(frozen=True)
class _Table:
    name: Name
    partitioned: bool
    columns: tuple[str, ...]
    key: tuple[str, ...]
    version: str | None = field(compare=False)

    def holding(self, rows: list[Row]) -> Rows:
        places = [self.columns.index(column) for column in self.key] or range(len(self.columns))
        # None compares with no text.
        rows.sort(key=lambda row: [(row[place] is not None, row[place] or "") for place in places])
        return Rows(self.columns, self.key, tuple(rows), self.version)


@lru_cache(maxsize=4096)
def _rows_of(table: _Table) -> bytes:
    """Write the query for the rows of a table."""
    # With a collation of its own, or the plan that is kept would fail when a column gets another.
    printed = sql.SQL('{}::text COLLATE "C"')
    query = sql.SQL("SELECT {} FROM {} {}").format(
        sql.SQL(", ").join(printed.format(sql.Identifier(c)) for c in table.columns),
        # A table that others inherit from shows their rows, too; those are read as their own.
        sql.SQL("" if table.partitioned else "ONLY"),
        sql.Identifier(*table.name),
    )
    return query.as_bytes()


def losses(before: Contents, after: Contents) -> list[Loss]:
    """Tell what was there before and is not there after; what is new is no loss.

    Rows are matched by the primary key that they had. Where there was none, or it does not tell
    rows apart any more, all rows of a table are compared with all others.
    """
    return [
        Loss(*name, *part)
        for name, rows in sorted(before.items())
        if after.get(name) is not rows and after.get(name) != rows  # mostly they are the same
        for part in (_compared(rows, after[name]) if name in after else _all_of(rows))
    ]


#: Column, count and example of a loss, and whether it is one of NULLs.
_Part = tuple[str | None, int, str] | tuple[str | None, int, str, bool]


def _all_of(rows: Rows) -> Iterator[_Part]:
    yield None, len(rows.rows), "the table is gone"


def _compared(before: Rows, after: Rows) -> Iterator[_Part]:
    shared = tuple(column for column in before.columns if column in after.columns)
    for column in before.columns:
        if column not in shared:
            values = [row[0] for row in _only(before, (column,)) if row[0] is not None]
            example = f", and {_cut(values[0])} with it" if values else ""
            yield column, len(values), f"the column is gone{example}"
    old, new = _only(before, shared), _only(after, shared)
    places = [shared.index(column) for column in before.key if column in shared]
    old_by_key, new_by_key = _by_key(old, places), _by_key(new, places)
    if len(places) == len(before.key) > 0 and len(new_by_key) == len(new):
        yield from _by_row(old_by_key, new_by_key, shared, before.key)
    else:
        yield from _by_count(old, new, shared)


def _only(rows: Rows, columns: tuple[str, ...]) -> list[Row]:
    places = [rows.columns.index(column) for column in columns]
    return [tuple(row[place] for place in places) for row in rows.rows]


def _by_key(rows: list[Row], places: list[int]) -> dict[Row, Row]:
    return {tuple(row[place] for place in places): row for row in rows}


def _by_row(
    old: dict[Row, Row], new: dict[Row, Row], columns: tuple[str, ...], key: tuple[str, ...]
) -> Iterator[_Part]:
    if missing := [found for found in old if found not in new]:
        yield None, len(missing), f"no row {_shown(key, missing[0])}"
    for place, column in enumerate(columns):
        changed = [
            found for found, row in old.items() if found in new and new[found][place] != row[place]
        ]
        for of_nulls in (False, True):
            some = [found for found in changed if (old[found][place] is None) == of_nulls]
            if some:
                values = _cut(old[some[0]][place]), _cut(new[some[0]][place])
                example = f"{_shown(key, some[0])}: {' → '.join(values)}"
                yield column, len(some), example, of_nulls


def _by_count(old: list[Row], new: list[Row], columns: tuple[str, ...]) -> Iterator[_Part]:
    missing = Counter(old) - Counter(new)
    if not missing:
        return
    told = False
    for place, column in enumerate(columns if len(old) == len(new) else ()):
        gone = Counter(row[place] for row in old) - Counter(row[place] for row in new)
        nulls = gone.pop(None, 0)
        if gone:
            yield column, gone.total(), f"{_cut(next(iter(gone)))} is gone"
        if nulls:
            yield column, nulls, "NULL is gone", True
        told = told or bool(gone or nulls)
    if not told:
        # Fewer rows, or the same values in other rows.
        yield None, missing.total(), f"no row {_shown(columns, next(iter(missing)))}"


def _shown(columns: tuple[str, ...], row: Row) -> str:
    parts = (f"{name}={_cut(value)}" for name, value in zip(columns, row, strict=True))
    return _shortened(" ".join(parts))


def _cut(value: str | None) -> str:
    return "NULL" if value is None else _shortened(repr(value))


def _shortened(text: str) -> str:
    return text if len(text) <= EXAMPLE else text[: EXAMPLE - 1] + "…"
