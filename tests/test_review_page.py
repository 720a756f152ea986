"""What a reviewer sees: the page in every format, what is accepted, and how large tables are."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from project.database import ROOT
from project.schema import scratch
from project.schema.catalog import read
from project.schema.configuration import Project, UsageError
from project.schema.connections import connected
from project.schema.finding import Finding, Report, Section
from project.schema.report import FORMATS, render
from project.schema.report.markdown import LONGEST, MARK
from project.schema.reviewing.diagram import diagram
from project.schema.reviewing.observe import observe
from project.schema.reviewing.review import review
from project.schema.reviewing.sizes import Sizes, human, load

from .conftest import execute, secret
from .foreign import BESIDE

ENV = """
from alembic import context
from sqlalchemy import create_engine

with create_engine("postgresql://nobody@127.0.0.1:1/nowhere").connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
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
    op.create_index(
        "note_text_idx",
        "note",
        ["text"],
    )

def downgrade():
    op.drop_index("note_text_idx", "note")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "other"
    (made / "versions").mkdir(parents=True)
    (made / "alembic.ini").write_text(BESIDE)
    (made / "env.py").write_text(ENV)
    (made / "versions" / "first.py").write_text(FIRST)
    (made / "versions" / "second.py").write_text(SECOND)
    return made


def reviewed(folder: Path, server: sa.URL, sizes: Sizes | None = None) -> Report:
    return review(Project.load(folder / "alembic.ini"), server, {"second"}, sizes=sizes)


def codes(report: Report) -> list[str]:
    return sorted(finding.code for finding in report.findings)


def test_a_finding_has_the_line_the_evidence_and_the_safe_way(
    folder: Path, scratch_server: sa.URL
) -> None:
    report = reviewed(folder, scratch_server)
    (finding,) = report.findings
    assert (finding.code, finding.level) == ("index-blocks-writes", "error")
    assert (finding.path, finding.line) == ("versions/second.py", 9)
    assert finding.found == "SHARE on note; note has an index built (note_text_idx)"
    assert "postgresql_concurrently=True" in finding.remedy
    assert report.verdict == (
        "Not as it is: it blocks readers or writers while a table is worked on."
    )
    text = render(report, "text")
    assert "Up, down and up again: the catalog and the rows are what they were." in text
    assert "CREATE INDEX note_text_idx ON note (text);" in text
    assert "DROP INDEX note_text_idx;" in text


LINKED = """
from alembic import op
import sqlalchemy as sa

revision = "linked"
down_revision = "first"

def upgrade():
    op.create_table("link", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("link", sa.Column("note_id", sa.Integer(), sa.ForeignKey("note.id")))

def downgrade():
    op.drop_table("link")
"""


def test_a_finding_about_a_new_table_has_the_line_that_caused_it(
    folder: Path, scratch_server: sa.URL
) -> None:
    (folder / "versions" / "linked.py").write_text(LINKED)
    (folder / "versions" / "second.py").write_text(SECOND.replace('"first"', '"linked"'))
    project = Project.load(folder / "alembic.ini")
    report = review(project, scratch_server, {"linked", "second"})
    (finding,) = (f for f in report.findings if f.code == "reference-without-index")
    assert (finding.object, finding.path, finding.line) == ("table link", "versions/linked.py", 10)


def test_the_safe_way_of_a_finding_is_found_safe(folder: Path, scratch_server: sa.URL) -> None:
    (finding,) = reviewed(folder, scratch_server).findings
    second = folder / "versions" / "second.py"
    unsafe = SECOND[SECOND.index("    op.create_index") : SECOND.index("\ndef downgrade")]
    safe = "".join(f"    {line}\n" for line in finding.remedy.splitlines())
    second.write_text(SECOND.replace(unsafe, safe))
    report = reviewed(folder, scratch_server)
    assert [f.code for f in report.findings if f.level != "note"] == []


def test_small_tables_are_no_finding_and_large_ones_say_how_long(
    folder: Path, scratch_server: sa.URL, tmp_path: Path
) -> None:
    file = tmp_path / "sizes.csv"
    file.write_text("table,rows,bytes\npublic.note,9000,100000\n")
    assert codes(reviewed(folder, scratch_server, load(file))) == []
    file.write_text('[{"table": "public.note", "rows": 120000000, "bytes": 9000000000}]')
    (finding,) = reviewed(folder, scratch_server, load(file)).findings
    assert finding.message.endswith("wait, for minutes.")
    assert "120 M rows, 9 GB in production" in finding.found


def test_sizes_that_cannot_be_read_are_an_error_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "sizes.csv"
    file.write_text("name,rows\nnote,1\n")
    with pytest.raises(UsageError, match="table, rows and bytes, as scripts/sizes prints it"):
        load(file)


def test_the_script_prints_the_sizes_that_review_reads(
    empty_database: sa.URL, tmp_path: Path
) -> None:
    execute(
        empty_database,
        "CREATE TABLE many AS SELECT generate_series(1, 1234) AS n",
        "ANALYZE many",
    )
    file = tmp_path / "sizes.csv"
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    printed = subprocess.run(
        [ROOT / "scripts" / "sizes", secret(empty_database)], capture_output=True, check=True
    )
    file.write_bytes(printed.stdout)
    assert load(file).tables["public.many"][0] == 1234


@pytest.mark.parametrize(
    ("number", "written"), [(7, "7"), (999, "999"), (12_345, "12.3 k"), (120_000_000, "120 M")]
)
def test_a_number_is_written_in_three_digits(number: int, written: str) -> None:
    assert human(number) == written


DAY = timedelta(days=2)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("index-blocks-writes because it is small", ["note index-blocks-writes"]),
        (
            f"index-blocks-writes because it is small (until {datetime.now(UTC) + DAY:%Y-%m-%d})",
            ["note index-blocks-writes"],
        ),
        (
            f"index-blocks-writes because it is small (until {datetime.now(UTC) - DAY:%Y-%m-%d})",
            ["error acceptance-expired", "error index-blocks-writes"],
        ),
        ("index-blocks-writes", ["error accepted-without-reason", "error index-blocks-writes"]),
        ("table-lost because of age", ["error acceptance-unused", "error index-blocks-writes"]),
    ],
)
def test_a_finding_is_accepted_in_the_revisions_file(
    folder: Path, scratch_server: sa.URL, comment: str, expected: list[str]
) -> None:
    (folder / "versions" / "second.py").write_text(f"# review: ignore {comment}\n{SECOND}")
    report = reviewed(folder, scratch_server)
    assert sorted(f"{finding.level} {finding.code}" for finding in report.findings) == expected


def test_a_code_can_be_turned_off_for_a_project(folder: Path, scratch_server: sa.URL) -> None:
    settings = folder / "pyproject.toml"
    settings.write_text('[tool.project.schema.review.levels]\nindex-blocks-writes = "off"\n')
    assert codes(reviewed(folder, scratch_server)) == []
    settings.write_text('[tool.project.schema.review.levels]\nno-such-code = "off"\n')
    with pytest.raises(UsageError, match="there is no no-such-code"):
        reviewed(folder, scratch_server)


def test_what_a_statement_does_can_be_observed_alone(folder: Path, scratch_server: sa.URL) -> None:
    project = Project.load(folder / "alembic.ini")
    with scratch.database(scratch_server) as database, project.open(database) as source:
        source.upgrade(database, "first")
        (statement,) = observe(source, database, "second").own
    assert (statement.file, statement.line) == (str(folder / "versions" / "second.py"), 9)
    assert statement.sql == "CREATE INDEX note_text_idx ON note (text)"
    assert statement.in_transaction
    assert [(str(lock.relation), lock.name) for lock in statement.locks if lock.taken] == [
        ("note", "SHARE")
    ]
    assert [(work.kind, str(work.table), work.index) for work in statement.work] == [
        ("build", "note", "note_text_idx")
    ]


ASYNCHRONOUS = """
import asyncio
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")

def migrate(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    async with engine.connect() as connection:
        await connection.run_sync(migrate)

asyncio.run(main())
"""


def test_an_asynchronous_env_is_observed_too(folder: Path, scratch_server: sa.URL) -> None:
    (folder / "env.py").write_text(ASYNCHRONOUS)
    concurrently = """
    with op.get_context().autocommit_block():
        op.create_index("note_text_idx", "note", ["text"], postgresql_concurrently=True)
        op.add_column("note", sa.Column("extra", sa.Text()))
"""
    begin, end = SECOND.index("    op.create_index"), SECOND.index("\ndef downgrade")
    text = SECOND[:begin] + concurrently.lstrip("\n") + SECOND[end:]
    (folder / "versions" / "second.py").write_text(text)
    project = Project.load(folder / "alembic.ini")
    with scratch.database(scratch_server) as database, project.open(database) as source:
        source.upgrade(database, "first")
        built, added = observe(source, database, "second").own
    assert not built.can_share
    assert [(str(lock.relation), lock.name) for lock in built.locks] == [
        ("note", "SHARE UPDATE EXCLUSIVE")
    ]
    assert not added.in_transaction
    assert [(str(lock.relation), lock.name) for lock in added.locks] == [
        ("note", "ACCESS EXCLUSIVE")
    ]


def test_the_command_asks_about_the_head_and_answers_with_its_exit_code(
    folder: Path, scratch_server: sa.URL
) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [ROOT / ".venv/bin/python", "-m", "project.schema", "review", *arguments],
            cwd=folder,
            env={"SCRATCH_DATABASE_URL": secret(scratch_server), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    answered = run("--format", "json")
    assert answered.returncode == 1, answered.stderr
    report = json.loads(answered.stdout)
    assert report["title"] == "review of second"
    assert conforms(report, SCHEMA) == []
    refused = run("third")
    said = "Cannot find the revision third: No such revision or branch 'third'.\n"
    assert (refused.returncode, refused.stderr) == (2, said)


# The formats

SCHEMA = json.loads((ROOT / "project/schema/report/report.schema.json").read_text())

SHOWN = Report(
    "review of second",
    (
        Finding(
            "old-release-breaks",
            "SELECT on note fails.",
            object="table note",
            remedy="line 1\nline 2",
            path="versions/second.py",
            line=9,
        ),
        Finding("may-fail-null", "Count first.", level="warning", remedy="SELECT 1;"),
        Finding("prepared-statements", "Once.", level="note"),
    ),
    ("PostgreSQL 18",),
    "Not as it is.",
    (
        Section(
            "Tables, before and after",
            "diagram",
            ("table", "column", "before", "after"),
            (
                ("public.note", "id", "integer NOT NULL", "integer NOT NULL"),
                ("public.note", "text", "character varying(50)", ""),
                ("public.note", "title", "", "text"),
                ("public.note", "size", "integer", "bigint"),
            ),
        ),
        Section("Statements", "table", ("line", "statement"), (("second:9", "ALTER a | b"),)),
        Section("SQL", "code", text="ALTER TABLE note;\n```", language="sql"),
        Section("What only a person can decide", "list", rows=(("Is it <b>right</b>?",),)),
    ),
)


def conforms(value: Any, schema: dict[str, Any], at: str = "report") -> list[str]:  # noqa: ANN401
    """The parts of a value that a schema refuses; of JSON Schema, what ours uses."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if "enum" in schema:
        return [] if value in schema["enum"] else [at]
    if type(value) is not kinds[schema["type"]]:
        return [at]
    if isinstance(value, list):
        return [e for n, v in enumerate(value) for e in conforms(v, schema["items"], f"{at}[{n}]")]
    if isinstance(value, dict):
        wrong = sorted({*schema["required"]} ^ {*value})
        known = {k: v for k, v in value.items() if k in schema["properties"]}
        parts = (conforms(v, schema["properties"][k], f"{at}.{k}") for k, v in known.items())
        return [*wrong, *(error for part in parts for error in part)]
    return []


def test_json_is_as_its_schema_says() -> None:
    assert conforms(json.loads(render(SHOWN, "json")), SCHEMA) == []
    assert conforms({"title": 1}, SCHEMA) != []


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_warnings(name: str) -> None:
    assert "may-fail-null" in render(SHOWN, name)


def test_markdown_is_found_again_by_its_first_line_and_folds_what_is_long() -> None:
    written = render(SHOWN, "markdown")
    assert written.splitlines()[0] == MARK
    assert "<details><summary>Statements</summary>\n\n| line | statement |" in written
    assert "| `second:9` | `ALTER a \\| b` |" in written
    assert "````sql\nALTER TABLE note;\n```\n````" in written
    assert "- [ ] Is it \\<b\\>right\\</b\\>?" in written
    assert '    character_varying_50 text "gone"' in written
    assert '    bigint size "was integer"' in written


def test_a_diagram_shows_what_tables_refer_to_and_what_columns_demand(
    empty_database: sa.URL,
) -> None:
    with connected(empty_database) as connection:
        connection.execute("""
            CREATE TABLE author (id int PRIMARY KEY);
            CREATE TABLE "Book" (
                id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, words text[],
                pages smallint DEFAULT 1, "by" int REFERENCES author
            )
        """)
        before = read(connection)
        connection.execute("""
            ALTER TABLE "Book" ALTER pages TYPE int, ALTER pages SET DEFAULT 2, DROP words,
                ADD tags text[] NOT NULL DEFAULT '{}', ADD sequel_to int REFERENCES "Book"
        """)
        section = diagram(before, read(connection))
    drawn = render(replace(SHOWN, sections=(section,)), "markdown")
    lines = drawn.partition("```mermaid\n")[2].partition("\n```")[0].splitlines()
    assert lines == [
        "erDiagram",
        '  "Book" {',
        '    integer id PK "NOT NULL IDENTITY"',
        '    text_array words "gone"',
        '    integer pages "DEFAULT 2; was smallint DEFAULT 1"',
        "    integer by FK",
        """    text_array tags "NOT NULL DEFAULT '{}'; new\"""",
        '    integer sequel_to FK "new"',
        "  }",
        '  "author" ||--o{ "Book" : "by"',
        '  "Book" ||--o{ "Book" : "sequel_to"',
    ]


@pytest.mark.parametrize("count", [1, 3000])
def test_markdown_is_never_too_long_for_a_comment(count: int) -> None:
    long = Section("SQL", "code", text="x" * LONGEST, language="sql")
    report = replace(SHOWN, findings=SHOWN.findings * count, sections=(long, *SHOWN.sections))
    written = render(report, "markdown")
    assert len(written) < 65_536
    assert "Too long for a comment: SQL" in written


# HTML


@pytest.fixture(scope="module")
def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium is installed")
    return found


#: Loads the page in a frame as wide as a screen and writes down what is to be known of it.
LOOK = """
<!doctype html><body><iframe id="page" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>
const frame = document.getElementById("page");
frame.onload = () => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  const style = (query) => view.getComputedStyle(page.querySelector(query));
  document.title = JSON.stringify({{
    overflow: page.documentElement.scrollWidth - view.innerWidth,
    paper: style("body").backgroundColor,
    colours: ["body", ".error .level", ".warning .level", ".note .level", "dt", "footer"]
      .map((query) => [query, style(query).color]),
    focusable: [...page.querySelectorAll("summary, [tabindex='0']")].length,
    labelled: [...page.querySelectorAll("[role=img], [role=region]")]
      .every((each) => each.getAttribute("aria-label")),
    headings: [...page.querySelectorAll("h1, h2, h3")].map((each) => each.tagName).join(" "),
    drawn: page.querySelectorAll("svg rect").length,
    inside: [...page.querySelectorAll("td, svg")]
      .every((each) => each.getBoundingClientRect().right <= view.innerWidth),
  }});
}};
frame.srcdoc = {page};
</script>
"""


def look(browser: str, folder: Path, page: str, width: int, *, dark: bool) -> dict[str, Any]:
    quoted = json.dumps(page).replace("</", "<\\/")
    file = folder / "look.html"
    file.write_text(LOOK.format(width=width, page=quoted))
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    shown = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000", *scheme),
            *("--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "CONSOLE" not in shown.stderr
    title = re.search("<title>(.*?)</title>", shown.stdout, re.DOTALL)
    assert title, shown.stdout[:500]
    seen: dict[str, Any] = json.loads(title[1].replace("&quot;", '"').replace("&amp;", "&"))
    return seen


def luminance(colour: str) -> float:
    """Of WCAG 2: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_can_be_read_on_a_phone_and_a_desk_by_day_and_night(
    browser: str, tmp_path: Path, width: int, *, dark: bool
) -> None:
    seen = look(browser, tmp_path, render(SHOWN, "html"), width, dark=dark)
    assert seen["overflow"] <= 0
    assert (luminance(seen["paper"]) < 0.1) == dark
    for query, colour in seen["colours"]:
        assert contrast(colour, seen["paper"]) >= 4.5, query
    assert seen["labelled"]
    assert seen["focusable"] == 3  # a table that scrolls, and what is folded: notes, and SQL
    assert re.fullmatch("H1( H2( H3)*)+", seen["headings"])
    assert seen["drawn"] == 2
    assert seen["inside"]


def test_the_page_needs_no_network_and_no_script() -> None:
    page = render(SHOWN, "html")
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert '<html lang="en">' in page


HOSTILE = "<script>alert(1)</script> \" onload='x' & </style>"


def test_values_stay_values_in_html() -> None:
    rows = ((HOSTILE, HOSTILE, HOSTILE, ""),)
    hostile = Report(
        HOSTILE,
        (Finding(HOSTILE, HOSTILE, object=HOSTILE, found=f"{HOSTILE}\n{HOSTILE}"),),
        (HOSTILE,),
        HOSTILE,
        (
            Section(HOSTILE, "diagram", ("table", "column", "before", "after"), rows),
            Section(HOSTILE, "table", (HOSTILE, HOSTILE, HOSTILE, ""), rows),
            Section(HOSTILE, "code", text=HOSTILE),
        ),
    )
    page = render(hostile, "html")
    assert "<script" not in page
    assert "onload='" not in page
    assert page.count("</style>") == 1
