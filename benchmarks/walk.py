"""A history walked: ours, with and without rows, beside pytest-alembic's up-down test.

.venv/bin/python -m benchmarks.walk [revisions …]

Each length is walked ROUNDS times by everybody in turn, and the shortest time counts: other work on
the machine only adds. The cost of a revision at several lengths shows whether it grows with them.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import URL

from project.schema import scratch
from project.schema.configuration import Project
from project.schema.walking.roundtrip import ROWS, roundtrip

ROUNDS = 3

ENV = """
import os
from alembic import context
from sqlalchemy import MetaData, create_engine

def run(connection):
    context.configure(connection=connection, target_metadata=MetaData())
    with context.begin_transaction():
        context.run_migrations()

given = context.config.attributes.get("connection")
if given is not None:
    with given.connect() as connection:
        run(connection)
else:
    with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
        run(connection)
"""

TEST = """
import os, pytest, sqlalchemy
from pytest_alembic.tests import test_up_down_consistency

@pytest.fixture
def alembic_config():
    return {"file": "alembic.ini"}

@pytest.fixture
def alembic_engine():
    return sqlalchemy.create_engine(os.environ["DATABASE_URL"])
"""

REVISION = """
from alembic import op
import sqlalchemy as sa

revision = "r{number:04}"
down_revision = {down!r}

def upgrade():
{up}

def downgrade():
{back}
"""


def main(*lengths: int) -> None:
    with scratch.server(None) as server:
        for revisions in lengths or (100, 300, 600):
            with tempfile.TemporaryDirectory() as made:
                measure(Path(made), revisions, server)


def measure(folder: Path, revisions: int, server: URL) -> None:
    write(folder, revisions)
    project = Project(folder / "alembic.ini", url_env="DATABASE_URL")
    theirs, bare, full = [], [], []
    for _ in range(ROUNDS):
        with scratch.database(server) as database:
            theirs.append(timed_peer(folder, database))
        bare.append(timed(project, server, rows=0))
        full.append(timed(project, server, rows=ROWS))
    told = (
        f"{name} {min(times):.1f} s, {min(times) / revisions * 1000:.0f} ms each"
        f" ({min(times) / min(theirs):.1f} times)"
        for name, times in (
            ("pytest-alembic's test_up_down_consistency", theirs),
            ("ours without rows", bare),
            (f"with {ROWS} rows a table", full),
        )
    )
    print(f"{revisions} revisions: {'; '.join(told)}", flush=True)


def timed(project: Project, server: URL, rows: int) -> float:
    began = time.perf_counter()
    report = roundtrip(project, server, rows_per_table=rows)
    elapsed = time.perf_counter() - began
    assert report.agrees, report.findings[:3]
    return elapsed


def write(folder: Path, revisions: int) -> None:
    """A table every tenth revision; columns, indexes and checks on it in between."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    (folder / "migrations" / "env.py").write_text(ENV)
    (folder / "test_alembic.py").write_text(TEST)
    for number in range(revisions):
        table = f"t{number // 10}"
        if number % 10 == 0:
            up = f'    op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))'
            back = f'    op.drop_table("{table}")'
        elif number % 3 == 0:
            up = f'    op.create_index("i{number}", "{table}", ["id"])'
            back = f'    op.drop_index("i{number}", "{table}")'
        else:
            up = f'    op.add_column("{table}", sa.Column("c{number}", sa.String(20)))'
            back = f'    op.drop_column("{table}", "c{number}")'
        down = f"r{number - 1:04}" if number else None
        text = REVISION.format(number=number, down=down, up=up, back=back)
        (versions / f"r{number:04}.py").write_text(text)


def timed_peer(folder: Path, database: URL) -> float:
    url = database.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_alembic.py"]
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={"DATABASE_URL": url},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
