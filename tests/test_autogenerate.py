"""`alembic revision --autogenerate` with the one line in env.py: what a developer gets."""

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from project.database import ROOT

from .conftest import Databases, execute, secret

#: An env.py as `alembic init` writes it, but for the one line, and a database that is nowhere.
ENV = """
from alembic import context
from sqlalchemy import engine_from_config, pool

from models import metadata
from project.schema import autogenerate

config = context.config
target_metadata = metadata
autogenerate.install()


def run_migrations_online() -> None:
    connectable = engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata{options})
        with context.begin_transaction():
            context.run_migrations()


run_migrations_online()
"""

INI = """
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = %(here)s
path_separator = os
sqlalchemy.url = postgresql://nobody:s3cret@127.0.0.1:1/nowhere
"""

TEMPLATE = '''"""${message}"""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''

MODELS = """
import sqlalchemy as sa

metadata = sa.MetaData()
note = sa.Table(
    "note",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("text", sa.String(50), nullable=False),
    sa.Column("mail", sa.String(80)),
)
"""


MAIL = 'sa.Column("mail", sa.String(80)),'

TAG = """
tag = sa.Table("tag", metadata, sa.Column("id", sa.Integer, primary_key=True))
"""


@dataclass
class Developer:
    """Somebody with a small Alembic project, at a keyboard."""

    folder: Path
    scratch: sa.URL

    def write(self, models: str) -> None:
        (self.folder / "models.py").write_text(models)

    def edit(self, old: str, new: str) -> None:
        text = (self.folder / "models.py").read_text()
        assert old in text
        self.write(text.replace(old, new))

    def alembic(self, *words: str, fails: bool = False) -> str:
        """Run a command; what it prints, on both streams."""
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == (1 if fails else 0), printed
        assert "s3cret" not in printed
        assert "Traceback" not in printed
        return printed

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCRATCH_DATABASE_URL": secret(self.scratch),
        }

    def autogenerate(self, *words: str) -> str:
        """Autogenerate a revision; its text."""
        before = self.files()
        self.alembic("revision", "--autogenerate", *words)
        (new,) = self.files() - before
        return new.read_text()

    def autogenerate_several(self, *words: str) -> list[Path]:
        """Autogenerate revisions; their files as they were written."""
        before = self.files()
        self.alembic("revision", "--autogenerate", *words)
        return sorted(self.files() - before, key=lambda file: file.stat().st_mtime_ns)

    def lead(self, to: sa.URL) -> None:
        """Have env.py connect to a database."""
        ini = self.folder / "alembic.ini"
        url = to.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        nowhere = "postgresql://nobody:s3cret@127.0.0.1:1/nowhere"
        ini.write_text(ini.read_text().replace(nowhere, url.replace("%", "%%")))

    def refused(self) -> str:
        """Autogenerate in vain; why."""
        before = self.files()
        printed = self.alembic("revision", "--autogenerate", "-m", "in vain", fails=True)
        assert self.files() == before
        return printed

    def files(self) -> set[Path]:
        return set((self.folder / "migrations" / "versions").glob("*.py"))

    def agrees(self) -> bool:
        command = [sys.executable, "-m", "project.schema"]
        for verb in ("check", "roundtrip"):
            done = subprocess.run(
                [*command, verb],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        return True


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, scratch_server: sa.URL) -> Path:
    """A project with one revision, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text(ENV.replace("{options}", ""))
    (folder / "migrations" / "script.py.mako").write_text(TEMPLATE)
    (folder / "alembic.ini").write_text(INI)
    developer = Developer(folder, scratch_server)
    developer.write(MODELS)
    developer.autogenerate("-m", "first", "--rev-id", "one")
    return folder


@pytest.fixture
def developer(tmp_path: Path, begun: Path, scratch_server: sa.URL) -> Iterator[Developer]:
    folder = tmp_path / "project"
    shutil.copytree(begun, folder)
    yield Developer(folder, scratch_server)
    assert not (folder / "refused_migration.py").exists()


def test_a_new_column_is_written_proved_and_enough(developer: Developer) -> None:
    developer.edit(
        'sa.Column("mail", sa.String(80)),',
        """sa.Column("mail", sa.String(80), index=True),
        sa.Column("colour", sa.Enum("red", "green", name="colour"), server_default="red"),
        sa.CheckConstraint("text <> ''", name="text_says_something"),""",
    )
    text = developer.autogenerate()
    assert "add colour, text_says_something and ix_note_mail to note, and 1 more change" in text
    assert 'op.create_index(op.f("ix_note_mail"), "note", ["mail"], postgresql_concurrently' in text
    assert "postgresql_not_valid=True" in text
    assert "VALIDATE CONSTRAINT text_says_something" in text
    assert "import project" not in text
    assert developer.agrees()


def test_what_a_migration_was_seen_to_lock_is_shown_with_its_file(developer: Developer) -> None:
    developer.edit(
        'sa.Column("mail", sa.String(80)),',
        'sa.Column("mail", sa.Text, index=True), sa.Column("size", sa.Integer),',
    )
    developer.write((developer.folder / "models.py").read_text() + TAG)
    printed = developer.alembic("revision", "--autogenerate", "-m", "locks")
    table = printed[printed.index("statement  ") :]
    seen = {re.sub("  +", "|", line.strip()) for line in table.splitlines()}
    assert printed.index("Generating ") < printed.index(table)
    adding = "ALTER TABLE note ADD COLUMN IF NOT EXISTS size …"
    assert f"{adding}|note|ACCESS EXCLUSIVE|readers and writers" in seen
    building = "CREATE INDEX CONCURRENTLY ix_note_mail ON note …"
    assert f"{building}|note|SHARE UPDATE EXCLUSIVE|nobody|builds ix_note_mail" in seen
    assert "CREATE TABLE" not in table  # nobody waits for what is new


def test_the_same_change_gives_the_same_bytes(developer: Developer) -> None:
    developer.edit("sa.String(80)", "sa.Text")
    first = developer.autogenerate("-m", "text", "--rev-id", "two")
    (developer.folder / "migrations" / "versions" / "two_text.py").unlink()
    assert developer.autogenerate("-m", "text", "--rev-id", "two") == first


def test_no_change_writes_no_file_and_check_agrees(developer: Developer) -> None:
    before = developer.files()
    printed = developer.alembic("revision", "--autogenerate", "-m", "nothing")
    assert "The models and the migrations agree: there is nothing to write." in printed
    assert developer.files() == before
    assert "No new upgrade operations detected." in developer.alembic("check")


def test_alembic_s_own_check_sees_what_this_package_sees(developer: Developer) -> None:
    developer.edit("sa.Identity()", "sa.Identity(increment=5)")
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "check"],
        cwd=developer.folder,
        env=developer.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "column public.note.id numbered by" in done.stdout + done.stderr


def test_a_declared_rename_keeps_rows_and_its_hint_can_go(developer: Developer) -> None:
    developer.edit(
        'sa.Column("mail", sa.String(80))',
        'sa.Column("address", sa.String(80), info={"renamed_from": "mail"})',
    )
    text = developer.autogenerate()
    assert '"""rename mail to address"""' in text
    assert 'op.alter_column("note", "mail", new_column_name="address")' in text
    assert "drop_column" not in text
    assert developer.agrees()
    printed = developer.alembic("revision", "--autogenerate", "-m", "nothing")
    assert "The hint renamed_from 'mail' of column note.address has done its work" in printed


def test_columns_that_are_alike_do_not_change_places_by_hints(developer: Developer) -> None:
    developer.edit("sa.String(50), nullable=False", 'sa.String(80), info={"renamed_from": "mail"}')
    developer.edit(MAIL, 'sa.Column("mail", sa.String(80), info={"renamed_from": "text"}),')
    developer.edit("metadata = sa.MetaData()", "metadata = sa.MetaData()  # as it was")
    assert "note.text" in developer.refused()


def test_a_table_has_both_names_while_the_old_release_runs(
    developer: Developer, databases: Databases
) -> None:
    developer.edit('"note",', '"memo",')
    developer.edit(MAIL, f'{MAIL} info={{"renamed_from": "note", "expand": True}},')
    written = developer.autogenerate_several("-m", "memo", "--rev-id", "two")
    assert [file.stem for file in written] == [
        *("two_memo_rename_note_to_memo", "two_2_memo_drop_the_old_name_note"),
    ]
    url = databases.make()
    developer.lead(url)
    developer.alembic("upgrade", "one")
    execute(url, "CREATE ROLE reader_of_notes")
    try:
        execute(url, "GRANT SELECT, INSERT ON note TO reader_of_notes")
        developer.alembic("upgrade", "two")
        execute(url, "SET ROLE reader_of_notes; INSERT INTO note (text) VALUES ('a')")
        execute(url, "SET ROLE reader_of_notes; INSERT INTO memo (text) VALUES ('b')")
    finally:
        execute(url, "DROP OWNED BY reader_of_notes; DROP ROLE reader_of_notes")
    assert execute(url, "SELECT text FROM note ORDER BY id") == [("a",), ("b",)]
    developer.alembic("upgrade", "head")
    assert execute(url, "SELECT text FROM memo ORDER BY id") == [("a",), ("b",)]
    assert developer.agrees()


def test_what_looks_renamed_is_refused_with_the_hint_to_add(developer: Developer) -> None:
    developer.edit('"mail"', '"address"')
    printed = developer.refused()
    assert 'info={"renamed_from": "mail"}' in printed
    assert 'info={"renamed_from": None}' in printed
    developer.edit("sa.String(80)", 'sa.String(80), info={"renamed_from": None}')
    text = developer.autogenerate()
    assert "# loses: note.mail" in text
    assert developer.agrees()


@pytest.mark.parametrize(("answer", "operation"), [("y", "new_column_name"), ("n", "drop_column")])
def test_on_a_terminal_what_looks_renamed_is_asked_for(
    developer: Developer, answer: str, operation: str
) -> None:
    developer.edit('"mail"', '"address"')
    ours, theirs = pty.openpty()
    before = developer.files()
    process = subprocess.Popen(
        [sys.executable, "-m", "alembic", "revision", "--autogenerate", "-m", "asked"],
        cwd=developer.folder,
        env=developer.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    while b"[y/N]" not in printed:
        printed += os.read(ours, 1000)
    assert b"Is column note.address the former note.mail?" in printed
    os.write(ours, f"{answer}\n".encode())
    try:
        while os.read(ours, 1000):
            pass
    except OSError:  # the other end is closed: so Linux says it
        pass
    assert process.wait() == 0
    os.close(ours)
    (new,) = developer.files() - before
    assert operation in new.read_text()


def test_a_model_that_nobody_imports_is_told(developer: Developer) -> None:
    package = developer.folder / "models"
    package.mkdir()
    (developer.folder / "models.py").rename(package / "__init__.py")
    (package / "tag.py").write_text(f"import sqlalchemy as sa\nfrom models import metadata\n{TAG}")
    printed = developer.alembic("revision", "--autogenerate", "-m", "nothing")
    assert "tag (models/tag.py:4) is never imported: the metadata lacks its table." in printed


def test_a_required_column_asks_for_the_value_of_the_rows_there(developer: Developer) -> None:
    developer.edit(
        'sa.Column("mail", sa.String(80))',
        'sa.Column("mail", sa.String(80)), sa.Column("kind", sa.Text, nullable=False)',
    )
    assert "note.kind is new and NOT NULL" in (printed := developer.refused())
    assert 'info={"backfill": "<SQL>"}' in printed
    developer.edit("sa.Text,", """sa.Text, info={"backfill": "'none'"},""")
    text = developer.autogenerate()
    assert """server_default=sa.text("'none'"), nullable=False""" in text
    assert 'op.alter_column("note", "kind", server_default=None)' in text
    assert "UPDATE" not in text
    assert developer.agrees()
    developer.edit(
        MAIL,
        MAIL
        + """sa.Column("size", sa.Integer, nullable=False,
        info={"backfill": "length(text)"}),""",
    )
    text = developer.autogenerate()
    assert "UPDATE note SET size = length(text)" in text
    assert "VALIDATE CONSTRAINT size_is_not_null" in text
    assert developer.agrees()


def test_what_rows_refuse_is_not_saved_as_a_migration(developer: Developer) -> None:
    developer.edit("sa.String(80)", "sa.String(20)")
    printed = developer.refused()
    assert "value too long for type character varying(20)" in printed
    assert 'info={"using": "<SQL>"}' in printed
    kept = developer.folder / "refused_migration.py"
    assert str(kept) in printed
    assert "sa.String(length=20)" in kept.read_text()
    developer.edit("sa.String(20)", 'sa.String(20), info={"using": "left(mail, 20)"}')
    text = developer.autogenerate()
    assert 'postgresql_using="left(mail, 20)"' in text
    assert "# loses: note.mail" in text
    assert not kept.exists()  # there is a migration now
    assert developer.agrees()


def test_a_column_is_expanded_in_three_revisions_while_the_old_release_writes(
    developer: Developer, databases: Databases
) -> None:
    kind = """sa.Column("kind", sa.{}, nullable=False, index=True, info={}),
        sa.CheckConstraint("kind IS DISTINCT FROM NULL", name="has_a_kind"),"""
    developer.edit(MAIL, MAIL + kind.format("Integer", {"backfill": "7"}))
    developer.autogenerate("-m", "kind", "--rev-id", "two")
    developer.edit("sa.Integer, nullable", "sa.Text, nullable")
    developer.edit("'backfill': '7'", "'expand': True")
    written = developer.autogenerate_several("-m", "text", "--rev-id", "three")
    assert [file.stem for file in written] == [
        *("three_text_expand_note_kind", "three_2_text_fill_note_kind"),
        "three_3_text_contract_note_kind",
    ]
    assert "Rewrites" not in "".join(file.read_text() for file in written)
    url = databases.make()
    developer.lead(url)
    for number, revision in enumerate(("two", "three", "head"), 1):
        developer.alembic("upgrade", revision)
        execute(url, f"INSERT INTO note (text, kind) VALUES ('a', {number})")
    assert execute(url, "SELECT kind FROM note ORDER BY id") == [("1",), ("2",), ("3",)]


def test_rows_that_may_refuse_a_constraint_are_told_of(developer: Developer) -> None:
    developer.edit("sa.String(80)", "sa.String(80), unique=True")
    text = developer.autogenerate("-m", "unique")
    assert "# assumes: no rows repeat: SELECT mail FROM note WHERE mail IS NOT NULL" in text
    assert "HAVING count(*) > 1" in text
    assert "UNIQUE USING INDEX" in text
    assert developer.agrees()


def test_what_env_py_hides_is_left_alone(developer: Developer) -> None:
    developer.edit('sa.Column("mail", sa.String(80)),', "")
    developer.write(
        (developer.folder / "models.py").read_text()
        + "\nsa.Table('foreign_things', metadata, sa.Column('id', sa.Integer, primary_key=True))\n"
    )
    hide = ", include_object=lambda o, name, kind, *_: name not in ('foreign_things', 'note')"
    (developer.folder / "migrations" / "env.py").write_text(ENV.replace("{options}", hide))
    printed = developer.alembic("revision", "--autogenerate", "-m", "nothing")
    assert "there is nothing to write" in printed


def test_without_traffic_the_plain_form_is_written(developer: Developer) -> None:
    (developer.folder / "pyproject.toml").write_text("[tool.project.schema]\nsafe = false\n")
    developer.edit("sa.String(80)", "sa.String(80), index=True")
    text = developer.autogenerate("-m", "index")
    assert "autocommit_block" not in text
    assert 'op.create_index(op.f("ix_note_mail"), "note", ["mail"])' in text


def test_a_broken_model_is_told_in_a_sentence(developer: Developer) -> None:
    developer.edit("sa.String(80)", "sa.String(80), server_default=sa.text('nobody_knows()')")
    printed = developer.alembic("revision", "--autogenerate", "-m", "broken", fails=True)
    assert "function nobody_knows() does not exist" in printed
