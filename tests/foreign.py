"""A small Alembic project of somebody else's, written into a folder."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import sqlalchemy as sa

from project.schema.checking.drift import models_against_migrations
from project.schema.configuration import Project
from project.schema.finding import Report
from project.schema.source import Source
from project.schema.walking.roundtrip import roundtrip

from .conftest import execute

#: What leads nowhere: were it used, the test would fail at once.
NOWHERE = "postgresql+psycopg://somebody:hunter2@localhost:1/nowhere"

MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Named:
    name: Mapped[str]

class Account(Named, Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str] = mapped_column("email")

item = sa.Table(
    "item",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Enum("a", "b", name="kind", schema="types")),
    schema="shop",
)
"""

ENV = f"""
import sqlalchemy as sa
from alembic import context
from models import Base

engine = sa.create_engine("{NOWHERE}")
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""

INI = """
[alembic]
script_location = migrations
prepend_sys_path = .
path_separator = os
"""

#: Where env.py lies beside it.
BESIDE = """
[alembic]
script_location = %(here)s
path_separator = os
"""

#: Models that the migration below agrees with if its name is "one".
AGREEING = """
import sqlalchemy as sa

class Base:
    metadata = sa.MetaData()

one = sa.Table("one", Base.metadata, sa.Column("id", sa.Integer, primary_key=True))
"""

#: A migration that creates and drops a table of its own name.
REVISION = """
'''Make {name}.'''
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {down!r}

def upgrade():
    op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))

def downgrade():
    op.drop_table("{name}")
"""


class Foreign:
    """A small project of somebody else's."""

    def __init__(self, folder: Path, scratch: sa.URL) -> None:
        self.folder = folder
        self.scratch = scratch
        self.opened = ExitStack()
        self.ini = folder / "alembic.ini"
        self.write("alembic.ini", INI)
        self.write("models.py", MODELS)
        self.write("migrations/env.py", ENV)
        self.revision("one")

    def write(self, path: str, text: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return file

    def revision(self, name: str, down: object = None, text: str = REVISION) -> Path:
        written = text.format(name=name, down=down)
        return self.write(f"migrations/versions/{name}.py", written)

    def open(self, ini: Path | None = None, **options: Any) -> Source:  # noqa: ANN401
        """Open a source that is closed after the test."""
        given: dict[str, Any] = {"scratch": self.scratch, **options}
        return self.opened.enter_context(Source.open(ini or self.ini, **given))


@contextmanager
def project(folder: Path, scratch: sa.URL) -> Iterator[Foreign]:
    """Write a project, and close what was opened of it in the end."""
    foreign = Foreign(folder / "foreign", scratch)
    with foreign.opened:
        yield foreign


def relations(url: sa.URL) -> list[str]:
    query = (
        "SELECT relnamespace::regnamespace || '.' || relname || ' ' || relkind::text FROM pg_class"
        " WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)'"
        " AND relname !~ '^alembic_version' ORDER BY 1"
    )
    return [row[0] for row in execute(url, query)]


def check(foreign: Foreign) -> Report:
    return models_against_migrations(Project.load(foreign.ini), foreign.scratch)


def walk(foreign: Foreign) -> Report:
    return roundtrip(Project.load(foreign.ini), foreign.scratch)


def errors(report: Report) -> list[tuple[str, str]]:
    return [(each.code, each.object) for each in report.findings if each.level == "error"]
