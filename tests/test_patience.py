"""Migrations under traffic: they wait briefly for locks, let go, and try again."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from project import embedded
from project.database import MIGRATION_LOCK, ROOT
from project.schema.holders import shortened
from project.schema.patience import PATIENT

from .conftest import execute, secret, until
from .foreign import Foreign

ALEMBIC = Path(sys.executable).with_name("alembic")

MODELS = """
import sqlalchemy as sa

metadata = sa.MetaData(naming_convention={"ix": "ix_%(column_0_label)s"})
account = sa.Table(
    "account",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, index=INDEX),
)
"""

ENV = """
import os
import sqlalchemy as sa
from alembic import context
from models import metadata
from project.schema import autogenerate, patience

autogenerate.install()
engine = sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.NullPool)
with autogenerate.connection() or engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration="TOGETHER" not in os.environ,
    )
    patience.run_migrations(lock_seconds=0.05, tries=int(os.environ.get("TRIES", "30")))
"""

ASYNCHRONOUS = """
import asyncio, os
import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine
from project.schema import patience

def run(connection):
    context.configure(connection=connection, transaction_per_migration=True)
    patience.run_migrations(lock_seconds=0.05)

async def main():
    async with create_async_engine(os.environ["DATABASE_URL"]).connect() as connection:
        await connection.run_sync(run)

asyncio.run(main())
"""

REVISION = """
from alembic import op

revision, down_revision = "{name}", {down!r}

def upgrade():
{up}

def downgrade():
{back}
"""


class History(Foreign):
    """A project whose revisions are given as SQL, and a database with a table ``account``."""

    def __init__(self, folder: Path, database: sa.URL) -> None:
        super().__init__(folder, database)
        (folder / "migrations" / "versions" / "one.py").unlink()
        self.write("models.py", MODELS.replace("INDEX", "False"))
        self.write("migrations/env.py", ENV)
        shutil.copy(ROOT / "alembic" / "script.py.mako", self.folder / "migrations")
        self.last: str | None = None
        self.url = database.set(drivername="postgresql+psycopg")
        execute(database, "CREATE TABLE account (id serial PRIMARY KEY, name varchar)")

    def add(self, name: str, *up: str, back: tuple[str, ...] = (), alone: str = "") -> None:
        """Write a revision of statements, perhaps with one in an autocommit block before them."""
        lines = [f"    op.execute({statement!r})" for statement in up]
        if alone:
            block = [
                "    with op.get_context().autocommit_block():",
                f"        op.execute({alone!r})",
            ]
            lines = block + lines
        listed = [f"    op.execute({statement!r})" for statement in back] or ["    pass"]
        text = REVISION.format(
            name=name, down=self.last, up="\n".join(lines), back="\n".join(listed)
        )
        self.write(f"migrations/versions/{name}.py", text)
        self.last = name

    def alembic(self, *words: str, **variables: str) -> "Running":
        environment = {
            **os.environ,
            "DATABASE_URL": secret(self.url),
            "SCRATCH_DATABASE_URL": secret(self.scratch.set(database="postgres")),
            "PYTHONPATH": str(ROOT),
            **variables,
        }
        return Running(
            subprocess.Popen(
                [ALEMBIC, *words],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def stands(self) -> object:
        return execute(self.scratch, "SELECT version_num FROM alembic_version")[0][0]

    def holding(self, statement: str) -> "psycopg.Connection[tuple[object, ...]]":
        """A session with a transaction in which it has done something."""
        connection = psycopg.connect(secret(self.scratch), application_name="report")
        connection.execute(statement.encode())
        return connection


class Running:
    """A command, and what it says on stderr."""

    def __init__(self, popen: "subprocess.Popen[str]") -> None:
        self.popen = popen
        self.lines: list[str] = []

    def says(self, what: str) -> str:
        """Wait until it says something."""
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.lines.append(line)
            if what in line:
                return line
        raise AssertionError(self.lines)

    def ends(self, code: int = 0) -> str:
        output, errors = self.popen.communicate(timeout=60)
        assert self.popen.returncode == code, [*self.lines, output, errors]
        return output


@pytest.fixture
def history(tmp_path: Path, empty_database: sa.URL) -> History:
    return History(tmp_path, empty_database)


def test_a_migration_that_gets_no_lock_tries_until_it_does(history: History) -> None:
    history.add("first", "CREATE TABLE done ()")
    history.add("second", "ALTER TABLE account ADD COLUMN note varchar")
    with history.holding("SELECT name FROM account WHERE name = 's3cret'") as report:
        running = history.alembic("upgrade", "head")
        running.says("Revision second got no lock in time. Try 2 of 30 in 0.")
        line = running.says("held by")
        assert line.startswith(
            "Revision second got no lock in time; it waited for account, held by process"
            f" {report.info.backend_pid} (report, idle in transaction, in a transaction for "
        )
        assert "SELECT name FROM account WHERE name = …. Try " in line
        assert history.stands() == "first"
    running.ends()
    assert history.stands() == "second"


def test_it_gives_up_with_one_sentence_and_keeps_what_was_done(history: History) -> None:
    history.add("first", "CREATE TABLE done ()")
    history.add("second", "ALTER TABLE account ADD COLUMN note varchar")
    with history.holding("SELECT FROM account"):
        output = history.alembic("upgrade", "head", TRIES="3").ends(255)
        assert output.startswith(
            "FAILED: Revision second got no lock in time; it waited for account"
        )
        assert output.endswith(
            "It was tried 3 times; what was committed before stays, and the same command goes on"
            " from there.\n"
        )
        assert len(output.splitlines()) == 1
    assert history.stands() == "first"
    history.alembic("upgrade", "head").ends()
    assert history.stands() == "second"


def test_nothing_is_held_in_a_pause(history: History) -> None:
    execute(history.scratch, "CREATE TABLE other ()")
    history.add(
        "first", "ALTER TABLE other ADD COLUMN a int", "ALTER TABLE account ADD COLUMN a int"
    )
    with history.holding("SELECT FROM account"):
        running = history.alembic("upgrade", "head")
        for _ in range(4):
            running.says("Try")
        with history.holding("SELECT FROM other"):  # it is let go of, or this would wait for ever
            running.says("Try")
    running.ends()
    assert history.stands() == "first"


@pytest.mark.parametrize("variables", [{}, {"TOGETHER": "yes"}], ids=["each", "together"])
def test_one_more_revision_is_one_more_after_a_retry(
    history: History, variables: dict[str, str]
) -> None:
    for name in ("first", "second", "third"):
        history.add(
            name,
            f"ALTER TABLE account ADD COLUMN {name} int",
            back=(f"ALTER TABLE account DROP COLUMN {name}",),
            alone="SELECT 1",  # what was done before this is committed
        )
    for words, reached in ((["upgrade", "+2"], "second"), (["downgrade", "-1"], "first")):
        with history.holding("SELECT FROM account"):
            running = history.alembic(*words, **variables)
            running.says("Try 3")
        running.ends()
        assert history.stands() == reached


def test_what_stands_alone_is_tried_again_alone(history: History) -> None:
    execute(history.scratch, "CREATE TABLE built (at timestamptz DEFAULT now())")
    history.add(
        "first",
        "ALTER TABLE account ADD COLUMN note varchar",
        alone="INSERT INTO built DEFAULT VALUES",
    )
    with history.holding("SELECT FROM account"):
        running = history.alembic("upgrade", "head")
        running.says("Try 3")
    running.ends()
    assert execute(history.scratch, "SELECT count(*) FROM built") == [(1,)]


def test_an_index_built_beside_a_long_transaction_is_not_built_again(history: History) -> None:
    history.add("first", "SELECT", alone="CREATE INDEX CONCURRENTLY late ON account (name)")
    with history.holding("INSERT INTO account (name) VALUES ('s3cret')") as report:
        running = history.alembic("upgrade", "head")
        line = running.says("waits")
        assert line.startswith(f"Revision first waits for process {report.info.backend_pid} (repo")
        assert line.endswith("INSERT INTO account (name) VALUES ( ….\n")
    running.ends()
    assert "Try" not in "".join(running.lines)
    assert valid(history) == [("account_pkey", True), ("late", True)]


def valid(history: History) -> list[tuple[object, ...]]:
    return execute(
        history.scratch,
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index"
        " WHERE indrelid = 'account'::regclass ORDER BY 1",
    )


async def test_half_an_index_is_dropped_and_built_again(history: History) -> None:
    # A transaction that waits for the builder, which waits for it: a deadlock, which PostgreSQL
    # breaks by failing who notices it first. The other one is told never to look.
    history.add(
        "start",
        "CREATE TABLE IF NOT EXISTS account (id serial PRIMARY KEY, name varchar)",
    )
    history.alembic("upgrade", "head").ends()
    history.write("models.py", MODELS.replace("INDEX", "True"))
    history.alembic("revision", "--autogenerate", "-m", "index").ends()
    url = history.url.update_query_dict({"options": "-c deadlock_timeout=4s"})
    with history.holding("INSERT INTO account (name) VALUES ('a')") as report:
        report.execute("SET deadlock_timeout = '1h'")
        running = history.alembic("upgrade", "head", DATABASE_URL=secret(url))
        await until(lambda: waits(history, "virtualxid"))
        deadlock = asyncio.to_thread(report.execute, "LOCK account IN SHARE UPDATE EXCLUSIVE MODE")
        async with asyncio.timeout(30):
            await deadlock
        assert "had a deadlock" in running.says("Try 2 of 30")
        assert valid(history) == [("account_pkey", True), ("ix_account_name", False)]
    running.ends()
    assert valid(history) == [("account_pkey", True), ("ix_account_name", True)]


async def waits(history: History, kind: str) -> bool:
    query = f"SELECT FROM pg_locks WHERE NOT granted AND locktype = '{kind}'"
    return bool(execute(history.scratch, query))


#: An autovacuum that begins soon and takes long.
SLOW_AUTOVACUUM = {
    "autovacuum_naptime": "1s",
    "autovacuum_vacuum_cost_limit": "1",
    "autovacuum_vacuum_cost_delay": "100ms",
}


async def test_an_autovacuum_is_not_waited_out(tmp_path: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.running(Path(folder) / "postgres", SLOW_AUTOVACUUM) as url,
    ):
        history = History(tmp_path, url)
        history.add("first", "ALTER TABLE account ADD COLUMN note varchar")
        execute(
            url,
            "INSERT INTO account (name) SELECT repeat('x', 500) FROM generate_series(1, 100000)",
            "DELETE FROM account",
        )

        async def vacuums() -> bool:
            query = "SELECT FROM pg_stat_activity WHERE query ~ '^autovacuum: .* public.account'"
            return bool(execute(url, query))

        await until(vacuums)
        running = history.alembic("upgrade", "head", SCRATCH_DATABASE_URL="", TRIES="5")
        running.says("(autovacuum worker, ")
        running.ends()
        assert history.stands() == "first"


def test_an_asynchronous_env_py_is_as_patient(history: History) -> None:
    history.write("migrations/env.py", ASYNCHRONOUS)
    history.add("first", "SELECT", "ALTER TABLE account ADD COLUMN note varchar")
    with history.holding("SELECT FROM account"):
        running = history.alembic("upgrade", "head")
        running.says("Revision first got no lock in time. Try 3 of 30 in 0.")
    running.ends()
    assert history.stands() == "first"


def test_a_transaction_of_the_caller_is_not_rolled_back(history: History) -> None:
    history.add("first", "ALTER TABLE account ADD COLUMN note varchar")
    history.write(
        "migrations/env.py",
        ENV.replace(
            "    context.conf",
            "    connection.exec_driver_sql('SET lock_timeout = 50')\n    context.conf",
        ),
    )
    with history.holding("SELECT FROM account"):
        running = history.alembic("upgrade", "head")
        running.says("LockNotAvailable")
    running.ends(1)


def test_a_migrator_that_pauses_keeps_others_out(database: sa.URL, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "alembic", tmp_path / "alembic")
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    head = execute(database, "SELECT version_num FROM alembic_version")[0][0]
    text = REVISION.format(
        name="late", down=head, up="    op.execute('DROP TABLE my_table')", back="    pass"
    )
    (tmp_path / "alembic" / "versions" / "late.py").write_text(text)
    with psycopg.connect(secret(database)) as report:
        report.execute("SELECT FROM my_table")
        running = Running(
            subprocess.Popen(
                [ALEMBIC, "-c", tmp_path / "alembic.ini", "upgrade", "head"],
                cwd=ROOT,
                env={**os.environ, "DATABASE_URL": secret(database), "MIGRATION_TRIES": "9"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        running.says("Try 2 of 9")
        free = f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})"
        assert execute(database, free) == [(False,)]
    running.ends()
    assert execute(database, free) == [(True,)]


@given(st.text())
@example("SELECT 1")
@example("ALTER ROLE ann PASSWORD 'x'")
@example("SELECT name FROM account")
def test_what_is_shown_of_a_statement_has_no_literal_in_it(statement: str) -> None:
    shown = shortened(statement)
    assert not set(shown) & set("0123456789'\"$-/\\")
    assert shown == "" or " ".join(statement.split()).startswith(shown.removesuffix(" …"))


@pytest.mark.parametrize(
    ("statement", "patient"),
    [
        ("CREATE UNIQUE INDEX CONCURRENTLY a ON b (c)", True),
        ("DROP INDEX CONCURRENTLY IF EXISTS a", True),
        ('\nALTER TABLE a VALIDATE CONSTRAINT "b c"', True),
        ("alter table only a.b validate constraint c;", True),
        ("REINDEX (VERBOSE) INDEX CONCURRENTLY a", True),
        ("ALTER TABLE a DETACH PARTITION b CONCURRENTLY", True),
        ("CREATE INDEX concurrently_not ON a (b)", False),
        ("ALTER TABLE a VALIDATE CONSTRAINT b, ADD COLUMN c int", False),
        ("ALTER TABLE a ADD COLUMN c int, VALIDATE CONSTRAINT b", False),
        ("COMMENT ON TABLE a IS 'CREATE INDEX CONCURRENTLY'", False),
    ],
)
def test_only_what_stops_nobody_may_wait_long(statement: str, patient: bool) -> None:  # noqa: FBT001
    assert bool(PATIENT.fullmatch(statement)) == patient
