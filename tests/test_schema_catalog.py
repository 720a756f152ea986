"""Every change that a user can make is seen and named; nothing is said of what means the same."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql as sqlalchemy_postgresql

from project.database import ROOT
from project.schema.catalog import Reader, postgresql, read
from project.schema.catalog.parts import USERS
from project.schema.checking.remedy import remedy
from project.schema.equivalence import without_equivalents
from project.schema.snapshot import Difference, differences, reordered

from .conftest import Databases, secret

Connection = psycopg.Connection[tuple[Any, ...]]

#: Where a statement of a script ends; a semicolon in a function is not such a place.
STATEMENT = re.compile(
    r";\s*(?=CREATE|ALTER|DROP|COMMENT|CLUSTER|UPDATE|INSERT|REFRESH|SET|GRANT|IMPORT)"
)

#: What a database can hold outside of its schemas, and how to be rid of it.
EMPTYING = """
    SELECT 'DROP EVENT TRIGGER ' || quote_ident(evtname) FROM pg_event_trigger
    UNION ALL SELECT 'DROP EXTENSION ' || quote_ident(extname) || ' CASCADE' FROM pg_extension
        WHERE extname <> 'plpgsql'
    UNION ALL SELECT 'DROP PUBLICATION ' || quote_ident(pubname) FROM pg_publication
    UNION ALL SELECT 'DROP SCHEMA ' || quote_ident(nspname) || ' CASCADE' FROM pg_namespace
        WHERE nspname !~ '^(pg_|information_schema)'
    UNION ALL SELECT 'DROP FOREIGN DATA WRAPPER IF EXISTS ' || quote_ident(fdwname) || ' CASCADE'
        FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'DROP LANGUAGE IF EXISTS ' || quote_ident(lanname) || ' CASCADE'
        FROM pg_language WHERE oid >= 16384
    UNION ALL SELECT 'DROP ACCESS METHOD IF EXISTS ' || quote_ident(amname) || ' CASCADE'
        FROM pg_am WHERE oid >= 16384
    UNION ALL SELECT format('DROP CAST IF EXISTS (%s AS %s)', castsource::regtype,
        casttarget::regtype) FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT 'CREATE SCHEMA public'
"""

CASES = ROOT / "tests" / "cases"
CHANGES = [
    (case, change)
    for case in tomllib.loads((CASES / "drift.toml").read_text())["case"]
    for change in case["changes"]
]
DRIFT = [
    pytest.param(case, change, case["changes"][change], id=f"{case['chapter']}: {change}"[:80])
    for case, change in CHANGES
]
EQUAL = [
    pytest.param(case, id=case["why"])
    for case in tomllib.loads((CASES / "equal.toml").read_text())["case"]
]

#: Kind and attribute, as the reference lists them.
DOCUMENTED = {
    (kind, attribute)
    for kind, attributes in re.findall(
        r"^\| ([a-z ]+) \| ([a-z ,]+) \|$",
        (ROOT / "docs" / "reference" / "schema.md").read_text().partition("| Kind |")[2],
        re.MULTILINE,
    )
    for attribute in attributes.split(", ")
}

#: For these it takes functions in C that no server brings.
WITHOUT_A_CASE = {
    ("base type", "element"),
    *(("text search parser", part) for part in ("start", "token", "end", "lexical types")),
}


@pytest.fixture(scope="module")
def two_databases(
    scratch_server: sa.URL,
    tablespace: None,  # noqa: ARG001
) -> Iterator[list[Connection]]:
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
    for item in (*here.items.values(), *there.items.values()):
        assert {(item.key.kind, attribute) for attribute in item.attributes} <= DOCUMENTED
    return (
        without_equivalents(differences(here, there), here, there, connections[0]),
        without_equivalents(differences(there, here), there, here, connections[1]),
    )


def build(connection: Connection, script: str) -> None:
    """Run a script in a database that is emptied before."""
    for _ in steps(connection, script):
        pass


def steps(connection: Connection, script: str) -> Iterator[str]:
    """Run a script in a database that is emptied before; yield each statement that was run."""
    for (statement,) in connection.execute(EMPTYING).fetchall():
        connection.execute(statement)
        yield statement
    for statement in STATEMENT.split(script.strip()):
        connection.execute(statement.encode())
        yield statement


def said(difference: Difference) -> str:
    name = ".".join(difference.key.name).removeprefix("public.")
    return f"{difference.key.kind} {name}" + (
        f": {difference.attribute}" if difference.attribute else ""
    )


def skip_where_it_cannot_be(connection: Connection, case: dict[str, Any]) -> None:
    """A case may need a release of PostgreSQL, or something else that a query tells."""
    if connection.info.server_version < case.get("needs", 0) * 10000:
        pytest.skip(f"PostgreSQL {case['needs']} and later")
    row = connection.execute(f"SELECT {case.get('where', 'true')}").fetchone()
    if row != (True,):
        pytest.skip(f"not so on this server: {case['where']}")


@pytest.mark.sample(5)
@pytest.mark.parametrize(("case", "change", "says"), DRIFT)
def test_a_change_is_seen_and_named(
    two_databases: list[Connection], case: dict[str, Any], change: str, says: list[str]
) -> None:
    skip_where_it_cannot_be(two_databases[0], case)
    given = case["given"]
    forth, back = compare(two_databases, given, given + ";\n" + change)
    assert sorted(map(said, forth)) == sorted(says)
    assert sorted(map(said, back)) == sorted(says)
    mended(two_databases, forth)


def mended(connections: list[Connection], found: list[Difference]) -> None:
    """What is said to mend a difference takes it away, where it is more than a hint."""
    here, there = connections
    mend = remedy(found[0], read(here), read(there)) if len(found) == 1 else ""
    if not mend or "…" in mend:
        return
    url = "postgresql+psycopg://"
    engine = sa.create_engine(url, creator=lambda: there, poolclass=sa.StaticPool)
    with engine.connect() as connection:
        names = {"op": Operations(MigrationContext.configure(connection)), "sa": sa}
        exec(mend, {**names, "postgresql": sqlalchemy_postgresql})
        connection.commit()
        assert [d for d in differences(read(here), read(there)) if d == found[0]] == []


@pytest.mark.sample(3)
@pytest.mark.parametrize("case", EQUAL)
def test_nothing_is_said_of_what_means_the_same(
    two_databases: list[Connection], case: dict[str, Any]
) -> None:
    skip_where_it_cannot_be(two_databases[0], case)
    assert compare(two_databases, case["one"], case["other"]) == ([], [])


@pytest.fixture(scope="module")
def reader(two_databases: list[Connection]) -> Iterator[Reader]:
    """Who has read the catalog of the first database from the first case on."""
    with psycopg.connect(two_databases[0].info.dsn, autocommit=True) as connection:
        yield Reader(connection)


#: What a table's definitions may name, and another name for it.
NAMED = {
    "CREATE TABLE p (a int PRIMARY KEY); CREATE TABLE t (b int REFERENCES p)": [
        "ALTER TABLE p RENAME TO q",
        "ALTER TABLE q RENAME a TO c",
        "CREATE SCHEMA s; ALTER TABLE q SET SCHEMA s",
        "ALTER SCHEMA s RENAME TO r",
    ],
    "CREATE TABLE p (a int); CREATE TABLE t (b p, c p[], CHECK ((b).a > 0))": [
        "ALTER TABLE p RENAME TO q",
        "ALTER TABLE q RENAME a TO d",
    ],
    "CREATE TABLE p (a int); CREATE TABLE t (b p)": ["ALTER TABLE p RENAME TO q"],
    "CREATE TABLE p (a int); CREATE TABLE t (b p[])": ["ALTER TABLE p RENAME TO q"],
    "CREATE TABLE p (a int); CREATE TABLE t (b oid); CREATE INDEX i ON t ((b = 'p'::regclass))": [
        "ALTER TABLE p RENAME TO q"
    ],
    "CREATE TYPE p AS (a int); CREATE TABLE t (b p, c p[], CHECK ((b).a > 0))": [
        "ALTER TYPE p RENAME TO q",
        "ALTER TYPE q RENAME ATTRIBUTE a TO d CASCADE",
    ],
    "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE t PARTITION OF p DEFAULT": [
        "ALTER TABLE p RENAME TO q"
    ],
    "CREATE TABLE p (a int); CREATE TABLE t () INHERITS (p)": ["ALTER TABLE p RENAME TO q"],
    "CREATE TABLE p (a int); CREATE TABLE t (b oid, CHECK (b <> 'p'::regclass))": [
        "ALTER TABLE p RENAME TO q",
        "CREATE INDEX i ON t ((b = 'q'::regclass)) WHERE b > 'q'::regclass",
        "ALTER TABLE q RENAME TO p",
    ],
    "CREATE SEQUENCE s; CREATE TABLE t (a int, b int DEFAULT nextval('s'))": [
        "ALTER SEQUENCE s RENAME TO t_b_seq",
        "ALTER SEQUENCE t_b_seq OWNED BY t.b",
        "ALTER SEQUENCE t_b_seq OWNED BY t.a",
        "ALTER SEQUENCE t_b_seq INCREMENT 2",
        "ALTER SEQUENCE t_b_seq OWNED BY NONE",
    ],
    "CREATE TYPE e AS ENUM ('x'); CREATE TABLE t (a e DEFAULT 'x')": [
        "ALTER TYPE e RENAME VALUE 'x' TO 'y'",
        "ALTER TYPE e RENAME TO f",
    ],
    "CREATE DOMAIN d AS int; CREATE TABLE t (a d, b d[])": ["ALTER DOMAIN d RENAME TO e"],
    "CREATE COLLATION k (locale = 'C'); CREATE TABLE t (a text COLLATE k)": [
        "ALTER COLLATION k RENAME TO l"
    ],
    "CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';"
    " CREATE TABLE t (a int DEFAULT f(1), CHECK (f(a) > 0)); CREATE INDEX ON t (f(a))": [
        "ALTER FUNCTION f RENAME TO g"
    ],
    "CREATE SCHEMA s; CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = int, FUNCTION = int4lt);"
    " CREATE TABLE t (a int, CHECK (a OPERATOR(public.<<<) 1))": [
        "ALTER OPERATOR <<< (int, int) SET SCHEMA s"
    ],
    "CREATE OPERATOR CLASS k FOR TYPE int USING btree AS FUNCTION 1 btint4cmp(int, int);"
    " CREATE TABLE t (a int); CREATE INDEX ON t (a k)": [
        "ALTER OPERATOR CLASS k USING btree RENAME TO l"
    ],
    "CREATE TEXT SEARCH CONFIGURATION k (COPY = simple);"
    " CREATE TABLE t (a regconfig DEFAULT 'k')": ["ALTER TEXT SEARCH CONFIGURATION k RENAME TO l"],
    "CREATE TEXT SEARCH DICTIONARY k (TEMPLATE = simple);"
    " CREATE TABLE t (a regdictionary DEFAULT 'k')": ["ALTER TEXT SEARCH DICTIONARY k RENAME TO l"],
    "CREATE TABLE t (a int)": [
        "ALTER EXTENSION plpgsql ADD TABLE t",
        "ALTER EXTENSION plpgsql DROP TABLE t",
    ],
}


@pytest.mark.parametrize("given", NAMED)
def test_a_catalog_read_again_knows_the_new_name_of_what_a_table_names(
    two_databases: list[Connection], reader: Reader, given: str
) -> None:
    connection = two_databases[0]
    build(connection, given)
    for change in NAMED[given]:
        before = reader.read()
        connection.execute(change.encode())
        again = reader.read()
        assert again == read(connection), change
        assert again != before, change


@pytest.mark.sample(10)
@pytest.mark.parametrize(("case", "change", "says"), DRIFT)
def test_a_catalog_read_again_is_what_it_is_to_who_reads_it_anew(
    two_databases: list[Connection],
    reader: Reader,
    case: dict[str, Any],
    change: str,
    says: list[str],  # noqa: ARG001
) -> None:
    """After every statement, and though nearly everything was read before."""
    connection = two_databases[0]
    skip_where_it_cannot_be(connection, case)
    for statement in steps(connection, f"{case['given']};\n{change}"):
        again, anew = reader.read(), read(connection)
        assert again == anew, statement
        assert reordered(again, anew) == []


def test_what_is_left_out_of_the_statement_is_nothing_of_the_users(
    two_databases: list[Connection],
) -> None:
    """Neither the system's rows nor the kinds of which there is nothing change what is read."""
    connection = two_databases[0]
    everything = postgresql.statement(frozenset(postgresql.KINDS), privileges=True)
    assert USERS in everything
    everything = everything.replace(USERS, "")
    for case, change in CHANGES[::20]:  # two readings of each take long
        with suppress(pytest.skip.Exception):
            skip_where_it_cannot_be(connection, case)
            build(connection, f"{case['given']};\n{change}")
            with postgresql.pinned(connection):
                present = postgresql.present(connection)
                statement = postgresql.statement(present, privileges=True)
                fast, slow = (
                    sorted(connection.execute(text.encode()).fetchall())
                    for text in (statement, everything)
                )
            assert fast == slow, change


def test_every_attribute_has_a_case_that_changes_it() -> None:
    kinds = sorted({kind for kind, _ in DOCUMENTED}, key=len, reverse=True)
    changed = set()
    for case in tomllib.loads((CASES / "drift.toml").read_text())["case"]:
        for line in (line for says in case["changes"].values() for line in says):
            kind = next(kind for kind in kinds if line.startswith(f"{kind} "))
            if attribute := re.search(r": ([a-z ]+)$", line):
                changed.add((kind, attribute[1]))
    asked_for = {pair for pair in DOCUMENTED if re.match("privileges|owner|default", pair[0])}
    assert changed == DOCUMENTED - WITHOUT_A_CASE - asked_for
