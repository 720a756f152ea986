"""`alembic` on a real database: limits, turns, transactions, errors."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from project import database as db
from project.database import MIGRATION_LOCK, ROOT
from project.settings import Settings

from .conftest import execute, migrate, secret

ALEMBIC = Path(sys.executable).with_name("alembic")
HEAD = str(ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_current_head())


def alembic(url: sa.URL, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [ALEMBIC, *arguments],
        cwd=ROOT,
        env={"DATABASE_URL": secret(url), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stamped(url: sa.URL) -> object:
    return execute(url, "SELECT version_num FROM alembic_version")[0][0]


def holding(url: sa.URL) -> sa.Connection:
    """A session that holds the migrators' lock, as one that migrates does."""
    engine = sa.create_engine(
        url,
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"application_name": "another migration"},
    )
    connection = engine.connect()
    connection.execute(sa.select(sa.func.pg_advisory_lock(MIGRATION_LOCK)))
    return connection


def test_the_second_migrator_says_that_it_waits_and_then_goes_on(empty_database: sa.URL) -> None:
    with holding(empty_database) as first:
        pid = first.scalar(sa.select(sa.func.pg_backend_pid()))
        second = alembic(empty_database, "upgrade", "head")
        assert second.stderr is not None
        assert second.stderr.readline() == (
            f"Another migration is running (process {pid}, another migration, from local);"
            " waiting for it.\n"
        )
        assert second.poll() is None
    _, errors = second.communicate(timeout=30)
    assert second.returncode == 0, errors
    assert stamped(empty_database) == HEAD


def test_the_one_that_waits_does_not_block_the_one_that_works(database: sa.URL) -> None:
    # CREATE INDEX CONCURRENTLY waits for every older snapshot: a migrator that waited inside a
    # statement would hold one, and each would wait for the other.
    with holding(database) as first:
        second = alembic(database, "upgrade", "head")
        assert second.stderr is not None
        second.stderr.readline()
        first.execute(sa.text("SET statement_timeout = '20s'"))
        first.execute(sa.text("CREATE INDEX CONCURRENTLY ix_late ON my_table (name)"))
    second.communicate(timeout=30)
    assert second.returncode == 0


def test_many_migrators_at_once_all_end_well(empty_database: sa.URL) -> None:
    migrators = [alembic(empty_database, "upgrade", "head") for _ in range(3)]
    for migrator in migrators:
        _, errors = migrator.communicate(timeout=60)
        assert migrator.returncode == 0, errors
    assert stamped(empty_database) == HEAD


@pytest.mark.parametrize("looking", ["current", "check", "history -i"])
def test_a_command_that_only_looks_does_not_wait(looking: str, database: sa.URL) -> None:
    with holding(database):
        output, errors = alembic(database, *looking.split()).communicate(timeout=30)
    assert "Another migration" not in errors
    assert HEAD in output or "No new upgrade operations" in output


def test_the_migrator_has_limits_and_a_name(database: sa.URL) -> None:
    settings = Settings(database_url=database, migration_statement_seconds=60)
    with db.migrating(settings, exclusive=True) as connection:
        assert not connection.in_transaction()  # else Alembic would take it for the caller's
        shown = [
            connection.scalar(sa.text(f"SHOW {name}"))
            for name in ("statement_timeout", "application_name")
        ]
    assert shown == ["1min", "project migration"]


def test_options_of_the_url_are_kept_beside_the_limits(database: sa.URL) -> None:
    named = database.update_query_dict({"options": "-c search_path=elsewhere"})
    with db.migrating(Settings(database_url=named), exclusive=False) as connection:
        shown = [
            connection.scalar(sa.text(f"SHOW {n}")) for n in ("search_path", "statement_timeout")
        ]
    assert shown == ["elsewhere", "15min"]


def test_a_migration_that_fails_leaves_those_before_it(
    empty_database: sa.URL, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "alembic", tmp_path / "alembic")
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    (tmp_path / "alembic" / "versions" / "failing.py").write_text(
        "from alembic import op\n"
        f"revision = 'failing'\ndown_revision = {HEAD!r}\n"
        "def upgrade():\n    op.execute('CREATE TABLE half ()')\n    op.execute('SELECT 1 / 0')\n"
    )
    failing = alembic(empty_database, "-c", str(tmp_path / "alembic.ini"), "upgrade", "head")
    _, errors = failing.communicate(timeout=30)
    assert failing.returncode != 0
    assert "division by zero" in errors
    assert stamped(empty_database) == HEAD
    assert execute(empty_database, "SELECT to_regclass('half')")[0][0] is None


@pytest.mark.parametrize(
    ("host", "reason"),
    [("127.0.0.1:1", "Connection refused."), ("no-such-host.invalid", "failed to resolve host")],
)
def test_a_database_that_cannot_be_used_is_one_sentence(host: str, reason: str) -> None:
    url = sa.make_url(f"postgresql://ann:s3cret@{host}/shop")
    failing = alembic(url, "upgrade", "head")
    output, errors = failing.communicate(timeout=30)
    assert failing.returncode != 0
    assert "Traceback" not in errors
    assert output.startswith(f"FAILED: Cannot use the database shop on {host} as ann: {reason}")
    assert len((output + errors).strip().splitlines()) == 1
    assert "s3cret" not in output + errors


def test_a_bad_setting_is_one_sentence() -> None:
    failing = alembic(sa.make_url("postgresql://h/d"), "current", MIGRATION_LOCK_SECONDS="soon")
    output, errors = failing.communicate(timeout=30)
    assert failing.returncode != 0
    assert output == "FAILED: MIGRATION_LOCK_SECONDS is 'soon'; expected `float`.\n"
    assert errors == ""


def test_a_migration_by_its_programming_interface(empty_database: sa.URL) -> None:
    migrate(empty_database, lambda configuration: command.upgrade(configuration, "head"))
    assert stamped(empty_database) == HEAD
