"""What is observed of a statement is what PostgreSQL's manual says of it.

https://www.postgresql.org/docs/current/explicit-locking.html and the pages of the commands
"""

from pathlib import Path

import pytest
import sqlalchemy as sa

from project.schema import scratch
from project.schema.configuration import Project
from project.schema.reviewing.observation import Observation
from project.schema.reviewing.observe import observe

from .conftest import execute
from .reviewed import ENV, INI

BEFORE = """
CREATE TABLE parent (id integer PRIMARY KEY, name varchar(10), CHECK (name <> 'x'));
CREATE TABLE child (
    id integer, parent_id integer REFERENCES parent, n integer NOT NULL, t text, d timestamptz
);
CREATE INDEX child_n ON child (n);
CREATE UNIQUE INDEX child_id ON child (id);
ALTER TABLE child ADD CONSTRAINT later CHECK (n > -1) NOT VALID;
CREATE TABLE whole (k integer NOT NULL) PARTITION BY RANGE (k);
CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (100);
CREATE TABLE rest PARTITION OF whole DEFAULT;
CREATE TABLE alone (k integer NOT NULL);
CREATE TABLE heir (LIKE child INCLUDING CONSTRAINTS);
CREATE MATERIALIZED VIEW sums AS SELECT k, count(*) FROM part GROUP BY k;
CREATE UNIQUE INDEX sums_k ON sums (k);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO parent SELECT n, 'a' FROM generate_series(1, 40) AS n;
INSERT INTO child SELECT n, n, n, 'a', now() FROM generate_series(1, 40) AS n;
INSERT INTO whole SELECT * FROM generate_series(1, 40);
INSERT INTO alone SELECT * FROM generate_series(201, 240);
ANALYZE
"""

SHARE_UPDATE, SHARE_ROW = "SHARE UPDATE EXCLUSIVE", "SHARE ROW EXCLUSIVE"
ACCESS, ROW = "ACCESS EXCLUSIVE", "ROW EXCLUSIVE"

#: Statement → the strongest lock on each table, and the work; "-" stands for none.
MANUAL = {
    "SELECT count(*) FROM alone": "alone ACCESS SHARE; scan alone",
    "SELECT id FROM child WHERE id = 3 FOR UPDATE": "child ROW SHARE; -",
    "INSERT INTO alone VALUES (1)": f"alone {ROW}; insert alone",
    "LOCK child IN SHARE MODE": "child SHARE; -",
    "ANALYZE child": f"child {SHARE_UPDATE}; -",  # it samples
    "COMMENT ON TABLE child IS 'x'": f"child {SHARE_UPDATE}; -",
    "CREATE STATISTICS s ON n, t FROM child": f"child {SHARE_UPDATE}; -",
    "ALTER TABLE child ALTER n SET STATISTICS 5": f"child {SHARE_UPDATE}; -",
    "ALTER TABLE child ALTER n SET (n_distinct = 5)": f"child {SHARE_UPDATE}; -",
    "ALTER TABLE child SET (fillfactor = 80)": f"child {SHARE_UPDATE}; -",
    "ALTER TABLE child CLUSTER ON child_n": f"child {SHARE_UPDATE}; -",
    "ALTER TABLE child VALIDATE CONSTRAINT later": f"child {SHARE_UPDATE}; scan child",
    "ALTER TABLE child DISABLE TRIGGER touch": f"child {SHARE_ROW}; -",
    "CREATE TRIGGER u BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION touch()": (
        f"child {SHARE_ROW}; -"
    ),
    "CREATE TABLE new (id integer REFERENCES parent)": f"parent {SHARE_ROW}; -",
    "ALTER TABLE child ADD FOREIGN KEY (n) REFERENCES parent NOT VALID": (
        f"child {SHARE_ROW}, parent {SHARE_ROW}; -"
    ),
    "ALTER TABLE child ADD FOREIGN KEY (n) REFERENCES parent": (
        f"child {SHARE_ROW}, parent {SHARE_ROW}; scan child, scan parent"
    ),
    "CREATE INDEX i ON child (t)": "child SHARE; build child",
    "REINDEX TABLE alone": "alone SHARE; -",
    "DROP INDEX child_n": f"child {ACCESS}; -",
    "ALTER TABLE child ADD c integer": f"child {ACCESS}; -",
    "ALTER TABLE child ADD c integer DEFAULT 7 NOT NULL": f"child {ACCESS}; -",
    "ALTER TABLE child ADD c float DEFAULT random()": f"child {ACCESS}; rewrite child",
    "ALTER TABLE child ALTER t SET NOT NULL": f"child {ACCESS}; scan child",
    "ALTER TABLE child ALTER n DROP NOT NULL": f"child {ACCESS}; -",
    "ALTER TABLE child ALTER n SET DEFAULT 1": f"child {ACCESS}; -",
    "ALTER TABLE child ALTER n TYPE bigint": f"child {ACCESS}; rewrite child",
    "ALTER TABLE parent ALTER name TYPE varchar(20)": f"parent {ACCESS}; scan parent",
    "ALTER TABLE child ALTER t TYPE varchar": f"child {ACCESS}; -",
    "ALTER TABLE child ADD CHECK (n > 0)": f"child {ACCESS}; scan child",
    "ALTER TABLE child ADD CHECK (n > 0) NOT VALID": f"child {ACCESS}; -",
    "ALTER TABLE child ADD UNIQUE (n)": f"child {ACCESS}; build child",
    "ALTER TABLE child ADD UNIQUE USING INDEX child_id": f"child {ACCESS}; -",
    "ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey": f"child {ACCESS}, parent {ACCESS}; -",
    "ALTER TABLE child RENAME t TO u": f"child {ACCESS}; -",
    "ALTER TABLE child ENABLE ROW LEVEL SECURITY": f"child {ACCESS}; -",
    "CREATE POLICY p ON child USING (true)": f"child {ACCESS}; -",
    "ALTER TABLE heir INHERIT child": f"child {SHARE_UPDATE}, heir {ACCESS}; -",
    "ALTER TABLE child SET UNLOGGED": f"child {ACCESS}; rewrite child",
    "TRUNCATE alone": f"alone {ACCESS}; empty alone",
    "CLUSTER child USING child_n": f"child {ACCESS}; rewrite child",
    "REFRESH MATERIALIZED VIEW sums": (
        f"part ACCESS SHARE, sums {ACCESS}; insert sums, rewrite sums, scan part"
    ),
    "REFRESH MATERIALIZED VIEW CONCURRENTLY sums": (
        "part ACCESS SHARE, sums EXCLUSIVE; insert sums, scan part"
    ),
    "CREATE TABLE more PARTITION OF whole FOR VALUES FROM (300) TO (400)": (
        f"rest {ACCESS}, whole {ACCESS}; scan rest"
    ),
    "ALTER TABLE whole ATTACH PARTITION alone FOR VALUES FROM (200) TO (300)": (
        f"alone {ACCESS}, rest {ACCESS}, whole {SHARE_UPDATE}; scan alone, scan rest"
    ),
    "ALTER TABLE whole DETACH PARTITION part": f"part {ACCESS}, rest {ACCESS}, whole {ACCESS}; -",
    "DROP TABLE rest": f"rest {ACCESS}, whole {ACCESS}; -",
}

REVISION = """
from alembic import op
revision = "all"
down_revision = None
STATEMENTS = {statements!r}

def upgrade():
    for statement in STATEMENTS:
        with op.get_bind().begin_nested() as point:
            op.execute(statement)
            point.rollback()  # which lets its locks go

def downgrade():
    raise NotImplementedError("Nothing is left to undo.")
"""


def observed(folder: Path, server: sa.URL) -> Observation:
    (folder / "versions").mkdir()
    (folder / "alembic.ini").write_text(INI)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "all.py").write_text(REVISION.format(statements=list(MANUAL)))
    project = Project.load(folder / "alembic.ini")
    with scratch.database(server) as database, project.open(database) as source:
        execute(database, BEFORE)
        return observe(source, database, "all")


def locks_and_work(observation: Observation) -> dict[str, str]:
    """What was observed, as the table has it."""
    assert observation.failure is None
    found = {}
    for statement in observation.own:
        if "SAVEPOINT" in statement.sql:
            continue
        locks = {
            str(lock.relation): lock.name for lock in statement.locks if lock.relation.is_table
        }
        work = sorted(f"{work.kind} {work.table}" for work in statement.work)
        told = ", ".join(f"{table} {locks[table]}" for table in sorted(locks)) or "-"
        found[statement.sql] = f"{told}; {', '.join(work) or '-'}"
    return found


def test_locks_and_work_are_those_of_the_manual(tmp_path: Path, scratch_server: sa.URL) -> None:
    assert locks_and_work(observed(tmp_path, scratch_server)) == MANUAL


@pytest.mark.thorough
def test_they_are_on_postgresql_16(tmp_path: Path, older_server: sa.URL) -> None:
    assert locks_and_work(observed(tmp_path, older_server)) == MANUAL
