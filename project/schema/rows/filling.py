"""Fill every table with a few rows that satisfy the catalog.

The server is the judge: a row is proposed, and what the server says to refuse it tells which
columns to propose anew. So nothing here has to understand a CHECK, a trigger or an exclusion.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import psycopg
from psycopg import sql
from psycopg.errors import CheckViolation, DiskFull
from psycopg.rows import scalar_row, tuple_row

from project.schema.rows.order import components
from project.schema.rows.proposals import DEFAULT, Key, Row, again, first, link
from project.schema.rows.tables import ForeignKey, Name, Table, tables

#: How often the same rule may refuse a row before giving up on it.
TRIES = 200

#: Keys of a parent to choose from.
KEYS = 100

#: While rows are made: nothing may hang, and texts mean the same to every server.
SETTINGS = {
    "statement_timeout": "10s",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
}

#: Classes of errors that another row would meet as well: no right, no such function, no space, a
#: timeout. Others speak of values.
HOPELESS = {"0A", "25", "42", "53", "55", "57", "58", "XX"}


@dataclass(frozen=True)
class Filling:
    """What was inserted, and which tables stayed empty."""

    inserted: Mapping[Name, int]
    refused: Mapping[Name, str]  # with the reason, in the server's words


def fill(
    connection: psycopg.Connection,
    *,
    seed: int,
    rows: int = 8,
    leave_out: Collection[Name] = (),
    values: Mapping[str, Collection[str]] | None = None,
) -> Filling:
    """Bring every table to so many rows; those that have them already stay as they are.

    The same seed makes the same rows of a table, whatever other tables there are, except that rows
    refer to what is there to refer to.

    Args:
        connection: To a database that may be written to; in autocommit mode, outside of a
            transaction. Its settings are afterwards what they were.
        seed: Chooses among the rows that would do.
        rows: How many each table shall have.
        leave_out: Schema and name of tables to leave alone.
        values: What columns hold, where the catalog does not say it: ``public.page.params`` →
            ``["{}"]``. The key may be a pattern.

    """
    progress = _Progress()
    with _set(connection):
        known = tables(connection, values)
        found = {name: table for name, table in known.items() if name not in leave_out}
        for circle in components(found, lambda name: _parents(found[name])):
            groups = components(circle, lambda name: _parents(found[name], required=True))
            # The first rows of a circle have nobody to refer to yet, those of a second round have.
            for target in ((rows + 1) // 2, rows) if len(groups) > 1 else (rows,):
                for group in groups:
                    batch = {name: found[name] for name in group}
                    _fill_batch(connection, batch, target, seed, progress)
        for name in progress.inserted:
            _advance(connection, found[name])
    return Filling(dict(progress.inserted), progress.refused)


@dataclass
class _Progress:
    inserted: Counter[Name] = field(default_factory=Counter)
    refused: dict[Name, str] = field(default_factory=dict)

    def made(self, name: Name) -> None:
        self.inserted[name] += 1
        self.refused.pop(name, None)


@dataclass(frozen=True)
class _Refusal:
    """What the server said, and what that puts in doubt."""

    reason: str
    rule: str  # the constraint or the kind of error that said no
    table: Name
    columns: frozenset[str]  # in doubt
    hopeless: bool = False


@contextmanager
def _set(connection: psycopg.Connection) -> Iterator[None]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        before = {
            setting: cursor.execute("SELECT current_setting(%s)", [setting]).fetchone()
            for setting in SETTINGS
        }
    try:
        _configure(connection, SETTINGS)
        yield
    finally:
        _configure(connection, before)


def _configure(connection: psycopg.Connection, settings: Mapping[str, str | None]) -> None:
    for setting, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, false)", [setting, value])


def _advance(connection: psycopg.Connection, table: Table) -> None:
    """Let the application's own numbers begin after those of the rows."""
    for column in table.columns:
        if column.sequence:
            query = sql.SQL("SELECT setval(%s, max({})) FROM {} HAVING max({}) > 0").format(
                _quoted(column.name), _quoted(*table.name), _quoted(column.name)
            )
            connection.execute(query, [column.sequence], prepare=False)


def _parents(table: Table, *, required: bool = False) -> list[Name]:
    return [key.parent_root for key in table.foreign_keys if not (required and key.optional)]


def _fill_batch(
    connection: psycopg.Connection,
    batch: Mapping[Name, Table],
    target: int,
    seed: int,
    progress: _Progress,
) -> None:
    """Fill tables that cannot do without each other's rows; mostly that is one table."""
    inner = [
        key
        for table in batch.values()
        for key in table.foreign_keys
        if not key.optional and key.parent_root in batch
    ]
    if not all(_keys_of(connection, key) for key in inner):
        # The first rows refer to each other, so they come in one statement: the server looks at
        # foreign keys when it ends.
        random = Random(f"{seed} {sorted(batch)}")  # noqa: S311 - to vary, not to hide
        if reason := _make(connection, batch, 0, seed, random):
            empty = [name for name, table in batch.items() if not _count(connection, table)]
            progress.refused |= dict.fromkeys(empty, reason)
            return
        for name in batch:
            progress.made(name)
    counts = {name: _count(connection, table) for name, table in batch.items()}
    randoms = {name: Random(f"{seed} {name} {count}") for name, count in counts.items()}  # noqa: S311
    # In turn, so that those which refer to each other find more than each other's first row.
    for number in range(target):
        for name, count in list(counts.items()):
            if count > number:
                continue
            if reason := _make(connection, {name: batch[name]}, number, seed, randoms[name]):
                counts[name] = target
                if number == 0:
                    progress.refused[name] = reason
            else:
                progress.made(name)


def _make(
    connection: psycopg.Connection,
    batch: Mapping[Name, Table],
    number: int,
    seed: int,
    random: Random,
) -> str | None:
    """Insert one row into each table of a batch.

    Returns:
        None, or why it cannot be done.

    """
    keys = {
        name: {key.name: _keys_of(connection, key) for key in table.foreign_keys}
        for name, table in batch.items()
    }
    links = []
    for name, table in batch.items():
        for key in table.foreign_keys:
            if key.optional or keys[name][key.name]:
                continue
            if key.parent_root not in batch:
                return f"{'.'.join(key.parent)} has no row that {key.name} could refer to"
            links.append((name, key))
    rows = {name: first(table, number, seed, keys[name]) for name, table in batch.items()}
    refused: Counter[str] = Counter()
    while True:
        link(batch, rows, links, random)
        refusal = _insert(connection, batch, rows)
        if refusal is None:
            return None
        refused[refusal.rule] += 1
        if refusal.hopeless or refused[refusal.rule] == TRIES:
            return refusal.reason
        name = refusal.table
        rows[name] = again(batch[name], rows[name], refusal.columns, keys[name], random)


def _insert(
    connection: psycopg.Connection, batch: Mapping[Name, Table], rows: Mapping[Name, Row]
) -> _Refusal | None:
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
        return _Refusal(reason, "", name, batch[name].names)
    return None


def _insertion(table: Table, row: Row) -> sql.Composed:
    """Return the statement for a row; its values are parameters, of the types of the columns."""
    if not row:
        return sql.SQL("INSERT INTO {} DEFAULT VALUES").format(_quoted(*table.name))
    return sql.SQL("INSERT INTO {} ({}) {} VALUES ({})").format(
        _quoted(*table.name),
        sql.SQL(", ").join(map(_quoted, row)),
        # Otherwise an identity that is GENERATED ALWAYS takes no value.
        sql.SQL("OVERRIDING SYSTEM VALUE"),
        sql.SQL(", ").join(
            sql.SQL("DEFAULT") if value is DEFAULT else sql.Placeholder() for value in row.values()
        ),
    )


def _quoted(*names: str) -> sql.Identifier:
    """Return a name as a statement with parameters has it, where a "%" would begin one."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))


def _refusal(error: psycopg.Error, batch: Mapping[Name, Table]) -> _Refusal:
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
    return _Refusal(
        said.message_primary or str(error),
        said.constraint_name or state,
        table.name,
        columns,
        hopeless=state[:2] in HOPELESS,
    )


def _keys_of(connection: psycopg.Connection, key: ForeignKey) -> list[Key]:
    """Read what a foreign key may refer to."""
    columns = [sql.Identifier(name) for name in key.parent_columns]
    query = sql.SQL("SELECT DISTINCT {} FROM {} WHERE {} ORDER BY {} LIMIT {}").format(
        sql.SQL(", ").join(sql.SQL('{}::text COLLATE "C"').format(column) for column in columns),
        sql.Identifier(*key.parent),
        sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(column) for column in columns),
        sql.SQL(", ").join(sql.SQL(str(place + 1)) for place in range(len(columns))),
        KEYS,
    )
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query, prepare=False).fetchall()


def _count(connection: psycopg.Connection, table: Table) -> int:
    query = sql.SQL("SELECT count(*) FROM {} {}").format(
        sql.SQL("" if table.partitioned else "ONLY"), sql.Identifier(*table.name)
    )
    with connection.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(query, prepare=False).fetchone() or 0)
