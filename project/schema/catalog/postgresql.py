"""PostgreSQL's catalog as a snapshot: one set-based query for each kind of object, all in one.

Every query answers rows of (name, attributes, named by): the name as an array from the schema
down, the attributes as a JSON object, and who may have chosen the name. Whatever is an expression
or a definition is printed by the server itself (``pg_get_expr``, ``pg_get_constraintdef``, …;
"System Information Functions", "System Catalog Information Functions"), so two spellings that it
reads alike are equal here.

A column that a release of PostgreSQL does not have yet is read as ``to_jsonb(row) ->> 'name'``,
which is null there: one text of each query serves 15 to 18.

The large catalogs are read without the system's own rows. A query that needs those, too, names the
catalog with its schema: ``pg_catalog.pg_proc``.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import msgspec
import psycopg

from project.schema.catalog import signs
from project.schema.catalog.constraints import CONSTRAINTS
from project.schema.catalog.parts import USERS, VISIBLE
from project.schema.catalog.privileges import PRIVILEGES
from project.schema.catalog.programs import PROGRAMS
from project.schema.catalog.rarities import RARITIES
from project.schema.catalog.sequences import OWNED, SEQUENCES
from project.schema.catalog.tables import TABLES
from project.schema.catalog.types import TYPES
from project.schema.snapshot import Item, Key, NamedBy, Snapshot, Value

KINDS = {**TABLES, **CONSTRAINTS, **SEQUENCES, **TYPES, **PROGRAMS, **RARITIES}

#: Tells which kinds a database has, of those that it may lack. A statement that reads them all
#: takes the server longer to begin than to read a small database.
PRESENT = "SELECT array_remove(ARRAY[{}], NULL)".format(
    ", ".join(
        f"CASE WHEN EXISTS ({kind.present}) THEN '{name}' END"
        for name, kind in KINDS.items()
        if kind.present
    )
)

#: The relations that tables and what belongs to them are read of.
ALL = "relation AS NOT MATERIALIZED (SELECT * FROM pg_class)"
SOME = f"relation AS MATERIALIZED (SELECT * FROM pg_class WHERE oid IN ({signs.AFFECTED}))"

#: In the place of a kind, where some are read: what follows is the number of one of them.
RELATION = "relation"

#: What changes how the server prints; a database or a role may have set any of them.
PINNED = {
    "search_path": "",  # every name is printed with its schema
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "lc_monetary": "C",
}

#: No statistics tell the server how much of a catalog is the user's. It guesses one row, and would
#: join by nested loops, in time that grows with the square; compiling the query takes longer than
#: running it.
PLANNED = {"enable_nestloop": "off", "jit": "off"}

#: A statement is planned once, whichever relations it is going to be asked about.
ONCE = {"plan_cache_mode": "force_generic_plan"}


def _set(settings: Mapping[str, str], *, local: str = "true") -> bytes:
    calls = (f"set_config('{name}', '{value}', {local})" for name, value in settings.items())
    return f"SELECT {', '.join(calls)}".encode()


PIN = _set(PINNED)
PIN_AND_PLAN = _set(PINNED | PLANNED)
SETTLE = _set(PINNED | PLANNED | ONCE, local="false")


def read(
    connection: psycopg.Connection,
    leave_out: Collection[tuple[str, str]] = (),
    *,
    privileges: bool = False,
) -> Snapshot:
    """Read the whole catalog.

    Nothing but the catalog is read and nothing is evaluated: the role needs no privilege on any
    table, no sequence moves, no function of the user's runs. The transaction is read-only and sees
    one moment.

    Args:
        connection: In no transaction.
        leave_out: Tables, as (schema, name), that are not the user's: Alembic's version table.
        privileges: Whether owners and grants are read, too.

    """
    with pinned(connection):
        kinds = present(connection)
        rows = ask(connection, statement(kinds, privileges=privileges)).fetchall()
    return snapshot(connection, rows, leave_out)


def ask(connection: psycopg.Connection, text: str, *given: object) -> psycopg.RawCursor:
    """Execute a statement that is kept prepared, and in which a percent sign is one."""
    return psycopg.RawCursor(connection).execute(text.encode(), given, prepare=True)


def snapshot(
    connection: psycopg.Connection,
    rows: Iterable[tuple[Any, ...]],
    leave_out: Collection[tuple[str, str]],
) -> Snapshot:
    """Collect what the statement of some kinds has answered."""
    outside = [tuple(table) for table in leave_out]
    items = (parsed(*row) for row in rows)
    return Snapshot.of(
        connection.info.server_version,
        (item for item in items if item.key.name[:2] not in outside),
    )


@contextmanager
def pinned(connection: psycopg.Connection) -> Iterator[None]:
    """Hold a read-only transaction in which the server prints alike, whatever is configured.

    Statements in it are sent on without waiting until an answer is read.
    """
    with connection.pipeline(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(PIN_AND_PLAN)
        yield


def settle(connection: psycopg.Connection) -> None:
    """Let the server print alike as long as the session lasts, and be ready for many statements."""
    connection.execute(SETTLE)


def present(connection: psycopg.Connection) -> frozenset[str]:
    """Choose the kinds of which the database may have anything."""
    row = ask(connection, PRESENT).fetchone()
    found = row[0] if row else ()
    return frozenset(name for name, kind in KINDS.items() if not kind.present or name in found)


@cache
def statement(present: frozenset[str], *, privileges: bool = False, some: bool = False) -> str:
    """Join the queries to one: one plan, one answer, and shared what several of them begin with.

    Args:
        present: The kinds to read.
        privileges: Whether owners and grants are read, too.
        some: Whether tables, and what belongs to them, are read only of some relations, whose
            numbers are given to the statement, and of those that depend on them.

    """
    queries = {name: kind.query for name, kind in KINDS.items() if name in present}
    parts = (
        f"SELECT '{kind}', array_to_json(name)::text, attributes::text, named_by"
        f" FROM ({query}) AS item (name, attributes, named_by)"
        for kind, query in (queries | PRIVILEGES if privileges else queries).items()
    )
    shared = f"WITH {USERS} {SOME if some else ALL}, {VISIBLE}, {OWNED}"
    told = (f"SELECT '{RELATION}', oid::text, '', '' FROM relation",) if some else ()
    return f"{shared} {' UNION ALL '.join((*parts, *told))}"


@lru_cache(maxsize=1 << 16)
def parsed(kind: str, name: str, attributes: str, named_by: NamedBy) -> Item:
    """Return the same item for the same text, which most of two snapshots is."""
    answered = msgspec.json.decode(attributes)
    if isinstance(answered, list):
        answered = dict(zip(KINDS[kind].attributes, answered, strict=True))
    values = {name: _value(value) for name, value in answered.items()}
    return Item(Key(kind, tuple(msgspec.json.decode(name))), values, named_by)


def _value(value: Any) -> Value:  # noqa: ANN401
    return tuple(map(_value, value)) if isinstance(value, list) else value
