"""The time of `alembic revision --autogenerate`: ours, with the proof, beside stock Alembic's.

    .venv/bin/python -m benchmarks.autogenerate [tables] [revisions] [rounds]

On this project with one column more, and on a made one of 500 tables and 300 revisions. Ours
begins with nothing: it starts a server, replays the history and proves what it wrote. Stock Alembic
looks at a database that somebody has kept at head. Beside the seconds stands the processor's time,
without PostgreSQL's.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from project.database import ROOT
from project.schema import scratch

#: What both the models and the revisions of the made project call for a table.
TABLES = """
import sqlalchemy as sa


def parts(number):
    parent = [sa.ForeignKey(f"table_{number - 1}.id", name=f"fk_{number}")] if number % 10 else []
    return [
        sa.Column("id", sa.Integer),
        sa.Column("parent", sa.Integer, *parent),
        sa.Column("name", sa.String(50), nullable=False),
        *(
            sa.Column(f"column_{column}", sa.Integer, server_default=sa.text("0"))
            for column in range(9)
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{number}"),
        sa.UniqueConstraint("name", name=f"uq_{number}"),
    ]
"""

MODELS = """
from parts import parts
import sqlalchemy as sa

metadata = sa.MetaData()
for number in range({tables}):
    table = sa.Table(f"table_{{number}}", metadata, *parts(number))
    sa.Index(f"ix_{{number}}", table.c.parent)
table.append_column(sa.Column("note", sa.String(50), index=True))
"""

REVISION = """
from alembic import op
from parts import parts

revision, down_revision = {name!r}, {down!r}


def upgrade():
    for number in range({first}, {last}):
        op.create_table(f"table_{{number}}", *parts(number))
        op.create_index(f"ix_{{number}}", f"table_{{number}}", ["parent"])


def downgrade():
    for number in reversed(range({first}, {last})):
        op.drop_table(f"table_{{number}}")
"""

ENV = """
import os
import sqlalchemy as sa
from alembic import context
from models import metadata
from project.schema import autogenerate

autogenerate.install()
engine = sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.NullPool)
with autogenerate.connection() or engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()
"""

INSTALL = "autogenerate.install()\n"


@dataclass(frozen=True)
class Cost:
    """What a command took, in seconds."""

    elapsed: float
    processor: float

    def __str__(self) -> str:
        return f"{self.elapsed:5.1f} s ({self.processor:4.1f} s of the processor)"


def main(tables: int = 500, revisions: int = 300, rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made"
        write(made, tables, revisions)
        ours = Path(folder) / "project"
        copy(ours)
        # Stock Alembic's database is on a server of its own, so that ours starts its own, too.
        with kept() as server:
            for name, path in (
                ("this project", ours),
                (f"{tables} tables, {revisions} revisions", made),
            ):
                compare(name, path, server, rounds)


def compare(name: str, path: Path, server: URL, rounds: int) -> None:
    with scratch.database(server) as database:
        environment = {
            **os.environ,
            "DATABASE_URL": database.set(drivername="postgresql+psycopg").render_as_string(
                hide_password=False
            ),
            "PYTHONPATH": str(ROOT if path.name == "made" else path),
        }
        run(path, environment, "upgrade", "head")
        for _ in range(rounds):
            ours = timed(path, environment)
            with stock(path):
                theirs = timed(path, environment)
            print(
                f"{name}: ours {ours}, stock {theirs}; {ours.elapsed / theirs.elapsed:.1f} times",
                flush=True,
            )


@contextmanager
def kept() -> Iterator[URL]:
    """A server that is not the one on which scratch databases are made."""
    from project import embedded  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory(dir=scratch.memory()) as folder,  # as the other one
        embedded.running(Path(folder) / "postgres", scratch.FORGETFUL) as url,
    ):
        yield url


@contextmanager
def stock(path: Path) -> Iterator[None]:
    """Without our plugin."""
    env = next(path.glob("*/env.py"))
    text = env.read_text()
    assert INSTALL in text
    env.write_text(text.replace(INSTALL, ""))
    try:
        yield
    finally:
        env.write_text(text)


def timed(path: Path, environment: dict[str, str]) -> Cost:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(path, environment, "revision", "--autogenerate", "-m", "timed")
    elapsed, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    [written] = path.glob("*/versions/*_timed.py")
    assert "add_column" in written.read_text()
    written.unlink()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(elapsed, used)


def run(path: Path, environment: dict[str, str], *words: str) -> None:
    command = [sys.executable, "-m", "alembic", *words]
    done = subprocess.run(
        command, cwd=path, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def copy(folder: Path) -> None:
    """Copy this project, with a column more in a model."""
    folder.mkdir()
    for name in ("project", "alembic"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("alembic.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    model = folder / "project" / "models" / "my_table.py"
    model.write_text(model.read_text() + "    note: Mapped[str | None]\n")


def write(folder: Path, tables: int, revisions: int) -> None:
    """The made project: every revision makes its share of the tables."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/migrations\nprepend_sys_path = %(here)s\n"
    )
    (folder / "pyproject.toml").write_text('[tool.project.schema]\nurl_env = "DATABASE_URL"\n')
    (folder / "migrations" / "env.py").write_text(ENV)
    shutil.copy(ROOT / "alembic" / "script.py.mako", folder / "migrations")
    (folder / "parts.py").write_text(TABLES)
    (folder / "models.py").write_text(MODELS.format(tables=tables))
    for number in range(revisions):
        first, last = (tables * part // revisions for part in (number, number + 1))
        down = f"r{number - 1:04}" if number else None
        text = REVISION.format(name=f"r{number:04}", down=down, first=first, last=last)
        (versions / f"r{number:04}.py").write_text(text)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
