"""How the command is told what a project of somebody else's needs."""

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa

from project.database import ROOT
from project.schema import command
from project.schema.worker.given import DRIVERS, possibilities

from .conftest import secret
from .foreign import AGREEING, ENV, INI, NOWHERE, REVISION, Foreign, project


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


#: What SQLAlchemy 2 says at its top that 1.4 says in ``sqlalchemy.engine`` and elsewhere only.
SINCE_2 = (
    *("Connection", "CursorResult", "Dialect", "Engine", "ExecutionContext", "Inspector", "Pool"),
    *("NullPool", "Result", "Row", "Transaction", "URL", "make_url"),
)

WITHOUT = """
shift; code=$1; shift
exec {python} -c "import sqlalchemy
for name in {names}: delattr(sqlalchemy, name)
from sqlalchemy.engine import reflection
del reflection.Inspector.has_schema
$code" "$@"
"""


def test_what_works_for_a_project_needs_no_word_that_sqlalchemy_1_4_lacks(
    foreign: Foreign,
) -> None:
    interpreter(foreign, WITHOUT.format(python=sys.executable, names=SINCE_2))
    apart = 'version_table_schema="apart", target_'
    foreign.write("migrations/env.py", ENV.replace("target_", apart))
    for verb in ("roundtrip", "review"):
        code, said = ask(foreign, verb)
        assert code == 0, said


def test_the_drivers_of_sqlalchemy_1_4_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dialect:
        is_async = False

        @staticmethod
        def dbapi() -> None:
            """Import the driver, as 2.0 does under another name."""

    monkeypatch.setattr(sa.URL, "get_dialect", lambda _: Dialect)
    assert {given.driver for given in possibilities()} == {None, *DRIVERS}


def test_a_project_is_run_in_the_current_folder_with_arguments_as_by_alembic(
    foreign: Foreign,
) -> None:
    (foreign.folder / "config").mkdir()
    foreign.ini.rename(foreign.folder / "config" / "alembic.ini")
    told = 'context.get_x_argument(as_dictionary=True)["table"], target_'
    foreign.write("migrations/env.py", ENV.replace("target_", "version_table=" + told))
    code, said = ask(foreign, "check", "-c", "config/alembic.ini", "-x", "table=v")
    assert code == 0, said


def test_a_mistake_of_our_own_is_a_sentence_and_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "ask", lambda _: 1 / 0)
    assert command.main(["check"]) == 2
    assert "A mistake of project.schema's own" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        command.main(["check", "--traceback"])


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


def test_a_configuration_beside_env_may_leave_its_folder_to_flask_migrate(
    foreign: Foreign,
) -> None:
    foreign.write("migrations/alembic.ini", "[alembic]\n[loggers]\nkeys = root\n")
    foreign.ini.unlink()
    code, said = ask(foreign, "check", "-c", "migrations/alembic.ini")
    assert code == 0, said


def test_a_history_that_begins_with_tables_made_by_others_is_told_of_them(
    foreign: Foreign,
) -> None:
    altering = REVISION.replace(
        'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))',
        'op.add_column("one", sa.Column("note", sa.Text))',
    ).replace('op.drop_table("{name}")', 'op.drop_column("one", "note")')
    foreign.revision("one", text=altering)
    foreign.write("models.py", AGREEING.replace("=True)", '=True), sa.Column("note", sa.Text)', 1))
    code, said = ask(foreign, "check")
    assert code == 2
    assert said.endswith(
        'relation "one" does not exist; if the history begins on tables that it did not make,'
        " make those with --before.\n"
    )
    code, said = ask(foreign, "roundtrip")
    assert code == 1
    assert "make those with --before" in said
    foreign.write("first.sql", "\\restrict x\nCREATE TABLE one (id serial PRIMARY KEY);\n")
    foreign.write("pyproject.toml", '[tool.project.schema]\nbefore = "first.sql"\n')
    for verb in ("check", "roundtrip"):
        code, said = ask(foreign, verb)
        assert code == 0, said
    foreign.write("first.sql", "CREATE TABLE one (;\n")
    code, said = ask(foreign, "check")
    assert code == 2
    assert 'first.sql cannot be run: syntax error at or near ";".' in said


def test_who_interrupts_before_it_has_begun_gets_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Late(ModuleType):
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "project.schema.command", Late("project.schema.command"))
    monkeypatch.setattr(sys, "argv", ["project.schema", "--python", sys.executable])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("project.schema", run_name="__main__")
    assert (ended.value.code, capsys.readouterr().err) == (2, "Interrupted.\n")
