"""One migration reviewed, on schemas of several sizes, beside `alembic upgrade head` on them.

.venv/bin/python -m benchmarks.review [tables …]

Both start from nothing: a process, an empty database, a history that makes all tables. Each is run
ROUNDS times in turn and the smallest number counts: other work on the machine only adds. Processor
seconds are those of all processes, the server's too.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
from sqlalchemy import URL

from project.database import ROOT
from project.schema import scratch

ROUNDS = 3

ENV = """
import os
from alembic import context
from sqlalchemy import create_engine
from shelf import Base

with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""

MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    pass

for number in range({tables}):
    columns = [
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("code", sa.String(20), nullable=False, unique=True),
        sa.Column("title", sa.Text, index=True),
        sa.Column("price", sa.Numeric(10, 2), server_default="0", nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("active", sa.Boolean, server_default="true", nullable=False),
        sa.Column("size", sa.Integer, sa.CheckConstraint("size > 0")),
        sa.Column("details", sa.dialects.postgresql.JSONB),
        sa.Column("other_id", sa.ForeignKey(f"t{{number - 1}}.id"), index=True) if number else None,
    ]
    table = sa.Table(f"t{{number}}", Base.metadata, *filter(lambda c: c is not None, columns))
    type(f"T{{number}}", (Base,), {{"__table__": table}})
"""

FIRST = """
from alembic import op
import sqlalchemy as sa
import shelf

revision = "first"
down_revision = None

def upgrade():
    shelf.Base.metadata.create_all(op.get_bind())

def downgrade():
    shelf.Base.metadata.drop_all(op.get_bind())
"""

SECOND = """
from alembic import op
import sqlalchemy as sa

revision = "second"
down_revision = "first"

def upgrade():
    op.add_column("t7", sa.Column("remark", sa.Text()))
    op.alter_column("t7", "title", nullable=False)
    op.create_index("t7_remark", "t7", ["remark"])

def downgrade():
    op.drop_index("t7_remark", "t7")
    op.alter_column("t7", "title", nullable=True)
    op.drop_column("t7", "remark")
"""


class Spent(NamedTuple):
    """Seconds of the clock and of the processors."""

    clock: float
    processor: float


def main(*sizes: int) -> None:
    with scratch.server(None) as server:
        for tables in sizes or (40, 200, 1000):
            with tempfile.TemporaryDirectory() as made:
                measure(write(Path(made), tables), tables, server)


def write(folder: Path, tables: int) -> Path:
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/migrations\nprepend_sys_path = .\n"
    )
    (folder / "migrations" / "env.py").write_text(ENV)
    (folder / "shelf.py").write_text(MODELS.format(tables=tables))
    (versions / "first.py").write_text(FIRST)
    who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (versions / "second.py").write_text(SECOND)
    return folder


def measure(folder: Path, tables: int, server: URL) -> None:
    reviewed, upgraded = [], []
    for _ in range(ROUNDS):
        with scratch.database(server) as database:
            command = [sys.executable, "-m", "alembic", "upgrade", "head"]
            upgraded.append(spent(command, folder, server, {"DATABASE_URL": written(database)}))
        reviewed.append(review(folder, server))
    ours, theirs = (Spent(*map(min, zip(*runs, strict=True))) for runs in (reviewed, upgraded))
    print(
        f"{tables} tables: reviewed in {ours.clock:.1f} s, {ours.processor:.1f} of processors;"
        f" `alembic upgrade head` {theirs.clock:.1f} s, {theirs.processor:.1f}"
        f" ({ours.clock / theirs.clock:.1f} and {ours.processor / theirs.processor:.1f} times)",
        flush=True,
    )


def review(folder: Path, server: URL) -> Spent:
    command = [sys.executable, "-m", "project.schema", "review", "--url-env", "DATABASE_URL"]
    command += ["--format", "json", "--output", "review.json"]
    environment = {"SCRATCH_DATABASE_URL": written(server), "PYTHONPATH": str(ROOT)}
    taken = spent(command, folder, server, environment, code=1)
    report = json.loads((folder / "review.json").read_text())
    found = {finding["code"] for finding in report["findings"] if finding["level"] == "error"}
    assert found == {"scan-under-access-exclusive", "index-blocks-reads"}, found
    assert any("the models of commit" in fact for fact in report["facts"]), report["facts"]
    return taken


def written(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def spent(
    command: Sequence[str], folder: Path, server: URL, environment: dict[str, str], code: int = 0
) -> Spent:
    clock, processor = time.perf_counter(), processors(server)
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return Spent(time.perf_counter() - clock, processors(server) - processor)


def processors(server: URL) -> float:
    """Seconds so far of our children that have ended, and of the server with its own."""
    with psycopg.connect(written(server)) as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
    number = int((Path(folder) / "postmaster.pid").read_text().split()[0])
    times = psutil.Process(number).cpu_times()
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        own.ru_utime
        + own.ru_stime
        + times.user
        + times.system
        + times.children_user
        + times.children_system
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
