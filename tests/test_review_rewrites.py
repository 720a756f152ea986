"""What a review advises does what the migration would have done, and leaves the table in use."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from project.schema import scratch
from project.schema.catalog import read
from project.schema.connections import connected
from project.schema.hazards.rewrites import Catalogs, rewrite
from project.schema.reviewing.observation import Relation, Statement, Work
from project.schema.snapshot import differences

from .conftest import execute
from .reviewed import carried_out

TABLES = """
    CREATE TABLE purchase (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), amount integer NOT NULL DEFAULT 3,
        note text, CONSTRAINT sane CHECK (amount > 0)
    );
    CREATE INDEX purchase_amount_idx ON purchase (amount) WHERE amount > 10;
    INSERT INTO purchase (amount, note)
        SELECT number, CASE WHEN number % 2 = 0 THEN 'a :b %' END
        FROM generate_series(1, 12000) AS number;
"""

#: Of how many transactions the rows are.
TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM purchase"


@pytest.fixture
def database(scratch_server: sa.URL) -> Iterator[sa.URL]:
    with scratch.database(scratch_server) as made:
        with connected(made) as connection:
            connection.execute(TABLES.encode())
        yield made


def advised(database: sa.URL, sql: str, work: str) -> str:
    """Say what is advised instead of a statement."""
    with connected(database) as connection:
        before = read(connection)
    copied = scratch.database(database, template=str(database.database))
    with copied as copy, connected(copy) as connection:
        connection.execute(sql.encode())
        after = read(connection)
    table = Relation(1, "public", "purchase", "r", 0, 0, 12000)
    statement = Statement("", 1, "", sql, 1.0, "1")
    return rewrite(statement, (Work(work, table),), Catalogs(before, after))  # type: ignore[arg-type]


def test_rows_are_changed_once_each_in_transactions_of_some_thousand(database: sa.URL) -> None:
    sql = "UPDATE purchase SET amount = amount + 1 WHERE note LIKE 'a :b %' OR note IS NULL"
    carried_out(database, advised(database, sql, "update"))
    assert execute(database, "SELECT min(amount), sum(amount) FROM purchase") == [(2, 72018000)]
    assert execute(database, TRANSACTIONS) == [(3,)]


def test_rows_are_deleted_by_a_condition_of_another_table(database: sa.URL) -> None:
    execute(database, "CREATE TABLE gone AS SELECT id FROM purchase WHERE amount <= 5000")
    sql = "DELETE FROM purchase AS p USING gone WHERE gone.id = p.id"
    carried_out(database, advised(database, sql, "delete"))
    assert execute(database, "SELECT min(amount), count(*) FROM purchase") == [(5001, 7000)]


def test_a_column_of_another_type_is_made_beside_the_old_one(database: sa.URL) -> None:
    sql = "ALTER TABLE purchase ALTER COLUMN amount TYPE bigint"
    code = advised(database, sql, "rewrite")
    beside, mark, later = code.partition("# then, ")
    assert mark
    carried_out(database, beside)
    execute(database, "UPDATE purchase SET amount = 77 WHERE amount = 5")
    execute(database, "INSERT INTO purchase (amount) VALUES (5)")
    apart = "SELECT count(*) FROM purchase WHERE amount IS DISTINCT FROM amount_new"
    assert execute(database, apart) == [(0,)]
    assert execute(database, TRANSACTIONS)[0][0] > 3
    carried_out(database, "\n".join(later.splitlines()[1:]))
    with connected(database) as connection:
        made = read(connection)
        connection.execute(b"DROP TABLE purchase")
        connection.execute(TABLES.encode())
        connection.execute(sql.encode())
        assert differences(read(connection), made) == []


def test_numbers_are_given_to_rows_that_are_there_and_go_on(database: sa.URL) -> None:
    sql = "ALTER TABLE purchase ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY"
    carried_out(database, advised(database, sql, "rewrite"))
    execute(database, "INSERT INTO purchase (amount) VALUES (5)")
    numbers = "SELECT count(DISTINCT number), min(number) FROM purchase"
    assert execute(database, numbers) == [(12001, 1)]
