"""What real projects were seen to do, each in a small project of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from project.database import ROOT
from project.schema.configuration import Project, UsageError
from project.schema.drift import models_against_migrations
from project.schema.finding import Report
from project.schema.roundtrip import roundtrip
from project.schema.source import SourceError

from .conftest import secret
from .foreign import ENV, INI, NOWHERE, REVISION, Foreign, project

#: Models that the migration "one" agrees with.
AGREEING = """
import sqlalchemy as sa

class Base:
    metadata = sa.MetaData()

one = sa.Table("one", Base.metadata, sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture
def foreign(tmp_path: Path, scratch_server: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, scratch_server) as made:
        made.write("models.py", AGREEING)
        yield made


def ask(foreign: Foreign, *arguments: str, cwd: Path | None = None) -> tuple[int, str]:
    """Run the command, and return its exit code and all that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "project.schema", *arguments],
        cwd=cwd or foreign.folder,
        env={
            "SCRATCH_DATABASE_URL": secret(foreign.scratch),
            "HOME": str(foreign.folder),
            "PYTHONPATH": str(ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout


def interpreter(foreign: Foreign, script: str) -> None:
    """Write a program that passes for the project's own interpreter."""
    path = foreign.write("venv/bin/python", f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    foreign.write("pyproject.toml", '[tool.project.schema]\npython = "venv/bin/python"\n')


def test_a_project_is_run_by_its_own_interpreter(foreign: Foreign) -> None:
    foreign.write("models.py", "import os\nassert os.environ['OWN']\n" + AGREEING)
    interpreter(foreign, f'OWN=1 exec {sys.executable} "$@"')
    assert ask(foreign, "check")[0] == 0
    code, said = ask(foreign, "check", "--python", sys.executable)
    assert code == 2
    assert "KeyError: 'OWN'" in said
    code, said = ask(foreign, "check", "--python", "nowhere/python")
    assert (code, said) == (
        2,
        "There is no interpreter nowhere/python; --python takes the path of one.\n",
    )


OLDER = """
shift; code=$1; shift
exec {python} -c "import sys; sys.version_info = (3, 9, 20)
$code" "$@"
"""


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (OLDER, "is Python 3.9, and 3.11 or newer is needed"),
        ('exec {python} -S "$@"', "has no sqlalchemy"),
    ],
)
def test_an_interpreter_that_will_not_do_is_named(
    foreign: Foreign, script: str, sentence: str
) -> None:
    interpreter(foreign, script.format(python=sys.executable))
    code, said = ask(foreign, "check")
    assert code == 2
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_a_project_is_run_in_the_current_folder_with_arguments_as_by_alembic(
    foreign: Foreign,
) -> None:
    (foreign.folder / "config").mkdir()
    foreign.ini.rename(foreign.folder / "config" / "alembic.ini")
    told = 'context.get_x_argument(as_dictionary=True)["table"], target_'
    foreign.write("migrations/env.py", ENV.replace("target_", "version_table=" + told))
    code, said = ask(foreign, "check", "-c", "config/alembic.ini", "-x", "table=v")
    assert code == 0, said


def test_an_error_shows_where_it_comes_from_in_the_project(foreign: Foreign) -> None:
    foreign.write("models.py", "import no_such_thing\n")
    code, said = ask(foreign, "check", "--traceback")
    assert code
    assert f'File "{foreign.folder}/models.py", line 1' in said


CONFIGURED = ENV.replace(
    f'sa.create_engine("{NOWHERE}")',
    "sa.engine_from_config(context.config.get_section(context.config.config_ini_section))",
)


def test_a_configuration_for_development_on_sqlite_is_led_to_postgresql(foreign: Foreign) -> None:
    foreign.ini.write_text(INI + "sqlalchemy.url = sqlite:///development.db\n")
    foreign.write("migrations/env.py", CONFIGURED)
    code, said = ask(foreign, "check")
    assert code == 0, said
    assert not (foreign.folder / "development.db").exists()


def test_what_the_projects_own_command_does_first_is_one_line(foreign: Foreign) -> None:
    foreign.write("application.py", "engine = None\n")
    env = ENV.replace("engine = ", "from application import engine #")
    foreign.write("migrations/env.py", env)
    assert ask(foreign, "check")[0] == 2
    code = f'import application, models; application.engine = models.sa.create_engine("{NOWHERE}")'
    assert ask(foreign, "check", "--prepare", code)[0] == 0
    foreign.write("pyproject.toml", f"[tool.project.schema]\nprepare = '{code}'\n")
    for verb in ("check", "roundtrip"):
        assert ask(foreign, verb)[0] == 0
    _, said = ask(foreign, "check", "--prepare", "1 / 0")
    sentence = "what prepares the project fails: ZeroDivisionError: division by zero."
    assert said == f"Cannot read the migrations: {sentence}\n"


def test_a_history_that_begins_with_tables_made_by_others_is_told_of_them(
    foreign: Foreign,
) -> None:
    altering = REVISION.replace(
        'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))',
        'op.add_column("one", sa.Column("note", sa.Text))',
    ).replace('op.drop_table("{name}")', 'op.drop_column("one", "note")')
    foreign.revision("one", text=altering)
    foreign.write("models.py", AGREEING.replace("=True)", '=True), sa.Column("note", sa.Text)', 1))
    assert ask(foreign, "check")[0] == 2
    foreign.write("first.sql", "\\restrict x\nCREATE TABLE one (id serial PRIMARY KEY);\n")
    foreign.write("pyproject.toml", '[tool.project.schema]\nbefore = "first.sql"\n')
    for verb in ("check", "roundtrip"):
        code, said = ask(foreign, verb)
        assert code == 0, said
    foreign.write("first.sql", "CREATE TABLE one (;\n")
    code, said = ask(foreign, "check")
    assert code == 2
    assert 'first.sql cannot be run: syntax error at or near ";".' in said


def check(foreign: Foreign) -> Report:
    return models_against_migrations(Project.load(foreign.ini), foreign.scratch)


def walk(foreign: Foreign) -> Report:
    return roundtrip(Project.load(foreign.ini), foreign.scratch)


def errors(report: Report) -> list[tuple[str, str]]:
    return [(each.code, each.object) for each in report.findings if each.level == "error"]


GIVEN_A_CONNECTION = """
from alembic import context
from models import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise Exception("Use our own command.")
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
"""


def test_an_env_that_insists_on_a_connection_gets_one(foreign: Foreign) -> None:
    foreign.write("migrations/env.py", GIVEN_A_CONNECTION)
    assert check(foreign).findings == walk(foreign).findings == ()
    foreign.revision("one", text=REVISION.replace("op.create_table", "op.no_such_thing"))
    with pytest.raises(SourceError, match=r"revision one .*no_such_thing"):
        check(foreign)


def test_an_env_that_wants_something_of_its_own_in_the_configuration_gets_it(
    foreign: Foreign,
) -> None:
    env = ENV.replace("engine = ", "assert context.config.own == 1\nengine = ")
    foreign.write("migrations/env.py", env)
    with pytest.raises(SourceError, match="no attribute 'own'"):
        check(foreign)
    prepare = "def configure(config): config.own = 1"
    foreign.write("pyproject.toml", f"[tool.project.schema]\nprepare = '{prepare}'\n")
    assert check(foreign).findings == ()


def test_an_env_of_an_asynchronous_server_runs_in_a_thread_of_its_loop(foreign: Foreign) -> None:
    # What AnyIO does is not our concern: here it marks the thread, and the env insists on the mark.
    foreign.write("anyio/__init__.py", "")
    foreign.write(
        "anyio/to_thread.py",
        """
        import asyncio
        inside = False
        async def run_sync(call):
            global inside
            inside = True
            return await asyncio.to_thread(call)
        """,
    )
    insisting = """
class NoEventLoopError(Exception): ...
import anyio.to_thread
if not anyio.to_thread.inside:
    raise NoEventLoopError
"""
    foreign.write("migrations/env.py", insisting + ENV)
    assert check(foreign).findings == walk(foreign).findings == ()


def test_revisions_that_only_env_knows_where_to_find_are_found(foreign: Foreign) -> None:
    one = foreign.folder / "migrations" / "versions" / "one.py"
    (one.parent / "postgresql").mkdir()
    one.rename(one.parent / "postgresql" / "one.py")
    place = f"context.script.version_locations = [{str(one.parent / 'postgresql')!r}]\n"
    foreign.write("migrations/env.py", ENV.replace("engine = ", place + "engine = "))
    assert check(foreign).facts[0] == "1 revisions, head one"
    assert walk(foreign).facts[0].startswith("1 of 1 revisions")


def test_what_env_hides_from_alembic_is_hidden_and_counted(foreign: Foreign) -> None:
    foreign.revision("legacy", "one")
    foreign.revision("temporary", "legacy")
    models = AGREEING.replace("primary_key=True)", "primary_key=True), sa.Column('own', sa.Text)")
    foreign.write("models.py", models)
    everything = [
        ("column-missing", "column public.one.own"),
        ("table-unexpected", "table public.legacy"),
        ("table-unexpected", "table public.temporary"),
    ]
    assert errors(check(foreign)) == everything
    filters = """
def by_name(name, type_, parents):
    return not (type_ == "table" and name == "temporary")

def by_object(object, name, type_, reflected, other):
    assert object.name == name
    return not (type_ == "table" and reflected and other is None) and name != "own"
"""
    given = "target_metadata=Base.metadata, include_name=by_name, include_object=by_object"
    env = ENV.replace("target_metadata=Base.metadata", given)
    foreign.write("migrations/env.py", filters + env)
    report = check(foreign)
    assert errors(report) == []
    assert report.facts[-1] == (
        "3 differences are hidden by include_object and include_name of env.py"
    )
    foreign.write("migrations/env.py", filters.replace('and name != "own"', "") + env)
    assert errors(check(foreign)) == everything[:1]


def test_an_index_that_postgresql_refuses_does_not_end_the_check(foreign: Foreign) -> None:
    index = 'sa.Index("by_id", one.c.id, postgresql_using="gin")\n'
    foreign.write("models.py", AGREEING + index + 'sa.Index("more", one.c.id)\n')
    assert errors(check(foreign)) == [
        ("index-refused", "index public.one.by_id"),
        ("index-missing", "index public.one.more"),
    ]


def test_an_env_that_knows_no_models_is_a_sentence(foreign: Foreign) -> None:
    foreign.write("models.py", AGREEING.partition("one = ")[0])
    with pytest.raises(UsageError, match="has no tables, so there is nothing to compare"):
        check(foreign)
    # Alembic sees the models that a revision imports.
    elsewhere = AGREEING[AGREEING.index("one = ") :].replace("Base", "models.Base")
    foreign.write("elsewhere.py", f"import models\nimport sqlalchemy as sa\n{elsewhere}")
    foreign.revision(
        "one", text=REVISION.replace("import sqlalchemy", "import elsewhere, sqlalchemy")
    )
    assert check(foreign).findings == ()


def test_a_change_of_rows_needs_no_downgrade_and_one_of_the_schema_does(foreign: Foreign) -> None:
    upgrade = REVISION.partition("def upgrade")[0] + "def upgrade():\n    "
    for name, down, work, downgrade in (
        ("rows", "one", 'op.execute("UPDATE one SET id = id")', "def downgrade(): pass"),
        (
            "schema",
            "rows",
            'op.execute("ALTER TABLE one ADD IF NOT EXISTS x int")',
            "def downgrade(): pass",
        ),
        ("none", "schema", 'op.execute("ALTER TABLE one DROP x")', ""),
    ):
        foreign.revision(name, down, f"{upgrade}{work}\n\n{downgrade}\n")
    said = [("no-downgrade", "revision schema"), ("no-downgrade", "revision none")]
    assert errors(check(foreign)) == said
    assert errors(walk(foreign)) == said


def test_a_walk_goes_on_after_a_revision_that_cannot_be_undone_or_done_again(
    foreign: Foreign,
) -> None:
    down = 'op.drop_table("{name}")'
    foreign.revision("two", "one", REVISION.replace(down, "op.no_such_thing()"))
    enum = """
def upgrade():
    sa.Enum("a", name="kind").create(op.get_bind())
    op.add_column("one", sa.Column("kind", sa.Enum(name="kind", create_type=False)))

def downgrade():
    op.drop_column("one", "kind")
"""
    head = REVISION.partition("def upgrade")[0]
    foreign.revision("three", "two", head + enum)
    required = 'op.add_column("one", sa.Column("x", sa.Text, nullable=False))'
    adding = (
        f"\ndef upgrade():\n    {required}\n\ndef downgrade():\n    op.drop_column('one', 'x')\n"
    )
    foreign.revision("four", "three", head + adding)
    foreign.revision("five", "four")
    report = walk(foreign)
    assert errors(report) == [
        ("downgrade-failed", "revision two"),
        ("not-restored", "enum public.kind"),
        ("second-upgrade-failed", "revision three"),
        ("upgrade-failed", "revision four"),
    ]
    assert "fails with rows in the tables: " in report.findings[-1].message
    assert report.facts == ("5 of 5 revisions proved with rows in the tables (seed 1)",)


def test_an_upgrade_that_fails_alone_and_not_together_is_told_apart(foreign: Foreign) -> None:
    # Within one command SQLAlchemy creates a type once, however many tables have it.
    column = 'sa.Column("kind", sa.Enum("a", name="kind"))'
    text = REVISION.replace("primary_key=True)", f"primary_key=True), {column}")
    text = text.replace('op.drop_table("{name}")', 'op.drop_table("{name}")\n    {drop}')
    for name, before in (("two", "one"), ("three", "two"), ("four", "three")):
        drop = "op.execute('DROP TYPE kind')" if name == "two" else ""
        written = text if name != "four" else REVISION
        foreign.revision(name, before, written.replace("{drop}", drop))
    report = walk(foreign)
    assert errors(report) == [("upgrade-failed", "revision three")]
    assert "in a run of its own, though not in one together" in report.findings[0].message
    assert report.facts[0].startswith("4 of 4")


def test_a_null_that_not_null_replaced_is_no_loss(foreign: Foreign) -> None:
    noted = REVISION.replace("primary_key=True)", 'primary_key=True), sa.Column("note", sa.Text)')
    foreign.revision("one", text=noted)
    head = REVISION.partition("def upgrade")[0]
    work = """
def upgrade():
    op.execute("UPDATE one SET note = '' WHERE note IS NULL")
    op.alter_column("one", "note", nullable=False)

def downgrade():
    op.alter_column("one", "note", nullable=True)
"""
    foreign.revision("two", "one", head + work)
    report = walk(foreign)
    assert [(each.level, each.code) for each in report.findings] == [("note", "nulls-filled")]
    foreign.revision("two", "one", (head + work).replace("WHERE note IS NULL", ""))
    assert ("rows-lost", "column public.one.note") in errors(walk(foreign))


def test_what_a_column_holds_can_be_told(foreign: Foreign) -> None:
    noted = REVISION.replace("primary_key=True)", 'primary_key=True), sa.Column("json", sa.Text)')
    foreign.revision("one", text=noted)
    head = "import json\n" + REVISION.partition("def upgrade")[0]
    work = """
def upgrade():
    for (text,) in op.get_bind().execute(sa.text("SELECT json FROM one")).fetchall():
        text is None or json.loads(text)

def downgrade(): pass
"""
    foreign.revision("two", "one", head + work)
    assert errors(walk(foreign)) == [("upgrade-failed", "revision two")]
    told = """[tool.project.schema.values]\n"public.*.json" = ['{"a": 1}', "[]"]\n"""
    foreign.write("pyproject.toml", told)
    assert errors(walk(foreign)) == []
