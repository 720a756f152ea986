"""Functions that models call and cannot say, such as one that an index is made on.

A migration has made them. The models' database gets all of the migrations' for as long as its
tables are made, and keeps those that something of the models is built on.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql

from project.schema.connections import Connection

#: PostgreSQL's code for a function or operator that is not there.
NOT_THERE = "42883"

OWN = """
    FROM pg_catalog.pg_proc JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pronamespace
    WHERE prokind IN ('f', 'p') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend
            WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
        )
"""

DEFINITIONS = f"SELECT nspname, pg_get_functiondef(pg_proc.oid) {OWN} ORDER BY pg_proc.oid"

#: How a function is called, and what tells whether it is still the one that was lent.
VERSIONS = f"""
    SELECT format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)),
        pg_proc.xmin::text
    {OWN} ORDER BY pg_proc.oid
"""


@contextmanager
def lent(expected: Connection, found: Connection) -> Iterator[None]:
    """Lend the models' database the functions of the migrations'; what nobody uses is taken back.

    Args:
        expected: To the models' database, where nothing is yet.
        found: To that of the migrations.

    """
    expected.execute("SET check_function_bodies = off")  # one may call another that comes later
    for schema, definition in found.execute(DEFINITIONS.encode()).fetchall():
        expected.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        with suppress(psycopg.DatabaseError):  # it takes a type of the migrations' own
            expected.execute(definition.encode())
    before = set(expected.execute(VERSIONS.encode()).fetchall())
    yield
    # Those that call others come last, mostly.
    for name, version in reversed(expected.execute(VERSIONS.encode()).fetchall()):
        if (name, version) in before:
            with suppress(psycopg.errors.DependentObjectsStillExist):
                expected.execute(f"DROP ROUTINE {name}".encode())
