"""`check` and `roundtrip`: what disagrees is found and named, and what agrees is left in peace."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from project.database import ROOT
from project.schema.checking.drift import (
    database_against_migrations,
    metadata_against_database,
    models_against_migrations,
)
from project.schema.configuration import Ignore, Project, UsageError
from project.schema.finding import Report
from project.schema.scratch import ScratchError
from project.schema.walking.roundtrip import roundtrip

from .conftest import Databases, execute, secret, until

ENV = """
from alembic import context
from sqlalchemy import create_engine
from models import metadata

with create_engine("postgresql://nobody:s3cret@127.0.0.1:1/nowhere").connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""

MODELS = """
import sqlalchemy as sa

metadata = sa.MetaData()
note = sa.Table(
    "note",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("text", sa.String(50), nullable=False, server_default="none"),
    sa.Column("colour", sa.Enum("red", "green", name="colour")),
    sa.CheckConstraint("length(text) > 1", name="text_is_long"),
    sa.Index("note_by_text", "text"),
)
"""

FIRST = """
from alembic import op
import sqlalchemy as sa

revision = "first"
down_revision = None

def upgrade():
    op.create_table(
        "note",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("text", sa.String(50), nullable=False, server_default="none"),
        sa.CheckConstraint("length(text) > 1", name="text_is_long"),
    )

def downgrade():
    op.drop_table("note")
"""

SECOND = """
from alembic import op
import sqlalchemy as sa

revision = "second"
down_revision = "first"

def upgrade():
    sa.Enum("red", "green", name="colour").create(op.get_bind())
    op.add_column("note", sa.Column("colour", sa.Enum(name="colour", create_type=False)))
    op.create_index("note_by_text", "note", ["text"])

def downgrade():
    op.drop_index("note_by_text", "note")
    op.drop_column("note", "colour")
    op.execute("DROP TYPE colour")
"""


@dataclass
class Foreign:
    """A small project of somebody else's, sound as it stands."""

    folder: Path
    server: sa.URL

    @property
    def project(self) -> Project:
        return Project(self.folder / "alembic.ini")

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def check(self) -> Report:
        return models_against_migrations(self.project, self.server)

    def walk(self) -> Report:
        return roundtrip(self.project, self.server)


@pytest.fixture
def foreign(tmp_path: Path, scratch_server: sa.URL) -> Foreign:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    (tmp_path / "models.py").write_text(MODELS)
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").write_text(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{ENV}"
    )
    (versions / "first.py").write_text(FIRST)
    (versions / "second.py").write_text(SECOND)
    return Foreign(tmp_path, scratch_server)


def codes(report: Report) -> set[str]:
    return {f"{f.code} {f.object}".strip() for f in report.findings if f.level == "error"}


def test_a_sound_project_agrees(foreign: Foreign) -> None:
    assert foreign.check().findings == ()
    assert [f for f in foreign.walk().findings if f.level == "error"] == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("sa.String(50)", "sa.String(60)", "column-differs column public.note.text"),
        ('"none"', '"some"', "column-differs column public.note.text"),
        ("nullable=False", "nullable=True", "column-differs column public.note.text"),
        ('"green"', '"blue"', "enum-differs enum public.colour"),
        ("> 1", "> 2", "constraint-differs constraint public.note.text_is_long"),
        ('"text_is_long"', '"text_long"', "constraint-missing constraint public.note.text_long"),
        ('"text"),', '"text", unique=True),', "index-differs index public.note.note_by_text"),
        ('"note",\n', '"notes",\n', "table-missing table public.notes"),
        ('"colour", sa.Enum', '"color", sa.Enum', "column-missing column public.note.color"),
    ],
)
def test_a_model_that_was_edited_is_found(foreign: Foreign, old: str, new: str, says: str) -> None:
    foreign.edit("models.py", old, new)
    assert says in codes(foreign.check())


def test_a_finding_leads_to_the_line_and_to_the_operation(foreign: Foreign) -> None:
    foreign.edit("models.py", "sa.String(50)", "sa.String(60)")
    [finding] = foreign.check().findings
    assert (finding.attribute, finding.expected, finding.found) == (
        "type",
        "character varying(60)",
        "character varying(50)",
    )
    assert finding.remedy == 'op.alter_column("note", "text", type_=sa.String(length=60))'
    assert finding.path == "models.py"
    assert finding.line >= 5


#: One thing is broken at a time in a sound history; each must be caught.
BREAKS = [
    ("first", '    op.drop_table("note")', "    pass", "downgrade"),
    ("second", '    op.execute("DROP TYPE colour")', "    pass", "left type"),
    ("second", '    op.drop_index("note_by_text", "note")\n', "", "left index"),
    ("second", '    op.drop_column("note", "colour")\n', "", "dependent column"),
    ("second", '"note_by_text", "note", ["text"]', '"note_by", "note", ["text"]', "index name"),
    ("second", "def downgrade():", "def nothing():", "no downgrade"),
    ("first", "nullable=False", "nullable=True", "nullability"),
    ("first", '"none"', '"other"', "default"),
    ("first", "> 1", "> 0", "check"),
    ("second", '["text"])', '["id"])', "index column"),
]


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("revision", "old", "new"), [b[:3] for b in BREAKS], ids=[b[3] for b in BREAKS]
)
def test_a_history_with_one_thing_broken_is_caught(
    foreign: Foreign, revision: str, old: str, new: str
) -> None:
    foreign.edit(f"migrations/versions/{revision}.py", old, new)
    assert not (foreign.check().agrees and foreign.walk().agrees)


def test_a_downgrade_that_restores_something_else_is_named(foreign: Foreign) -> None:
    foreign.edit(
        "migrations/versions/second.py",
        '    op.drop_column("note", "colour")',
        '    op.drop_column("note", "colour")\n'
        '    op.alter_column("note", "text", server_default="x")',
    )
    assert "not-restored column public.note.text" in codes(foreign.walk())


def test_an_upgrade_that_fails_only_on_rows_fails_here(foreign: Foreign) -> None:
    foreign.edit(
        "migrations/versions/second.py",
        "def upgrade():",
        'def upgrade():\n    op.add_column("note", sa.Column("must", sa.Integer, nullable=False))',
    )
    [finding] = [f for f in foreign.walk().findings if f.level == "error"]
    assert finding.code == "upgrade-failed"
    assert "contains null values" in finding.message


LOSING = 'def upgrade():\n    op.drop_column("note", "text")'

RESTORING = """def downgrade():
    op.add_column(
        "note", sa.Column("text", sa.String(50), nullable=False, server_default="none")
    )
    op.create_check_constraint("text_is_long", "note", "length(text) > 1")"""


def test_rows_that_are_lost_are_found_and_may_be_declared(foreign: Foreign) -> None:
    second = "migrations/versions/second.py"
    foreign.edit(second, '    op.create_index("note_by_text", "note", ["text"])\n', "")
    foreign.edit(second, '    op.drop_index("note_by_text", "note")\n', "")
    foreign.edit(second, "def upgrade():", LOSING)
    foreign.edit(second, "def downgrade():", RESTORING)
    [finding] = [f for f in foreign.walk().findings if f.level == "error"]
    assert (finding.code, finding.object) == ("rows-lost", "column public.note.text")
    assert finding.found
    foreign.edit(second, "from alembic", "# loses: note.text, which nobody reads\nfrom alembic")
    report = foreign.walk()
    assert report.agrees
    assert "nobody reads" in report.findings[-1].message


def test_a_downgrade_that_refuses_is_told_and_the_walk_goes_on(foreign: Foreign) -> None:
    path = foreign.folder / "migrations" / "versions" / "first.py"
    path.write_text(
        path.read_text().replace('op.drop_table("note")', 'raise RuntimeError("No way back.")')
    )
    report = foreign.walk()
    assert report.agrees
    assert [f.code for f in report.findings if f.object == "revision first"] == ["irreversible"]


def test_two_heads_are_found(foreign: Foreign) -> None:
    third = FIRST.replace('"first"', '"third"').replace("None", '"first"').replace("note", "memo")
    (foreign.folder / "migrations" / "versions" / "third.py").write_text(third)
    assert "several-heads" in codes(foreign.check())
    assert "not-restored" not in " ".join(codes(foreign.walk()))


def test_an_ignored_difference_has_a_reason_and_an_unused_one_is_found(foreign: Foreign) -> None:
    foreign.edit("models.py", "sa.String(50)", "sa.String(60)")
    meant = Ignore("column public.note.*", "widened by hand")
    project = Project(foreign.folder / "alembic.ini", ignore=(meant,))
    report = models_against_migrations(project, foreign.server)
    assert report.agrees
    assert report.findings[0].message == "Ignored: widened by hand"
    unused = Project(foreign.folder / "alembic.ini", ignore=(meant, Ignore("view *", "x")))
    assert codes(models_against_migrations(unused, foreign.server)) == {"ignore-unused"}


def test_a_live_database_that_was_changed_by_hand_is_found(
    foreign: Foreign, databases: Databases
) -> None:
    live = databases.make()
    with foreign.project.open(live) as source:
        source.upgrade(live, "first")
    report = database_against_migrations(foreign.project, foreign.server, live)
    assert report.agrees
    assert [f.object for f in report.findings if f.code == "pending"] == ["revision second"]
    execute(live, "ALTER TABLE note ALTER text DROP DEFAULT", "CREATE VIEW v AS SELECT 1 AS one")
    report = database_against_migrations(foreign.project, foreign.server, live)
    assert codes(report) == {
        "column-differs column public.note.text",
        "view-unexpected view public.v",
    }


def test_a_live_database_is_only_read(foreign: Foreign, databases: Databases) -> None:
    live = databases.make()
    with foreign.project.open(live) as source:
        source.upgrade(live, "heads")
    reader = f"reader_{live.database}"
    execute(
        live,
        "CREATE SEQUENCE standing",
        "ALTER TABLE note ALTER text SET DEFAULT nextval('standing')",
        f"CREATE ROLE {reader} LOGIN",
        f"GRANT SELECT ON alembic_version TO {reader}",
    )
    try:
        restricted = live.set(username=reader)
        report = database_against_migrations(foreign.project, foreign.server, restricted)
    finally:
        execute(live, f"DROP OWNED BY {reader}", f"DROP ROLE {reader}")
    assert "column-differs column public.note.text" in codes(report)
    assert execute(live, "SELECT last_value, is_called FROM standing") == [(1, False)]


def test_a_metadata_is_compared_with_a_database_without_alembic(
    foreign: Foreign, databases: Databases
) -> None:
    live = databases.make()
    with foreign.project.open(live) as source:
        source.upgrade(live, "heads")

    def compare() -> Report:
        return metadata_against_database("models:metadata", foreign.folder, foreign.server, live)

    assert compare().agrees
    execute(live, "ALTER TABLE note ALTER text TYPE text")
    assert codes(compare()) == {"column-differs column public.note.text"}
    with pytest.raises(UsageError):
        metadata_against_database("models", foreign.folder, foreign.server, live)


def test_owners_and_grants_are_compared_where_it_is_asked_for(
    foreign: Foreign, databases: Databases
) -> None:
    live = databases.make()
    with foreign.project.open(live) as source:
        source.upgrade(live, "heads")
    execute(live, "GRANT SELECT ON note TO PUBLIC")

    def compare(*, privileges: bool) -> set[str]:
        project, server = foreign.project, foreign.server
        return codes(database_against_migrations(project, server, live, privileges=privileges))

    assert compare(privileges=False) == set()
    assert compare(privileges=True) == {
        "privileges-on-relation-differs privileges on relation public.note"
    }


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_whoever_stops_it_finds_nothing_left_behind(
    foreign: Foreign, stop: signal.Signals
) -> None:
    sleep = 'op.execute("SELECT pg_sleep(600)")\n    '
    foreign.edit("migrations/versions/second.py", "op.add", sleep + "op.add")
    process = subprocess.Popen(
        [sys.executable, "-m", "project.schema", "roundtrip"],
        cwd=foreign.folder,
        env={"SCRATCH_DATABASE_URL": secret(foreign.server), "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    mine = f"SELECT count(*) FROM pg_database WHERE datname LIKE 'scratch%\\_{process.pid}\\_%'"

    async def works() -> bool:
        return execute(foreign.server, mine) != [(0,)]

    await until(works)
    process.send_signal(stop)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (2, "Interrupted.\n")
    assert execute(foreign.server, mine) == [(0,)]


def command(
    *arguments: str | Path, server: sa.URL, cwd: Path
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "project.schema", *arguments],
        cwd=cwd,
        env={"SCRATCH_DATABASE_URL": secret(server), "HOME": str(cwd), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )


def test_the_command_answers_0_1_and_2(foreign: Foreign) -> None:
    def ask(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return command(*arguments, server=foreign.server, cwd=foreign.folder)

    agreeing = ask("check")
    assert (agreeing.returncode, agreeing.stdout.splitlines()[-1]) == (0, "agree")
    foreign.edit("models.py", "sa.String(50)", "sa.String(60)")
    differing = ask("check", "--format", "json")
    assert differing.returncode == 1
    assert json.loads(differing.stdout)["findings"][0]["code"] == "column-differs"
    for wrong in (
        ["-c", "nowhere.ini"],
        ["--database", "nonsense"],
        ["--database", "mysql://ann:s3cret@db/shop"],
        ["--output", "nowhere/report.txt"],
        ["--output", "migrations"],
    ):
        failing = ask("check", *wrong)
        assert failing.returncode == 2
        assert len(failing.stderr.strip().splitlines()) == 1
        assert "s3cret" not in failing.stderr
    foreign.edit("models.py", "import sqlalchemy", "import no_such_thing")
    failing = ask("check")
    assert failing.returncode == 2
    assert "no_such_thing" in failing.stderr
    assert "Traceback" not in failing.stderr
    assert "s3cret" not in failing.stderr


def test_an_edit_of_a_recorded_revision_is_found(foreign: Foreign) -> None:
    def ask(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return command(*arguments, server=foreign.server, cwd=foreign.folder)

    assert ask("check", "--record").returncode == 0
    assert len((foreign.folder / "migrations" / "revisions.txt").read_text().splitlines()) == 2
    foreign.edit("migrations/versions/first.py", "def upgrade():", "def upgrade():\n    # edited")
    edited = ask("check")
    assert edited.returncode == 1
    assert "Revision first was edited after it was recorded" in edited.stdout


def test_only_revisions_that_are_new_in_git_are_walked(foreign: Foreign) -> None:
    third = SECOND.replace('"second"', '"third"').replace('"first"', '"second"')
    third = third.replace("colour", "shade").replace("note_by_text", "note_by_shade")
    git = "git init -q && git add . && git -c user.name=t -c user.email=t@t commit -qm start"
    subprocess.run(["bash", "-c", git], cwd=foreign.folder, check=True)
    (foreign.folder / "migrations" / "versions" / "third.py").write_text(third)
    done = command(
        "roundtrip",
        "--since",
        "HEAD",
        "--format",
        "json",
        server=foreign.server,
        cwd=foreign.folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["facts"] == [
        "1 of 3 revisions proved with rows in the tables (seed 1)"
    ]


def test_scratch_databases_are_gone_afterwards(foreign: Foreign) -> None:
    foreign.check()
    foreign.walk()
    mine = "SELECT datname FROM pg_database WHERE datname LIKE 'scratch\\_%'"

    left = [name for (name,) in execute(foreign.server, mine) if f"_{os.getpid()}_" in name]
    assert left == []


TRIGGER = """    op.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'")
    op.execute("CREATE TRIGGER tr BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION f()")
"""


def test_what_a_difference_contradicts_is_said_and_what_models_cannot_say_may_be_left_out(
    foreign: Foreign,
) -> None:
    foreign.edit("models.py", "sa.String(50)", "sa.String(60)")
    declared = "CREATE VIEW v AS SELECT 1 AS one"
    path = foreign.folder / "models.py"
    listen = f'\nsa.event.listen(metadata, "after_create", sa.DDL("{declared}"))\n'
    path.write_text(path.read_text() + listen)
    second = "migrations/versions/second.py"
    foreign.edit(second, "def upgrade():\n", "def upgrade():\n" + TRIGGER)
    origins = {f.object: f.origin for f in foreign.check().findings}
    assert origins == {
        "column public.note.text": "models",
        "view public.v": "declared",
        "function public.f()": "undeclared",
        "trigger public.note.tr": "undeclared",
    }
    (foreign.folder / "pyproject.toml").write_text("[tool.project.schema]\nundeclared = false\n")
    project = Project.load(foreign.folder / "alembic.ini")
    report = models_against_migrations(project, foreign.server)
    assert {f.origin for f in report.findings} == {"models", "declared"}
    assert "2 differences in what models cannot say are left out" in report.facts
    (foreign.folder / "pyproject.toml").write_text("[tool.project.schema]\nundeclared = 3\n")
    with pytest.raises(UsageError):
        Project.load(foreign.folder / "alembic.ini")


def test_the_order_of_columns_is_a_note(foreign: Foreign) -> None:
    colour = '    sa.Column("colour", sa.Enum("red", "green", name="colour")),\n'
    foreign.edit("models.py", colour, "")
    foreign.edit("models.py", "    metadata,\n", "    metadata,\n" + colour)
    report = foreign.check()
    assert report.agrees
    [note] = report.findings
    assert (note.code, note.object, note.expected, note.found) == (
        "column-order",
        "table public.note",
        "colour, id, text",
        "id, text, colour",
    )


@pytest.mark.parametrize(
    "base", ["class Base(DeclarativeBase): pass\n", "Base = declarative_base()\n"]
)
def test_a_model_that_was_never_imported_is_found(foreign: Foreign, base: str) -> None:
    def write(name: str, text: str) -> None:
        path = foreign.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    declaring = (
        "from sqlalchemy.orm import DeclarativeBase, Mapped, declarative_base, mapped_column\n"
        f"{base}metadata = Base.metadata\n"
    )
    model = (
        "class {0}(Base):\n    __tablename__ = '{0}'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
    )
    importing = "from app.base import Base, Mapped, mapped_column\n"
    write("app/__init__.py", "")
    write("app/base.py", declaring)
    write("app/users/__init__.py", "")
    write("app/users/models.py", importing + model.format("User"))
    # Never imported:
    write("app/orders/__init__.py", "")
    write("app/orders/models.py", importing + "\n" + model.format("Order"))
    # No models of the application:
    write("app/abstract.py", importing + "class Dated(Base):\n    __abstract__ = True\n")
    write("app/tests/test_it.py", importing + model.format("Tried"))
    write("app/elsewhere.py", model.format("Foreign").replace("Base", "OtherBase"))
    write("app/plain.py", "class Plain:\n    pass\n")
    write("app/broken.py", "class (")
    write("models.py", "import app.users.models\nfrom app.base import metadata\n")
    found = [f for f in foreign.check().findings if f.code == "model-not-imported"]
    assert [(f.object, f.path, f.line) for f in found] == [
        ("model Order", "app/orders/models.py", 3)
    ]


def test_an_extension_that_the_scratch_server_lacks_is_named(foreign: Foreign) -> None:
    foreign.edit(
        "migrations/versions/first.py",
        "def upgrade():",
        "def upgrade():\n    op.execute('CREATE EXTENSION no_such_extension')",
    )
    with pytest.raises(ScratchError, match=r"extension no_such_extension: .*SCRATCH_DATABASE_URL"):
        foreign.check()
