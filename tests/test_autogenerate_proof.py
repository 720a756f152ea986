"""Which rows a migration can reach, and so is proved with."""

import pytest
import sqlalchemy as sa

from project.schema.autogenerate.proof import bystanders
from project.schema.autogenerate.workbench import Side
from project.schema.connections import connected

from .conftest import Databases, execute

TABLES = (
    "CREATE TABLE kind (id int PRIMARY KEY)",
    "CREATE TABLE account (id int PRIMARY KEY, kind int REFERENCES kind, name text)",
    "CREATE TABLE visit (account int REFERENCES account)",
    "CREATE TABLE other (id int)",
    "CREATE FUNCTION fine(int) RETURNS bool LANGUAGE sql RETURN $1 > 0",
)


def side(url: sa.URL) -> Side:
    with connected(url) as connection:
        return Side.of(connection, ())


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        (["ALTER TABLE account ADD note text"], {"visit", "other"}),
        (["ALTER TABLE visit ADD note text"], {"other"}),
        (["CREATE INDEX i ON kind (id)"], {"account", "visit", "other"}),
        (["ALTER TABLE other ADD FOREIGN KEY (id) REFERENCES account"], {"visit"}),
        (["CREATE TABLE more (kind int REFERENCES kind)"], {"account", "visit", "other"}),
        (["CREATE TYPE t AS ENUM ('a')", "ALTER TABLE other ADD note text"], set()),
        (["ALTER TABLE other ADD CHECK (fine(id))"], set()),
        (
            [
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                "CREATE TRIGGER t BEFORE UPDATE ON kind FOR EACH ROW EXECUTE FUNCTION f()",
            ],
            set(),
        ),
    ],
)
def test_rows_that_a_change_cannot_reach_are_left_out(
    databases: Databases, changes: list[str], names: set[str]
) -> None:
    before, after = databases.make(), databases.make()
    execute(before, *TABLES)
    execute(after, *TABLES, *changes)
    for sides in ((side(before), side(after)), (side(after), side(before))):
        assert bystanders(*sides) - {("public", "more")} == {("public", name) for name in names}
