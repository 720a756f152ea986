"""A walk goes through every history there is, as fast as it may and no faster."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from project import embedded
from project.database import ROOT
from project.schema.checking.drift import models_against_migrations
from project.schema.configuration import Project, UsageError
from project.schema.finding import Report
from project.schema.progress import shown
from project.schema.scratch import ScratchError
from project.schema.selection import Selection
from project.schema.source import SourceError
from project.schema.walking.roundtrip import roundtrip

from .conftest import execute, secret
from .foreign import ENV, REVISION, Foreign, project, relations

#: Says how often it ran.
COUNTING = """
with open("runs", "a") as file:
    file.write("run\\n")
"""

Walk = Callable[..., Report]


@pytest.fixture
def foreign(tmp_path: Path, empty_database: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, empty_database) as made:
        made.write("migrations/env.py", COUNTING + ENV)
        yield made


@pytest.fixture
def walk(foreign: Foreign, scratch_server: sa.URL) -> Walk:
    def go(*names: str, rows: int = 2) -> Report:
        (foreign.folder / "runs").unlink(missing_ok=True)
        only = Selection(names)
        return roundtrip(Project(foreign.ini), scratch_server, only=only, rows_per_table=rows)

    return go


def runs(foreign: Foreign) -> int:
    return len((foreign.folder / "runs").read_text().splitlines())


def errors(report: Report) -> list[str]:
    return [f"{f.code} {f.object} {f.message}" for f in report.findings if f.level == "error"]


def test_plain_steps_share_a_run_of_env(foreign: Foreign, walk: Walk) -> None:
    foreign.revision("two", "one")
    foreign.revision("three", "two")
    assert errors(walk()) == []
    # One to look at the models, one that shows what env.py does, one for eight steps, and base.
    assert runs(foreign) == 4


def test_a_project_without_models_is_walked(foreign: Foreign, walk: Walk) -> None:
    foreign.write("migrations/env.py", COUNTING + ENV.replace("Base.metadata", "None"))
    assert errors(walk()) == []


#: What env.py does besides running migrations, and what a migration leaves in the session.
ALONE = {
    "env.py sets something": ("migrations/env.py", "    context.conf", "    {}\n    context.conf"),
    "env.py adds something": ("migrations/env.py", "run_migrations()", "run_migrations()\n    {}"),
}
SAYS = 'connection.exec_driver_sql("SET lock_timeout = 1000"); connection.commit()'


@pytest.mark.parametrize(("file", "old", "new"), ALONE.values(), ids=list(ALONE))
def test_an_env_that_speaks_to_the_server_runs_for_every_step(
    foreign: Foreign, walk: Walk, file: str, old: str, new: str
) -> None:
    path = foreign.folder / file
    path.write_text(path.read_text().replace(old, new.format(SAYS)))
    assert errors(walk()) == []
    assert runs(foreign) == 5


def test_the_transaction_of_env_is_left_to_it(foreign: Foreign, walk: Walk) -> None:
    env = ENV.replace("engine.connect()", "engine.begin()")
    foreign.write("migrations/env.py", COUNTING + env)
    assert errors(walk()) == []
    assert runs(foreign) == 5


LEAVING = {
    "a setting": "SET lock_timeout = 1000",
    "a setting in a script": "COMMENT ON TABLE two IS NULL; SET lock_timeout = 1000",
    "a function's setting": "SELECT set_config('lock_timeout', '1000', false)",
    "a temporary table": "CREATE TEMPORARY TABLE leftover (id int)",
}

#: Divides by zero if the session is not as it began.
NOTHING_LEFT = """upgrade():
    op.execute(
        "SELECT 1 / (current_setting('lock_timeout') = '0'"
        " AND to_regclass('pg_temp.leftover') IS NULL)::int"
    )"""


@pytest.mark.parametrize("statement", LEAVING.values(), ids=list(LEAVING))
def test_what_a_migration_leaves_in_its_session_reaches_no_other(
    foreign: Foreign, walk: Walk, statement: str
) -> None:
    leaving = f'    op.execute("{statement}")\n\ndef downgrade'
    foreign.revision("two", "one", REVISION.replace("\ndef downgrade", leaving))
    foreign.revision("three", "two", REVISION.replace("upgrade():", NOTHING_LEFT))
    assert errors(walk()) == []


@pytest.mark.parametrize("option", ["transaction_per_migration=True", "transactional_ddl=False"])
def test_steps_are_committed_whatever_the_transaction(
    foreign: Foreign, walk: Walk, option: str
) -> None:
    foreign.write("migrations/env.py", COUNTING + ENV.replace("target_", f"{option}, target_"))
    concurrently = """
    with op.get_context().autocommit_block():
        op.create_index("i", "{down}", ["id"], postgresql_concurrently=True)

def downgrade():
    with op.get_context().autocommit_block():
        op.drop_index("i", "{down}", postgresql_concurrently=True)
"""
    foreign.revision("two", "one", REVISION.replace("\ndef downgrade():\n", concurrently))
    foreign.revision("three", "two")
    assert errors(walk()) == []


def test_a_failing_step_is_undone_and_the_next_one_has_a_run_of_its_own(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    foreign.revision("two", "one")
    foreign.revision(
        "bad", "two", REVISION.replace('op.drop_table("{name}")', "op.execute('SELEKT')")
    )
    source = foreign.open()
    for revision in ("one", "two", "bad"):
        source.step_up(empty_database, revision)
    with pytest.raises(SourceError, match=r"Cannot downgrade bad: revision bad .* syntax error"):
        source.step_down(empty_database, "bad")
    assert execute(empty_database, "SELECT * FROM alembic_version") == [("bad",)]
    source.stamp(empty_database, "two")
    source.step_down(empty_database, "two")
    assert "public.two r" not in relations(empty_database)


def test_an_env_that_runs_migrations_several_times_is_run_for_every_step(
    foreign: Foreign, walk: Walk
) -> None:
    foreign.write(
        "migrations/env.py",
        COUNTING
        + """
import sqlalchemy as sa
from alembic import context
from models import Base

engine = sa.create_engine("postgresql+psycopg://somebody@localhost:1/nowhere")
for table in ("first_version", "second_version"):
    with engine.connect() as connection:
        context.configure(connection, target_metadata=Base.metadata, version_table=table)
        with context.begin_transaction():
            context.run_migrations()
""",
    )
    tolerant = REVISION.replace("True))", "True), if_not_exists=True)")
    foreign.revision("one", None, tolerant.replace('"{name}")\n', '"{name}", if_exists=True)\n'))
    walk()
    # For each of two steps up and one down, for the models, and down to base.
    assert runs(foreign) == 5


#: A diamond whose sides know nothing of each other, another base, and a branch that needs both.
DIAMOND = {
    "left": "one",
    "right": "one",
    "merged": ("left", "right"),
    "other": None,
    "after": "other",
}


@pytest.fixture
def branched(foreign: Foreign) -> Foreign:
    for name, down in DIAMOND.items():
        foreign.revision(name, down)
    path = foreign.folder / "migrations" / "versions" / "after.py"
    needs = 'depends_on = "merged"\nbranch_labels = ("side",)\n'
    path.write_text(path.read_text().replace("down_revision", f"{needs}down_revision"))
    return foreign


def test_branches_merges_bases_and_dependencies_are_walked(branched: Foreign, walk: Walk) -> None:
    report = walk()
    assert errors(report) == []
    assert report.facts[0].startswith("6 of 6 revisions proved")
    # All but the first step, which shows what env.py does, and the last command; and the branches
    # of the merge the other way round, after which the steps share another run.
    assert runs(branched) == 8


def test_a_merge_whose_branches_make_something_else_in_another_order_is_found(
    foreign: Foreign, walk: Walk
) -> None:
    head = REVISION.partition("def upgrade")[0]
    for name in ("left", "right"):
        body = f"""
def upgrade():
    op.execute("CREATE TABLE IF NOT EXISTS shared (by_{name} int)")

def downgrade():
    op.execute("DROP TABLE IF EXISTS shared")
"""
        foreign.revision(name, "one", head + body)
    nothing = head + "\ndef upgrade(): pass\n\ndef downgrade(): pass\n"
    foreign.revision("merged", ("left", "right"), nothing)
    found = {(each.code, each.object) for each in walk().findings}
    assert ("order-matters", "column public.shared.by_left") in found
    assert ("order-matters", "column public.shared.by_right") in found


@pytest.mark.parametrize("broken", [*DIAMOND, "one"])
def test_a_broken_downgrade_is_found_wherever_it_is(
    branched: Foreign, walk: Walk, broken: str
) -> None:
    path = branched.folder / "migrations" / "versions" / f"{broken}.py"
    path.write_text(path.read_text().replace(f'op.drop_table("{broken}")', "pass"))
    found = errors(walk())
    assert f"not-restored table public.{broken}" in found or f"{broken}" in " ".join(found)


RETYPED = """
'''Widen, and replace a function.'''
import sqlalchemy as sa
from alembic import op

revision = "wide"
down_revision = "listed"

HEAD = "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE plpgsql AS"
FUNCTION = HEAD + " $$BEGIN RETURN 1; END$$"

def upgrade():
    op.alter_column("listed", "name", type_=sa.Text())
    op.execute(FUNCTION.replace("1;", "1 + 0;"))

def downgrade():
    op.alter_column("listed", "name", type_=sa.String(9))
    op.execute(FUNCTION.replace("RETURN 1;", "\\n        RETURN 1;"))
    {also}
"""

LISTED = """
'''Make a table with a check that lists values.'''
import sqlalchemy as sa
from alembic import op

revision = "listed"
down_revision = "one"

def upgrade():
    op.execute("CREATE FUNCTION one() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN 1; END$$")
    op.execute("CREATE TABLE listed (name varchar(9) CHECK (name IN ('a', 'b')), n int)")
    op.execute("CREATE INDEX by_n ON listed (n) WHERE n > 0 AND name <> 'c'")
    op.execute("CREATE VIEW few AS SELECT n FROM listed WHERE n < 3")

def downgrade():
    op.execute("DROP VIEW few; DROP TABLE listed; DROP FUNCTION one")
"""


def test_what_the_server_reads_alike_is_restored(foreign: Foreign, walk: Walk) -> None:
    """A type that is changed back leaves casts in a check, which no downgrade takes away."""
    foreign.revision("listed", text=LISTED)
    foreign.revision("wide", text=RETYPED.format(also=""))
    assert walk().findings == ()
    also = """op.execute("DROP VIEW few; DROP INDEX by_n; ALTER TABLE listed RENAME n TO m")
    op.execute("CREATE INDEX by_n ON listed (m) WHERE m > 0 AND name <> 'c'")
    op.execute("CREATE VIEW few AS SELECT m AS n FROM listed WHERE m < 4")"""
    foreign.revision("wide", text=RETYPED.format(also=also))
    assert {each.object for each in walk().findings} == {
        "column public.listed.m",
        "column public.listed.n",
        "index public.listed.by_n",
        "view public.few",
    }


BRANCH = """
'''One of two.'''
from alembic import op

revision = "{name}"
down_revision = {down!r}

def upgrade():
    op.execute("ALTER TABLE listed {up}")

def downgrade():
    op.execute("ALTER TABLE listed {back}")
"""


def test_casts_that_tell_in_which_order_branches_ran_are_none_of_theirs(
    foreign: Foreign, walk: Walk
) -> None:
    up, back = "ALTER name TYPE text", "ALTER name TYPE varchar(9)"
    check = "ADD CONSTRAINT few CHECK (name IN ('a', 'b'))"
    foreign.revision("listed", text=LISTED)
    foreign.revision("left", "listed", BRANCH.replace("{up}", up).replace("{back}", back))
    added = BRANCH.replace("{up}", check).replace("{back}", "DROP CONSTRAINT few")
    foreign.revision("right", "listed", added)
    foreign.revision("both", ("left", "right"))
    assert walk().findings == ()


def test_a_downgrade_that_rows_of_later_revisions_stop_is_noted_of_its_own_file(
    foreign: Foreign, walk: Walk
) -> None:
    dropped = 'op.drop_table("{name}")'
    emptied = "op.execute('ALTER TABLE two ADD CHECK (id IS NULL)')\n    " + dropped
    foreign.revision("two", "one", REVISION.replace(dropped, emptied))
    foreign.revision("three", "two")
    (found,) = walk().findings
    assert (found.code, found.level) == ("downgrade-refused", "note")
    assert found.object == "revision two"
    assert found.path == "migrations/versions/two.py"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("merged", {"merged"}),
        ("merg", {"merged"}),
        ("merged..", {"other", "after"}),
        ("..right", {"one", "right"}),
        ("one..merged", {"left", "right", "merged"}),
        ("left..merged", {"one", "right", "merged"} - {"one"}),
        ("side@head", {"after"}),
        ("other+1", {"after"}),
        ("..", {"one", "left", "right", "merged", "other", "after"}),
    ],
)
def test_a_revision_or_a_range_is_named_as_alembic_takes_it(
    branched: Foreign, name: str, meant: set[str]
) -> None:
    assert set(branched.open().select(name)) == meant


@pytest.mark.usefixtures("branched")
def test_only_what_is_named_is_proved(walk: Walk) -> None:
    report = walk("one..merged", "other")
    assert report.facts[0].startswith("4 of 5 revisions proved")
    with pytest.raises(SourceError, match="Cannot find the revision nowhere: No such revision"):
        walk("nowhere")
    with pytest.raises(UsageError, match=r"There is no revision in merged\.\.one"):
        walk("merged..one")


def command(
    foreign: Foreign, server: sa.URL, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "project.schema", *arguments],
        cwd=foreign.folder,
        env={"SCRATCH_DATABASE_URL": secret(server), "HOME": "/nowhere", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )


def test_all_and_some_at_once_cannot_be_asked(foreign: Foreign, scratch_server: sa.URL) -> None:
    done = command(foreign, scratch_server, "roundtrip", "--all", "one")
    assert (done.returncode, done.stderr) == (2, "--all or one: name one of them.\n")
    assert command(foreign, scratch_server, "roundtrip", "--all").returncode == 0


#: A slow machine may say how far it is.
PROGRESS = re.compile(r"\d+ of \d+ revisions")

RAISING = """upgrade():
    op.execute(
        "DO $$ BEGIN RAISE 'could not extend file: No space left on device'"
        " USING ERRCODE = 'disk_full'; END $$"
    )"""


@pytest.mark.parametrize("verb", ["check", "roundtrip"])
def test_a_full_disk_is_one_sentence_about_the_server(
    foreign: Foreign, scratch_server: sa.URL, verb: str
) -> None:
    foreign.revision("two", "one", REVISION.replace("upgrade():", RAISING))
    done = command(foreign, scratch_server, verb)
    assert done.returncode == 2
    [said] = [line for line in done.stderr.splitlines() if not PROGRESS.fullmatch(line)]
    assert said.startswith("The disk of the scratch server ")
    assert said.endswith(" is full.")


#: A migration during which the server is stopped at once, as a crash would.
STOPPING = """upgrade():
    import os, signal
    number = open({data!r} + "/postmaster.pid").readline()
    os.kill(int(number), signal.SIGQUIT)
    op.execute("SELECT pg_sleep(60)")
"""


@pytest.mark.parametrize("verb", ["check", "roundtrip"])
def test_a_server_that_dies_is_one_sentence_about_the_server(
    foreign: Foreign, run_folder: Path, verb: str
) -> None:
    folder = run_folder / f"dying{os.getpid()}"
    stopping = STOPPING.format(data=str(folder / "data"))
    foreign.revision("two", "one", REVISION.replace("upgrade():", "upgrade():\n    STOP"))
    path = foreign.folder / "migrations" / "versions" / "two.py"
    path.write_text(path.read_text().replace("upgrade():\n    STOP", stopping))
    with embedded.running(folder, {"fsync": "off"}) as server:
        done = command(foreign, server, verb)
    assert done.returncode == 2
    [said] = [line for line in done.stderr.splitlines() if not PROGRESS.fullmatch(line)]
    assert said.startswith("The scratch server ")
    assert said.endswith(" ended in the middle of the run.")


def test_a_process_that_was_killed_is_the_fault_of_no_revision(
    foreign: Foreign, walk: Walk
) -> None:
    death = "upgrade():\n    import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    foreign.revision("two", "one", REVISION.replace("upgrade():", death))
    with pytest.raises(SourceError, match=r"exit code -15"):
        walk()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_takes_over_a_second_is_a_bar_on_a_terminal_and_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    terminal, log = Terminal(), io.StringIO()
    with shown(terminal) as bar, shown(log) as lines:
        for show in (bar, lines):
            show(0, 4, "a")
        assert (terminal.getvalue(), log.getvalue()) == ("", "")
        now = 10.0
        for show in (bar, lines):
            show(2, 4, "b")
    assert terminal.getvalue().endswith("] 2/4 b\033[K\r\033[K")
    assert log.getvalue() == "2 of 4 revisions\n"


def test_check_tells_how_far_the_history_is(foreign: Foreign, scratch_server: sa.URL) -> None:
    foreign.revision("two", "one")
    told: list[tuple[int, int, str]] = []
    models_against_migrations(
        Project(foreign.ini), scratch_server, progress=lambda *said: told.append(said)
    )
    assert told == [(0, 2, "one"), (1, 2, "two")]


@pytest.mark.parametrize("ask", [models_against_migrations, roundtrip])
def test_an_extension_that_the_scratch_server_lacks_is_no_fault_of_the_revision(
    foreign: Foreign, scratch_server: sa.URL, ask: Callable[[Project, sa.URL], Report]
) -> None:
    create = 'op.execute("CREATE EXTENSION nowhere")\n    op.create'
    foreign.revision("two", "one", REVISION.replace("op.create", create))
    with pytest.raises(ScratchError, match="lacks the extension nowhere: name one that has it, in"):
        ask(Project(foreign.ini), scratch_server)
