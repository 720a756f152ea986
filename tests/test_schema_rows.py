"""Every table of a database can be filled with rows, and what is lost of them is seen."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.schema.rows import Contents, Filling, Loss, Rows, fill, losses, read
from project.schema.rows.patterns import matching

from .conftest import Databases, execute, secret

VERSION = [("public", "alembic_version")]


@contextmanager
def connected(url: sa.URL, *statements: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(secret(url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection


def filled(url: sa.URL, *statements: str, rows: int = 8) -> tuple[Filling, Contents]:
    with connected(url, *statements) as connection:
        return fill(connection, seed=1, rows=rows), read(connection)


def column(contents: Contents, table: str, name: str) -> list[str | None]:
    rows = contents["public", table]
    return [row[rows.columns.index(name)] for row in rows.rows]


def made(filling: Filling) -> dict[str, int]:
    assert filling.refused == {}
    return {table: count for (_, table), count in filling.inserted.items()}


def test_the_projects_own_tables_are_filled_with_nothing_refused(database: sa.URL) -> None:
    with connected(database) as connection:
        filling = fill(connection, seed=1, leave_out=VERSION)
        contents = read(connection, VERSION)
    assert made(filling) == {
        "account": 8,
        "access_token": 8,
        "audit_entry": 8,
        "idempotency_key": 8,
        "my_table": 8,
    }
    assert {table for _, table in contents} == set(made(filling))
    assert {value and len(value) for value in column(contents, "access_token", "token_hash")} == {
        len("\\x") + 2 * 32
    }
    assert set(column(contents, "account", "role")) == {"reader", "editor", "admin"}


BROAD = """
    CREATE TABLE broad (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        small smallint NOT NULL, whole integer, big bigint NOT NULL DEFAULT 7,
        any_number numeric, price numeric(5, 2) NOT NULL, share numeric(2, 2),
        thousands numeric(3, -2), single real, double double precision NOT NULL, cost money,
        truth boolean NOT NULL, text text NOT NULL, short varchar(5) NOT NULL, fixed char(4),
        letter "char", name name, bytes bytea NOT NULL, day date NOT NULL, hour time,
        rounded time(2), hour_zone timetz, moment timestamp, moment_rounded timestamp(0),
        moment_zone timestamptz NOT NULL, duration interval, years interval year to month,
        uuid uuid NOT NULL, json json, jsonb jsonb NOT NULL, path_of jsonpath,
        host inet, network cidr, hardware macaddr, hardware_8 macaddr8,
        numbers integer[] NOT NULL, texts text[], shorts varchar(3)[], boxes box[],
        mood mood NOT NULL, moods mood[], pair pair, pairs pair[], positive positive,
        positives positive[], email email, code code,
        range int4range, number_range numrange, moment_range tstzrange, days daterange NOT NULL,
        ranges int4multirange, many_days datemultirange,
        bits bit(3), bits_varying varbit(9), bits_any varbit, search tsvector, query tsquery,
        point point, line line, segment lseg, box box, path path, polygon polygon, circle circle,
        position pg_lsn, snapshot pg_snapshot, object oid, class regclass, vector int2vector
    )
"""

BROAD_TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s \"fine\"')",
    "CREATE TYPE pair AS (number integer, text text, mood mood)",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
    "CREATE DOMAIN email AS text NOT NULL CHECK (VALUE ~ '^[a-z0-9.]+@[a-z]+\\.[a-z]{2,3}$')",
    "CREATE DOMAIN code AS char(3) CHECK (VALUE ~ '^[A-Z]{3}$')",
)


def test_columns_of_every_type_get_ordinary_and_extreme_values(empty_database: sa.URL) -> None:
    filling, contents = filled(empty_database, *BROAD_TYPES, BROAD)
    assert made(filling) == {"broad": 8}
    assert {"32767", "-32768", "0", "-1"} <= set(column(contents, "broad", "small"))
    assert {"999.99", "-999.99", "0.00", "0.01"} <= set(column(contents, "broad", "price"))
    texts = [value or "" for value in column(contents, "broad", "text")]
    assert "" in texts
    assert any("🐘" in text for text in texts)
    assert any("'" in text and "%" in text and "\\" in text for text in texts)
    assert max(map(len, texts)) > 500
    assert "xxxxx" in column(contents, "broad", "short")
    assert {"{}", "{NULL}"} <= set(column(contents, "broad", "numbers"))
    assert not any((value or "").startswith("{{") for value in column(contents, "broad", "texts"))
    assert {"0001-01-01", "9999-12-31"} <= set(column(contents, "broad", "day"))
    for name in contents["public", "broad"].columns:
        values = column(contents, "broad", name)
        assert any(value is not None for value in values), name
    assert None in column(contents, "broad", "whole")
    assert "7" in column(contents, "broad", "big"), "no row has the default"


def test_every_label_of_an_enum_is_used(empty_database: sa.URL) -> None:
    _, contents = filled(
        empty_database,
        "CREATE TYPE weekday AS ENUM ('mo', 'tu', 'we', 'th', 'fr', 'sa', 'su')",
        "CREATE TABLE plan (day weekday NOT NULL, or_none weekday)",
    )
    assert len(set(column(contents, "plan", "day"))) == 7
    assert len(set(column(contents, "plan", "or_none"))) == 7 + 1


def test_what_need_not_be_unique_is_not(empty_database: sa.URL) -> None:
    """So a migration that makes it unique fails here, and not in production."""
    _, contents = filled(
        empty_database,
        "CREATE TABLE owner (id int PRIMARY KEY)",
        "CREATE TABLE thing (id int PRIMARY KEY, owner int NOT NULL REFERENCES owner, name text,"
        " at date, key uuid, data jsonb, code text UNIQUE)",
    )
    repeated = Counter(
        tuple(values)
        for values in zip(
            *(column(contents, "thing", name) for name in ("owner", "name", "at", "key", "data")),
            strict=True,
        )
    )
    assert max(repeated.values()) > 1
    assert len(set(column(contents, "thing", "code")) - {None}) >= 6


def test_a_table_that_must_refer_to_itself_is_filled(empty_database: sa.URL) -> None:
    filling, _ = filled(
        empty_database,
        "CREATE TABLE node (id int PRIMARY KEY, parent int NOT NULL REFERENCES node)",
        "CREATE TABLE leaf (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " parent int NOT NULL REFERENCES leaf)",
        "CREATE TABLE tree (id serial PRIMARY KEY, parent int REFERENCES tree)",
    )
    assert made(filling) == {"node": 8, "leaf": 8, "tree": 8}


def test_tables_that_need_each_others_rows_are_filled_together(empty_database: sa.URL) -> None:
    filling, _ = filled(
        empty_database,
        "CREATE TABLE hen (id int PRIMARY KEY, egg int NOT NULL)",
        "CREATE TABLE egg (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " hen int NOT NULL REFERENCES hen)",
        "ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg",
    )
    assert made(filling) == {"hen": 8, "egg": 8}


def test_a_circle_that_a_null_opens_is_closed_by_later_rows(empty_database: sa.URL) -> None:
    filling, contents = filled(
        empty_database,
        "CREATE TABLE team (id serial PRIMARY KEY, captain int)",
        "CREATE TABLE player (id serial PRIMARY KEY, team int NOT NULL REFERENCES team)",
        "ALTER TABLE team ADD FOREIGN KEY (captain) REFERENCES player",
    )
    assert made(filling) == {"team": 8, "player": 8}
    assert len(set(column(contents, "team", "captain"))) > 2


def test_references_that_share_a_column_agree_on_it(empty_database: sa.URL) -> None:
    filling, _ = filled(
        empty_database,
        "CREATE TABLE tenant (id uuid PRIMARY KEY)",
        "CREATE TABLE person (tenant uuid REFERENCES tenant, id int, PRIMARY KEY (tenant, id))",
        "CREATE TABLE task (tenant uuid REFERENCES tenant, id int, PRIMARY KEY (tenant, id))",
        "CREATE TABLE doing (tenant uuid, person int, task int,"
        " PRIMARY KEY (tenant, person, task),"
        " FOREIGN KEY (tenant, person) REFERENCES person,"
        " FOREIGN KEY (tenant, task) REFERENCES task)",
        "CREATE TABLE maybe (tenant uuid, person int,"
        " FOREIGN KEY (tenant, person) REFERENCES person MATCH FULL)",
    )
    assert set(made(filling).values()) == {8}


def test_unique_values_are_distinct_whatever_makes_them_unique(empty_database: sa.URL) -> None:
    filling, contents = filled(
        empty_database,
        "CREATE TABLE claim (kind text NOT NULL, active bool NOT NULL, owner int,"
        " number int UNIQUE NULLS NOT DISTINCT)",
        "CREATE UNIQUE INDEX ON claim (owner) WHERE active",
        "CREATE UNIQUE INDEX ON claim (lower(kind))",
    )
    assert made(filling) == {"claim": 8}
    assert column(contents, "claim", "number").count(None) == 1


def test_ranges_that_exclude_each_other_do_not_meet(empty_database: sa.URL) -> None:
    filling, _ = filled(
        empty_database,
        "CREATE TABLE booking (seats int4range NOT NULL, EXCLUDE USING gist (seats WITH &&))",
    )
    assert made(filling) == {"booking": 8}


@pytest.mark.parametrize(
    "check",
    [
        "status text NOT NULL CHECK (status IN ('new', 'it''s paid'))",
        "status varchar(9) NOT NULL CHECK (status = ANY (ARRAY['new', 'paid']))",
        "email varchar(40) NOT NULL CHECK (email LIKE '%_@_%')",
        r"sku text NOT NULL CHECK (sku ~ '^[A-Z]{2}-\d{4}(-[a-z]+|/x)?$')",
        "code varchar(9) UNIQUE NOT NULL CHECK (length(code) BETWEEN 3 AND 5 AND upper(code)=code)",
        "price numeric(8, 2) NOT NULL CHECK (price >= 10 AND price < 20)",
        "share int NOT NULL CHECK (share BETWEEN -3 AND -1)",
        "low int NOT NULL, high int NOT NULL, CHECK (low < high)",
        "day date NOT NULL CHECK (day >= '2024-02-01' AND day < '2024-03-01')",
        "moment timestamptz NOT NULL CHECK (moment > '2900-06-01 00:00+00')",
        "hash bytea NOT NULL CHECK (octet_length(hash) = 32)",
        "tags text[] NOT NULL CHECK (cardinality(tags) BETWEEN 2 AND 3)",
        "seats int4range NOT NULL CHECK (lower(seats) >= 0 AND NOT isempty(seats))",
        "data jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object' AND data ? 'name')",
        "a int, b text, CHECK (num_nonnulls(a, b) = 1)",
        (
            "kind text NOT NULL, wheels int, CHECK ((kind = 'car') = (wheels IS NOT NULL)),"
            " CHECK (kind IN ('car', 'boat'))"
        ),
        "total int NOT NULL, part int NOT NULL, rest int NOT NULL, CHECK (total = part + rest)",
        "a int NOT NULL, b int NOT NULL, c int GENERATED ALWAYS AS (a * b) STORED UNIQUE",
    ],
)
def test_a_check_is_met_by_what_its_text_suggests(empty_database: sa.URL, check: str) -> None:
    filling, _ = filled(empty_database, f"CREATE TABLE checked (id serial PRIMARY KEY, {check})")
    assert made(filling) == {"checked": 8}


def test_rows_go_where_a_partition_takes_them_and_are_read_once(empty_database: sa.URL) -> None:
    filling, contents = filled(
        empty_database,
        "CREATE TABLE event (id int GENERATED BY DEFAULT AS IDENTITY, day date NOT NULL,"
        " kind text NOT NULL, UNIQUE (id, day, kind)) PARTITION BY RANGE (day)",
        "CREATE TABLE event_2024 PARTITION OF event"
        " FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (kind)",
        "CREATE TABLE event_2024_in PARTITION OF event_2024 FOR VALUES IN ('in')",
        "CREATE TABLE seen (id int, day date, kind text,"
        " FOREIGN KEY (id, day, kind) REFERENCES event (id, day, kind))",
    )
    assert made(filling) == {"event": 8, "seen": 8}
    assert {table for _, table in contents} == {"event", "seen"}
    assert len(contents["public", "event"].rows) == 8


def test_a_table_that_cannot_be_filled_is_named_with_the_reason(empty_database: sa.URL) -> None:
    with connected(
        empty_database,
        "CREATE TABLE contradiction (x int PRIMARY KEY CHECK (x > 5 AND x < 3))",
        "CREATE TABLE beneath (x int NOT NULL REFERENCES contradiction)",
        "CREATE TABLE unparted (x int) PARTITION BY LIST (x)",
        "CREATE TABLE guarded (x int)",
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE EXCEPTION 'not on my watch'; END $$",
        "CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard()",
        "CREATE TABLE swallowed (x int)",
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER swallow BEFORE INSERT ON swallowed FOR EACH ROW EXECUTE FUNCTION swallow()",
        "CREATE TABLE fine (x int)",
    ) as connection:
        filling = fill(connection, seed=1)
    assert filling.inserted == {("public", "fine"): 8}
    reasons = {table: reason for (_, table), reason in filling.refused.items()}
    assert "contradiction_x_check" in reasons["contradiction"]
    assert "public.contradiction has no row" in reasons["beneath"]
    assert "no partition" in reasons["unparted"]
    assert reasons["guarded"] == "not on my watch"
    assert "left the row out" in reasons["swallowed"]


def test_a_table_with_room_for_few_rows_gets_those(empty_database: sa.URL) -> None:
    filling, _ = filled(
        empty_database, "CREATE TABLE one (only_row bool PRIMARY KEY CHECK (only_row))"
    )
    assert made(filling) == {"one": 1}


def test_filling_again_adds_only_what_is_missing(empty_database: sa.URL) -> None:
    with connected(empty_database, "CREATE TABLE word (word text PRIMARY KEY)") as connection:
        assert made(fill(connection, seed=1, rows=3)) == {"word": 3}
        assert made(fill(connection, seed=1, rows=8)) == {"word": 5}
        assert made(fill(connection, seed=1, rows=8)) == {}


def test_odd_names_and_other_schemas_are_filled_too(empty_database: sa.URL) -> None:
    filling, _ = filled(
        empty_database,
        'CREATE SCHEMA "Else ""where"""',
        'CREATE TABLE "Else ""where"""."Odd %s" ("a b" int PRIMARY KEY, "select" text'
        """ CHECK ("select" IN ('x%y', '{z}')), "Up" int)""",
        'CREATE TABLE child ("Up" int NOT NULL REFERENCES "Else ""where"""."Odd %s")',
    )
    assert made(filling) == {"Odd %s": 8, "child": 8}


def test_the_settings_of_the_connection_are_what_they_were(database: sa.URL) -> None:
    names = ("statement_timeout", "datestyle", "timezone", "intervalstyle", "extra_float_digits")
    query = f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}"
    with connected(database, "SET statement_timeout = '7s'", "SET timezone = 'Asia/Tokyo'") as it:
        before = it.execute(query.encode()).fetchone()
        fill(it, seed=1)
        read(it)
        assert it.execute(query.encode()).fetchone() == before


def test_the_same_seed_makes_the_same_rows(databases: Databases, template: sa.URL) -> None:
    contents = []
    for seed in (1, 1, 2):
        with connected(databases.make(str(template.database))) as connection:
            connection.execute("ALTER TABLE audit_entry ALTER happened_at DROP DEFAULT")
            fill(connection, seed=seed)
            contents.append(read(connection, VERSION))
    one, other, third = contents
    assert losses(one, other) == losses(other, one) == []
    assert one == other
    assert one != third


def test_another_table_leaves_the_rows_of_the_others_alone(databases: Databases) -> None:
    table = "CREATE TABLE word (word text PRIMARY KEY CHECK (length(word) BETWEEN 3 AND 4))"
    _, alone = filled(databases.make(), table)
    _, together = filled(databases.make(), "CREATE TABLE another (x int)", table)
    assert alone["public", "word"] == together["public", "word"]


@pytest.fixture
def shop(empty_database: sa.URL) -> Iterator[psycopg.Connection]:
    with connected(
        empty_database,
        "CREATE TABLE item (id int PRIMARY KEY, name text, twice int GENERATED ALWAYS AS (id * 2)"
        " STORED)",
        "CREATE TABLE note (text text, stars int)",
        "INSERT INTO item (id, name) VALUES (1, 'tea'), (2, 'cup'), (3, NULL)",
        "INSERT INTO note VALUES ('good', 5), ('good', 5), ('bad', 1)",
    ) as connection:
        yield connection


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("CREATE TABLE more (x int)", []),
        ("ALTER TABLE item ADD price int DEFAULT 3", []),
        ("INSERT INTO item (id) VALUES (4)", []),
        ("INSERT INTO note VALUES ('new', 3)", []),
        ("DROP TABLE item", [("item", None, 3, "the table is gone")]),
        ("ALTER TABLE item DROP name", [("item", "name", 2, "the column is gone, and 'tea'")]),
        ("DELETE FROM item WHERE id > 1", [("item", None, 2, "no row id='2'")]),
        ("UPDATE item SET name = 'pot' WHERE id = 2",
         [("item", "name", 1, "id='2': 'cup' → 'pot'")]),
        ("UPDATE item SET name = ''  WHERE id = 3", [("item", "name", 1, "id='3': NULL → ''")]),
        ("ALTER TABLE item DROP id CASCADE, DROP IF EXISTS twice",
         [("item", "id", 3, "the column is gone"), ("item", "twice", 3, "the column is gone")]),
        ("UPDATE note SET stars = 4 WHERE stars = 5", [("note", "stars", 2, "'5' is gone")]),
        ("DELETE FROM note WHERE stars = 1", [("note", None, 1, "no row text='bad' stars='1'")]),
        ("UPDATE note SET stars = 6 - stars WHERE ctid IN ('(0,1)', '(0,3)')",
         [("note", None, 2, "no row")]),
    ],
)  # fmt: skip
def test_what_is_lost_is_named_with_an_example(
    shop: psycopg.Connection, change: str, lost: list[tuple[str, str | None, int, str]]
) -> None:
    before = read(shop)
    shop.execute(change.encode())
    found = losses(before, read(shop))
    assert [(loss.table, loss.column, loss.count) for loss in found] == [
        (table, name, count) for table, name, count, _ in lost
    ]
    for loss, (_, _, _, example) in zip(found, lost, strict=True):
        assert loss.schema == "public"
        assert loss.example.startswith(example)


def test_rows_are_the_same_in_whichever_order_they_are_stored(shop: psycopg.Connection) -> None:
    before = read(shop)
    shop.execute("UPDATE item SET name = name WHERE id = 1")
    shop.execute("UPDATE note SET stars = stars WHERE stars = 5")
    assert read(shop) == before


def test_rows_are_read_again_after_somebody_gave_a_column_another_type(
    shop: psycopg.Connection, empty_database: sa.URL
) -> None:
    before = read(shop)
    for kind in ('text COLLATE "C"', 'varchar(9) COLLATE "POSIX"', "name", "char(3)", "text"):
        execute(empty_database, f"ALTER TABLE item ALTER name TYPE {kind}")
        assert read(shop) == before


#: What changes what would be read, in a table itself or elsewhere; one after the other.
TOUCHES = (
    "UPDATE t SET b = b || 'x' WHERE a = 1",
    "DELETE FROM t WHERE a = 2",
    "VACUUM t; INSERT INTO t (a, b) VALUES (99, 'z')",
    "DELETE FROM t WHERE a = 99; VACUUM t; INSERT INTO t (a, b) VALUES (99, 'w')",  # in its place
    "WITH one AS (DELETE FROM t WHERE a = 1 RETURNING b) INSERT INTO t SELECT -1, b FROM one",
    "ALTER TABLE t ALTER a TYPE numeric(5, 2)",
    "ALTER TABLE t ADD d int DEFAULT 5",
    "ALTER TABLE t RENAME b TO c",
    "ALTER TABLE t DROP d",
    "ALTER TABLE t DROP CONSTRAINT t_pkey",
    "ALTER TABLE t RENAME TO s; CREATE TABLE t AS SELECT a, upper(c) AS c FROM s",
    "TRUNCATE t",
    "ALTER TYPE e RENAME VALUE 'x' TO 'y'",
    "CREATE TABLE empty ()",
    "DROP TABLE empty; CREATE TABLE empty (a int)",
    "ALTER TABLE empty ADD b int",
    "ALTER TABLE named RENAME TO renamed",
    "UPDATE p SET a = a + 1",
)


def test_what_was_touched_is_read_again_and_nothing_else(empty_database: sa.URL) -> None:
    """What is taken over from an earlier reading is what reading again would give."""
    with connected(
        empty_database,
        "CREATE TYPE e AS ENUM ('x')",
        "CREATE TABLE t (a int PRIMARY KEY, b text)",
        "CREATE TABLE other AS SELECT n, 'v' || n AS b FROM generate_series(1, 9) AS n",
        "CREATE TABLE named ()",
        "CREATE TABLE labels AS SELECT 'x'::e AS l",
        "CREATE TABLE names AS SELECT 'named'::regclass AS n",
        "CREATE TABLE p (a int) PARTITION BY RANGE (a)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000)",
        "INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 9) AS n",
        "INSERT INTO p VALUES (1), (2)",
    ) as connection:
        held = read(connection)
        for touch in TOUCHES:
            for statement in touch.split(";"):
                connection.execute(statement.encode())
            anew = read(connection)
            assert anew != held, touch
            now = read(connection, (), held)
            assert now == anew, touch
            assert now["public", "other"] is held["public", "other"], touch
            held = now


VALUES = st.none() | st.text(max_size=3)
TABLES = st.lists(st.tuples(VALUES, VALUES), max_size=6)


@given(TABLES, st.data())
def test_nothing_is_lost_of_equal_rows_and_no_missing_row_goes_unseen(
    rows: list[tuple[str | None, str | None]], data: st.DataObject
) -> None:
    def contents(rows: list[tuple[str | None, str | None]]) -> Contents:
        return {("public", "pair"): Rows(("a", "b"), (), tuple(rows))}

    assert losses(contents(rows), contents(data.draw(st.permutations(rows)))) == []
    if rows:
        less = [*rows]
        gone = less.pop(data.draw(st.integers(0, len(rows) - 1)))
        found = losses(contents(rows), contents(less))
        assert [(loss.column, loss.count) for loss in found] == [(None, 1)]
        assert isinstance(found[0], Loss)
        assert gone in rows


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}$",
        "^(foo|ba[rz]){2}$",
        "^#[0-9a-fA-F]{6}$",
        r"^\+?[1-9]\d{1,14}$",
        "^[^/ ]+/[^/]*$",
        r"^\w{3,5}\.\(x\)?$",
        "^https?://[^.]+$",
        "^a|b$",
    ],
)
@given(number=st.integers(0, 10**6))
def test_a_text_for_a_pattern_matches_it(pattern: str, number: int) -> None:
    assert re.search(pattern, matching(pattern, Random(number)))


@given(st.text(max_size=30))
def test_a_pattern_that_is_not_understood_still_gives_a_text(pattern: str) -> None:
    assert isinstance(matching(pattern, Random(0)), str)


COLUMN_TYPES = st.sampled_from(
    ["int", "text", "varchar(2)", "numeric(4, 1)", "date", "uuid", "jsonb", "bytea", "int[]",
     "inet", "interval", "int4range", "timestamptz", "bit(8)", "point"]
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(COLUMN_TYPES, st.sampled_from(["", "NOT NULL", "UNIQUE"])), max_size=5))
def test_a_table_of_any_columns_is_filled(
    empty_database: sa.URL, columns: list[tuple[str, str]]
) -> None:
    parts = [
        f"c{place} {type_} {'' if type_ in {'point', 'json'} else rule}"
        for place, (type_, rule) in enumerate(columns)
    ]
    filling, contents = filled(
        empty_database,
        "DROP TABLE IF EXISTS anything",
        f"CREATE TABLE anything ({', '.join(parts)})",
    )
    assert made(filling) == {"anything": 8}
    assert len(contents["public", "anything"].rows) == 8


def test_numbers_that_the_application_draws_begin_after_those_of_the_rows(
    empty_database: sa.URL,
) -> None:
    filling, contents = filled(
        empty_database,
        "CREATE SEQUENCE permission_id_seq",
        "CREATE TABLE permission (id integer PRIMARY KEY, name text)",
        "CREATE SEQUENCE once_id_seq",
        "CREATE TABLE once (id text PRIMARY KEY)",
    )
    assert made(filling) == {"permission": 8, "once": 8}
    assert column(contents, "permission", "id") == [str(number) for number in range(1, 9)]
    with connected(empty_database) as connection:
        assert connection.execute("SELECT nextval('permission_id_seq')").fetchone() == (9,)
