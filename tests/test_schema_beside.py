"""Two that walk a history beside each other find what one alone finds."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from project.database import ROOT
from project.schema.configuration import Project
from project.schema.finding import Report
from project.schema.source import Revision
from project.schema.walking import beside
from project.schema.walking.roundtrip import roundtrip
from project.schema.walking.stretch import Stretch
from project.schema.walking.walk import Walk

from .conftest import execute, secret, until
from .foreign import REVISION, Foreign, project

#: What a revision does, up and down, and so what is to be said of it.
FAULTS = {
    "nothing is wrong": ("pass", "pass"),
    "a table is left behind": ('op.execute("CREATE TABLE left_over (id int)")', "pass"),
    "a column is lost": (
        'op.execute("ALTER TABLE one ADD x int DEFAULT 1")',
        'op.execute("ALTER TABLE one DROP x; ALTER TABLE one DROP text")',
    ),
    "values are lost": (
        "op.execute(\"UPDATE one SET text = ''\")",
        "op.execute(\"UPDATE one SET text = 'x'\")",
    ),
    "the downgrade fails": ('op.execute("CREATE TABLE {name} (id int)")', 'op.execute("SELEKT")'),
    "it cannot be undone": (
        'op.execute("ALTER TABLE one ALTER text TYPE varchar")',
        'raise NotImplementedError("never")',
    ),
    "rows are refused": ('op.execute("ALTER TABLE one ADD y int NOT NULL")', "pass"),
    "rows are refused as declared": (
        'op.execute("CREATE UNIQUE INDEX u ON one ((true))")  # assumes: one row',
        'op.execute("DROP INDEX u")',
    ),
    "it works once": ('op.execute("CREATE TYPE kind AS ENUM ()")', 'op.execute("SELECT 1")'),
    "it works never": ('op.execute("SELEKT")', "pass"),
}

BODY = """
def upgrade():
    {up}

def downgrade():
    {down}
"""

NUMBER = 6


@pytest.fixture
def foreign(tmp_path: Path, scratch_server: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, scratch_server) as made:
        first = REVISION.replace("True))", 'True), sa.Column("text", sa.Text))')
        made.revision("one", None, first)
        for number in range(1, NUMBER):
            made.revision(f"r{number}", f"r{number - 1}" if number > 1 else "one")
        yield made


def put(foreign: Foreign, place: int, fault: str) -> None:
    name = f"r{place}"
    up, down = (line.format(name=name) for line in FAULTS[fault])
    head = REVISION.partition("def upgrade")[0]
    text = head.format(name=name, down=f"r{place - 1}" if place > 1 else "one")
    foreign.write(f"migrations/versions/{name}.py", text + BODY.format(up=up, down=down))


def walked(foreign: Foreign, walks: int) -> Report:
    return roundtrip(Project.load(foreign.ini), foreign.scratch, rows_per_table=3, walks=walks)


@pytest.mark.sample(4)
@pytest.mark.parametrize("place", [2, NUMBER - 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_two_find_what_one_finds(foreign: Foreign, fault: str, place: int) -> None:
    put(foreign, place, fault)
    alone = walked(foreign, 1)
    assert (fault == "nothing is wrong") == (not alone.findings)
    assert walked(foreign, 2) == alone


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Stretch | None]:
    """What the second ones of the walks have found, where it was taken from them."""
    collected: list[Stretch | None] = []
    rest = beside.Second.rest

    def noted(second: beside.Second, first: Walk) -> Stretch | None:
        collected.append(rest(second, first))
        return collected[-1]

    monkeypatch.setattr(beside.Second, "rest", noted)
    return collected


def test_the_second_one_proves_its_part(foreign: Foreign, taken: list[Stretch | None]) -> None:
    put(foreign, 1, "values are lost")  # after which a walk goes on as if they were not
    put(foreign, NUMBER - 1, "values are lost")
    report = walked(foreign, 2)
    assert report.facts[0].startswith(f"{NUMBER} of {NUMBER} revisions proved")
    [stretch] = taken
    assert stretch is not None
    assert [finding.code for finding in stretch.findings] == ["rows-lost"]
    assert stretch.proved == 3


def test_what_went_otherwise_in_the_first_part_is_not_taken_from_the_second(
    foreign: Foreign, taken: list[Stretch | None]
) -> None:
    put(foreign, 1, "it works once")
    walked(foreign, 2)
    assert taken == [None]


def test_the_first_one_is_told_of_what_the_second_one_proves(foreign: Foreign) -> None:
    told: list[int] = []
    numbers: set[int] = set()

    def note(done: int, number: int, _: str) -> None:
        told.append(done)
        numbers.add(number)

    roundtrip(Project.load(foreign.ini), foreign.scratch, walks=2, progress=note)
    assert (told, numbers) == (list(range(NUMBER)), {NUMBER})


@pytest.mark.parametrize(
    ("line", "alone"),
    [
        ("CREATE ROLE app", True),
        ("drop user if exists app", True),
        ("ALTER TABLESPACE fast RENAME TO slow", True),
        ("'''Create user table.'''", False),
        ("CREATE TABLE role (id int)", False),
    ],
)
def test_what_belongs_to_all_databases_is_walked_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, *, alone: bool
) -> None:
    monkeypatch.setattr(beside, "_cores", lambda: 2)
    path = tmp_path / "revision.py"
    path.write_text(line)
    way = [revision(str(number), path) for number in range(beside.LONG)]
    begins = beside.part(way, {each.revision for each in way}, None)
    assert (begins == len(way)) == alone
    assert beside.part(way[1:], {each.revision for each in way[1:]}, None) == len(way) - 1
    monkeypatch.setattr(beside, "_cores", lambda: 1)
    assert beside.part(way, {each.revision for each in way}, None) == len(way)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_whoever_stops_two_finds_nothing_left_behind(
    foreign: Foreign, stop: signal.Signals
) -> None:
    """Both are in the middle of a migration, which would last."""
    for number in range(NUMBER, beside.LONG):
        foreign.revision(f"r{number}", f"r{number - 1}")
    lasting = foreign.folder / "migrations" / "versions" / "r1.py"
    text = lasting.read_text()
    sleep = 'def upgrade():\n    op.execute("SELECT pg_sleep(600)")\n'
    lasting.write_text(text.replace("def upgrade():\n", sleep, 1))
    process = subprocess.Popen(
        [sys.executable, "-m", "project.schema", "roundtrip"],
        cwd=foreign.folder,
        env={
            "SCRATCH_DATABASE_URL": secret(foreign.scratch),
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    mine = f"datname LIKE 'scratch%\\_{process.pid}\\_%'"
    sleeping = f"SELECT count(*) FROM pg_stat_activity WHERE {mine} AND query ~ 'pg_sleep'"
    walks = min(2, beside._cores())  # noqa: SLF001

    async def all_sleep() -> bool:
        return execute(foreign.scratch, sleeping) == [(walks,)]

    await until(all_sleep)
    assert at_work(foreign.folder)
    process.send_signal(stop)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (2, "Interrupted.\n")
    assert execute(foreign.scratch, f"SELECT count(*) FROM pg_database WHERE {mine}") == [(0,)]

    async def none_works() -> bool:
        return not at_work(foreign.folder)

    await until(none_works)


def at_work(folder: Path) -> list[str]:
    """The processes that run in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if place.readlink() == folder.resolve():
                found.append(place.parent.name)
    return found


def revision(name: str, path: Path) -> Revision:
    return Revision(
        name,
        (),
        (),
        (),
        path,
        "",
        has_downgrade=True,
        downgrade_raises=False,
        empty_downgrade=False,
    )
