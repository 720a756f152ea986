"""PostgreSQL's catalog as a snapshot: one set-based query for each kind of object.

Every query answers rows of (name, attributes, named by): the name as an array from the schema
down, the attributes as a JSON object, and who may have chosen the name. Whatever is an expression
or a definition is printed by the server itself (``pg_get_expr``, ``pg_get_constraintdef``, …;
"System Information Functions", "System Catalog Information Functions"), so two spellings that it
reads alike are equal here.

A column that a release of PostgreSQL does not have yet is read as ``to_jsonb(row) ->> 'name'``,
which is null there: one text of each query serves 15 to 18.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from project.schema.catalog.constraints import CONSTRAINTS
from project.schema.catalog.parts import VISIBLE
from project.schema.catalog.privileges import PRIVILEGES
from project.schema.catalog.programs import PROGRAMS
from project.schema.catalog.rarities import PRESENT, RARITIES
from project.schema.catalog.sequences import SEQUENCES
from project.schema.catalog.tables import TABLES
from project.schema.catalog.types import TYPES
from project.schema.snapshot import Item, Key, Snapshot, Value

QUERIES = {**TABLES, **CONSTRAINTS, **SEQUENCES, **TYPES, **PROGRAMS}

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

PIN = sql.SQL("SELECT {}").format(
    sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in PINNED.items()
    )
)


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
    queries = QUERIES | PRIVILEGES if privileges else QUERIES
    with pinned(connection):
        queries = queries | _rarities(connection)
        items = [
            item for kind, query in queries.items() for item in _items(connection, kind, query)
        ]
    outside = [tuple(table) for table in leave_out]
    return Snapshot.of(
        connection.info.server_version,
        (item for item in items if item.key.name[:2] not in outside),
    )


@contextmanager
def pinned(connection: psycopg.Connection) -> Iterator[None]:
    """Hold a read-only transaction in which the server prints alike, whatever is configured."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(PIN)
        yield


def _rarities(connection: psycopg.Connection) -> dict[str, str]:
    """Choose the queries of rare kinds that find something."""
    row = connection.execute(PRESENT.encode()).fetchone()
    present = row[0] if row else ()
    return {kind: query for kind, (catalog, query) in RARITIES.items() if catalog in present}


def _items(connection: psycopg.Connection, kind: str, query: str) -> Iterator[Item]:
    cursor = connection.cursor()
    set_json_loads(msgspec.json.decode, cursor)
    for name, attributes, named_by in cursor.execute(f"WITH {VISIBLE} {query}".encode()):
        values = {key: _value(value) for key, value in attributes.items()}
        yield Item(Key(kind, tuple(name)), values, named_by)


def _value(value: Any) -> Value:  # noqa: ANN401
    return tuple(map(_value, value)) if isinstance(value, list) else value
