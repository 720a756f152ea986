"""`review`: the release still running is asked itself, with its models from git."""

import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa

from project.schema.configuration import Project, UsageError
from project.schema.finding import Report
from project.schema.report import render
from project.schema.reviewing.review import review

from .foreign import BESIDE

ENV = """
from alembic import context
from sqlalchemy import create_engine
from goods.models import Base

with create_engine("postgresql://nobody@127.0.0.1:1/nowhere").connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""

MODELS = """
import enum
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Mood(enum.Enum):
    calm = "calm"
    busy = "busy"

class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(sa.String(50))
    mood: Mapped[Mood] = mapped_column(server_default="calm")
    tags: Mapped[list[str]] = mapped_column(sa.ARRAY(sa.Text), default=list)
"""

FIRST = """
from alembic import op
import sqlalchemy as sa

revision = "first"
down_revision = None

def upgrade():
    op.create_table(
        "note",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("text", sa.String(50), nullable=False),
        sa.Column("old", sa.Text()),
        sa.Column("mood", sa.Enum("calm", "busy", name="mood"), server_default="calm"),
        sa.Column("tags", sa.ARRAY(sa.Text())),
    )
    op.create_table("forgotten", sa.Column("id", sa.Integer(), primary_key=True))

def downgrade():
    op.drop_table("forgotten")
    op.drop_table("note")
    op.execute("DROP TYPE mood")
"""

SECOND = """
from alembic import op
import sqlalchemy as sa

revision = "second"
down_revision = "first"

def upgrade():
    op.drop_column("note", "old")
    op.drop_table("forgotten")
    op.alter_column("note", "text", new_column_name="body")

def downgrade():
    op.alter_column("note", "body", new_column_name="text")
    op.create_table("forgotten", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("note", sa.Column("old", sa.Text()))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a commit; not yet in git are a revision, and the models that go with it."""
    made = tmp_path / "other"
    (made / "versions").mkdir(parents=True)
    (made / "src" / "goods").mkdir(parents=True)
    models = made / "src" / "goods" / "models.py"
    (made / "alembic.ini").write_text(BESIDE)
    (made / "env.py").write_text(ENV)
    (made / "versions" / "first.py").write_text(FIRST)
    models.write_text(MODELS)
    git(made, "init", "-q")
    git(made, "add", ".")
    git(made, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "one")
    (made / "versions" / "second.py").write_text(SECOND)
    models.write_text(MODELS.replace("    text: Mapped", "    body: Mapped"))
    # As an editable installation does: whatever the folder, the models come from the work tree.
    monkeypatch.setenv("PYTHONPATH", str(made / "src"))
    return made


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


def reviewed(folder: Path, server: sa.URL, running: str | None = None) -> Report:
    project = Project.load(folder / "alembic.ini")
    return review(project, server, {"second"}, running=running)


def said(report: Report) -> set[str]:
    return {
        f"{finding.level} {finding.line}: {finding.message}"
        for finding in report.findings
        if finding.code.startswith("old-release")
    }


BY_HAND = "The release's models send nothing that fails; SQL written by hand may."

GONE = "does not exist."
ALL = "SELECT, WHERE, INSERT, UPDATE, DELETE, ON CONFLICT"


def test_what_the_models_of_the_commit_before_use_breaks_and_what_they_do_without_may(
    folder: Path, scratch_server: sa.URL
) -> None:
    report = reviewed(folder, scratch_server)
    assert said(report) == {
        'error 11: SELECT, WHERE, INSERT, UPDATE on note fail: column "text" does not exist.',
        f'warning 9: WHERE, UPDATE on note fail: column "old" does not exist. {BY_HAND}',
        f'warning 10: {ALL} on forgotten fail: relation "public.forgotten" {GONE} {BY_HAND}',
    }
    assert any("the models of commit" in fact for fact in report.facts)
    assert (
        "Once downgraded, the new release fails, so its code goes back first: SELECT, WHERE on"
        " note: column note.body does not exist;" in render(report, "text")
    )


def test_a_value_that_the_old_models_cannot_read_breaks_them(
    folder: Path, scratch_server: sa.URL
) -> None:
    upgrade = """
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE mood ADD VALUE 'gone'")
    op.execute("UPDATE note SET mood = 'gone' WHERE id = 1")
"""
    begin, end = SECOND.index("    op.drop_column"), SECOND.index("\ndef downgrade")
    (folder / "versions" / "second.py").write_text(SECOND[:begin] + upgrade + SECOND[end:])
    message = "error 12: SELECT on note fails: LookupError: 'gone' is not among the defined enum"
    found = said(reviewed(folder, scratch_server))
    assert any(line.startswith(message) for line in found), found


def test_without_git_the_schema_alone_tells_what_breaks_and_the_page_says_so(
    folder: Path, scratch_server: sa.URL
) -> None:
    (folder / ".git").rename(folder / "no-git")
    report = reviewed(folder, scratch_server)
    assert {line.partition(" ")[0] for line in said(report)} == {"error"}
    (fact,) = (fact for fact in report.facts if fact.startswith("the release still running"))
    assert "not known: not a git repository" in fact
    with pytest.raises(UsageError, match="git does not know the commit v1: not a git repository"):
        reviewed(folder, scratch_server, "v1")


def test_models_that_cannot_be_imported_are_no_failure_of_the_review(
    folder: Path, scratch_server: sa.URL
) -> None:
    git(folder, "add", "src")
    (folder / "src" / "goods" / "models.py").write_text("import no_such_module\n")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "two")
    (folder / "src" / "goods" / "models.py").write_text(MODELS)
    report = reviewed(folder, scratch_server, "HEAD")
    (fact,) = (fact for fact in report.facts if fact.startswith("the release still running"))
    assert "ModuleNotFoundError: No module named 'no_such_module'" in fact
