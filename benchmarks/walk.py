"""A history walked: ours, with rows and proofs, beside pytest-alembic's up-down test.

.venv/bin/python -m benchmarks.walk [revisions]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import URL

from project.schema import scratch
from project.schema.configuration import Project
from project.schema.roundtrip import roundtrip

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


def main(revisions: int = 300) -> None:
    with tempfile.TemporaryDirectory() as made, scratch.server(None) as server:
        folder = Path(made)
        write(folder, revisions)
        with scratch.database(server) as database:
            theirs = timed_peer(folder, database)
        project = Project(folder / "alembic.ini", url_env="DATABASE_URL")
        began = time.perf_counter()
        report = roundtrip(project, server)
        ours = time.perf_counter() - began
        began = time.perf_counter()
        bare = roundtrip(project, server, rows_per_table=0)
        without = time.perf_counter() - began
        assert report.agrees, report.findings[:3]
        assert bare.agrees, bare.findings[:3]
        print(
            f"{revisions} revisions: pytest-alembic's test_up_down_consistency {theirs:.1f} s;"
            f" ours {ours:.1f} s ({ours / theirs:.1f} times),"
            f" without rows {without:.1f} s ({without / theirs:.1f} times)"
        )


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
