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
from psycopg.rows import scalar_row, tuple_row

from project.schema.rows.insertion import insert, quoted
from project.schema.rows.order import components
from project.schema.rows.proposals import Key, again, first, link
from project.schema.rows.tables import TABLES, ForeignKey, Name, Table, tables
from project.schema.rows.together import together

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


@dataclass(frozen=True)
class Filling:
    """What was inserted, and which tables stayed empty."""

    inserted: Mapping[Name, int]
    refused: Mapping[Name, str]  # with the reason, in the server's words


def fill(  # noqa: PLR0913
    connection: psycopg.Connection,
    *,
    seed: int,
    rows: int = 8,
    leave_out: Collection[Name] = (),
    values: Mapping[str, Collection[str]] | None = None,
    known: Mapping[Name, Table] | None = None,
    counts: Mapping[Name, int] | None = None,
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
        known: What :func:`tables` has read with these values, where it was called already.
        counts: How many rows each table has, where that is known.

    """
    progress = _Progress()
    if counts is None:
        short = _short(connection, rows, leave_out)
    else:
        short = {name for name, count in counts.items() if count < rows}
    if not short:
        return Filling({}, {})
    with configured(connection):
        known = tables(connection, values) if known is None else known
        found = {name: table for name, table in known.items() if name not in leave_out}
        for circle in components(found, lambda name: _parents(found[name])):
            if short.isdisjoint(circle):
                continue
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


@contextmanager
def configured(connection: psycopg.Connection) -> Iterator[None]:
    """Have the settings under which rows are made; afterwards the connection has its own again."""
    asked = sql.SQL(", ").join(sql.SQL("current_setting({})").format(name) for name in SETTINGS)
    before = connection.execute(sql.SQL("SELECT {}").format(asked)).fetchone()
    assert before is not None  # noqa: S101
    try:
        _configure(connection, SETTINGS)
        yield
    finally:
        _configure(connection, dict(zip(SETTINGS, before, strict=True)))


def _configure(connection: psycopg.Connection, settings: Mapping[str, str]) -> None:
    given = (sql.SQL("set_config({}, {}, false)").format(*each) for each in settings.items())
    connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(given)))


def _short(connection: psycopg.Connection, rows: int, leave_out: Collection[Name]) -> set[Name]:
    """Return the tables that have not so many rows.

    After most revisions there are none, which is told without waiting for one answer after another.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = [
            ((schema, name), partitioned)
            for _, schema, name, partitioned in sorted(cursor.execute(TABLES, prepare=True))
            if (schema, name) not in leave_out
        ]
    question = f"SELECT count(*) FROM (SELECT FROM {{}} LIMIT {rows}) AS few"  # noqa: S608
    with connection.pipeline():
        counts = together(connection, question, found)
    return {name for name, count in counts.items() if count < rows}


def _advance(connection: psycopg.Connection, table: Table) -> None:
    """Let the application's own numbers begin after those of the rows."""
    for column in table.columns:
        # A column that became a text, say, has left its sequence behind.
        if column.sequence and column.type.base.name in {"int2", "int4", "int8"}:
            query = sql.SQL("SELECT setval(%s, max({})) FROM {} HAVING max({}) > 0").format(
                quoted(column.name), quoted(*table.name), quoted(column.name)
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
    if not all(keys_of(connection, key) for key in inner):
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
        name: {key.name: keys_of(connection, key) for key in table.foreign_keys}
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
        refusal = insert(connection, batch, rows)
        if refusal is None:
            return None
        refused[refusal.rule] += 1
        if refusal.hopeless or refused[refusal.rule] == TRIES:
            return refusal.reason
        name = refusal.table
        rows[name] = again(batch[name], rows[name], refusal.columns, keys[name], random)


def keys_of(connection: psycopg.Connection, key: ForeignKey) -> list[Key]:
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
