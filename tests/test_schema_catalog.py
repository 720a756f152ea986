"""Every change that a user can make is seen and named; nothing is said of what means the same."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from project.database import ROOT
from project.schema.catalog import postgresql, read
from project.schema.equivalence import without_equivalents
from project.schema.snapshot import Difference, differences

from .conftest import Databases, secret

Connection = psycopg.Connection[tuple[Any, ...]]

#: Where a statement of a script ends; a semicolon in a function is not such a place.
STATEMENT = re.compile(r";\s*(?=CREATE|ALTER|DROP|COMMENT|CLUSTER|UPDATE)")

CASES = ROOT / "tests" / "cases"
DRIFT = [
    pytest.param(case["given"], change, says, id=f"{case['chapter']}: {change}"[:80])
    for case in tomllib.loads((CASES / "drift.toml").read_text())["case"]
    for change, says in case["changes"].items()
]
EQUAL = [
    pytest.param(case["one"], case["other"], id=case["why"])
    for case in tomllib.loads((CASES / "equal.toml").read_text())["case"]
]


@pytest.fixture(scope="module")
def two_databases(scratch_server: sa.URL) -> Iterator[list[Connection]]:
    """Two empty databases for all cases: to empty them again is faster than to make new ones."""
    made = Databases(scratch_server)
    connections = [psycopg.connect(secret(made.make()), autocommit=True) for _ in range(2)]
    yield connections
    for connection in connections:
        connection.close()
    made.drop()


def compare(
    connections: list[Connection], one: str, other: str
) -> tuple[list[Difference], list[Difference]]:
    """What a check says of two scripts, each run in a database of its own, both ways round."""
    for connection, script in zip(connections, (one, other), strict=True):
        build(connection, script)
    here, there = map(read, connections)
    return (
        without_equivalents(differences(here, there), connections[0]),
        without_equivalents(differences(there, here), connections[1]),
    )


def build(connection: Connection, script: str) -> None:
    """Run a script in a database that is emptied before."""
    connection.execute("DROP SCHEMA public CASCADE")
    connection.execute("CREATE SCHEMA public")
    for statement in STATEMENT.split(script.strip()):
        connection.execute(statement.encode())


def said(difference: Difference) -> str:
    name = ".".join(difference.key.name[1:])
    return f"{difference.key.kind} {name}" + (
        f": {difference.attribute}" if difference.attribute else ""
    )


@pytest.mark.parametrize(("given", "change", "says"), DRIFT)
def test_a_change_is_seen_and_named(
    two_databases: list[Connection], given: str, change: str, says: list[str]
) -> None:
    forth, back = compare(two_databases, given, given + ";\n" + change)
    assert sorted(map(said, forth)) == sorted(says)
    assert sorted(map(said, back)) == sorted(says)


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_nothing_is_said_of_what_means_the_same(
    two_databases: list[Connection], one: str, other: str
) -> None:
    assert compare(two_databases, one, other) == ([], [])


def test_to_leave_out_the_systems_rows_leaves_out_nothing_of_the_users(
    two_databases: list[Connection],
) -> None:
    connection = two_databases[0]
    statement = postgresql.statement(privileges=True)
    assert postgresql.USERS in statement
    read_here = re.compile(re.escape(postgresql.USERS))
    for case in DRIFT:
        given, change, _ = case.values
        build(connection, f"{given};\n{change}")
        with postgresql.pinned(connection):
            fast, slow = (
                sorted(connection.execute(text.encode()).fetchall())
                for text in (statement, read_here.sub("", statement))
            )
        assert fast == slow, case.id
