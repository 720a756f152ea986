"""Reports: every format shows the same, and no value breaks out of it."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project.schema.finding import Finding, Report
from project.schema.report import FORMATS, render

ERROR = Finding(
    code="column-differs",
    message="The type of the column differs.",
    object="column public.account.email",
    attribute="type",
    expected="text",
    found="character varying(80)",
    remedy='op.alter_column("account", "email", type_=sa.Text())',
    path="alembic/versions/174a4b09932c_account.py",
    line=21,
)
NOTE = Finding(
    code="no-downgrade",
    message="The migration cannot be undone.",
    level="note",
    path="alembic/versions/174a4b09932c_account.py",
)
FACTS = ("4 revisions, head 174a4b09932c",)
REPORT = Report("models against migrations", (NOTE, ERROR), FACTS)
AGREEING = Report("models against migrations", (), FACTS)

HOSTILE = (
    "a|b `c` ``d`` 100%\r\n::error::x, y: <script>alert(1)</script> ]]> {0} [z](1) @you"
    " \x00\x1b[31m🦉"
)
HOSTILE_ERROR = Finding(
    code=HOSTILE,
    message=HOSTILE,
    object=HOSTILE,
    attribute=HOSTILE,
    expected=HOSTILE,
    found=HOSTILE,
    remedy=HOSTILE,
    path=HOSTILE,
    line=3,
)
HOSTILE_REPORT = Report(
    HOSTILE, (HOSTILE_ERROR, replace(HOSTILE_ERROR, level="note", line=0)), (HOSTILE,)
)

#: Any text, also what Python makes of file names that are not UTF-8.
characters = st.characters() | st.characters(
    categories=["Cs"], min_codepoint=0xDC80, max_codepoint=0xDCFF
)
texts = st.text(characters) | st.text("`~|<&@[](){}:,%#\\\r\n\x1b -") | st.just(HOSTILE)
findings = st.builds(
    Finding,
    code=texts,
    message=texts,
    level=st.sampled_from(["error", "note"]),
    object=texts,
    attribute=texts,
    expected=texts,
    found=texts,
    remedy=texts,
    path=texts,
    line=st.integers(-1, 3),
)
reports = st.builds(
    Report,
    title=texts,
    findings=st.lists(findings, max_size=3).map(tuple),
    facts=st.lists(texts, max_size=2).map(tuple),
)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("report", [REPORT, AGREEING, HOSTILE_REPORT])
def test_every_format_is_text_that_ends_with_one_newline(name: str, report: Report) -> None:
    written = render(report, name)
    assert written == FORMATS[name](report)
    assert written.endswith("\n")
    assert not written.endswith("\n\n")


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"text"}))
def test_only_text_knows_colours(name: str) -> None:
    assert render(REPORT, name, colour=True) == render(REPORT, name)


def test_a_format_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        render(REPORT, "pdf")


# Text


def test_text_shows_errors_then_notes_then_facts_then_the_conclusion() -> None:
    assert render(REPORT, "text") == (
        "models against migrations\n"
        "\n"
        "error  column public.account.email  type  column-differs\n"
        "       The type of the column differs.\n"
        "       expected  text\n"
        "       found     character varying(80)\n"
        '       mend      op.alter_column("account", "email", type_=sa.Text())\n'
        "       at        alembic/versions/174a4b09932c_account.py:21\n"
        "\n"
        "note   no-downgrade\n"
        "       The migration cannot be undone.\n"
        "       at  alembic/versions/174a4b09932c_account.py\n"
        "\n"
        "4 revisions, head 174a4b09932c\n"
        "\n"
        "1 finding, 1 note\n"
    )


def test_text_says_agree_when_nothing_was_found() -> None:
    assert render(AGREEING, "text") == (
        "models against migrations\n\n4 revisions, head 174a4b09932c\n\nagree\n"
    )


@pytest.mark.parametrize(
    ("found", "conclusion"),
    [
        ((NOTE,), "agree, 1 note"),
        ((NOTE, NOTE), "agree, 2 notes"),
        ((ERROR,), "1 finding, 0 notes"),
        ((ERROR, NOTE, ERROR), "2 findings, 1 note"),
    ],
)
def test_text_ends_with_what_it_comes_to(found: tuple[Finding, ...], conclusion: str) -> None:
    assert render(Report("title", found), "text").splitlines()[-1] == conclusion


def test_text_aligns_the_lines_of_a_value_below_its_first() -> None:
    trigger = replace(ERROR, found="  BEGIN\n\n    RETURN new;\nEND")
    assert (
        "       found       BEGIN\n"
        "                 \n"
        "                     RETURN new;\n"
        "                 END\n"
    ) in render(Report("title", (trigger,)), "text")


def test_text_is_coloured_when_asked() -> None:
    coloured = render(REPORT, "text", colour=True)
    assert "\x1b[31merror\x1b[0m  column public.account.email  type  \x1b[2mcolumn-diff" in coloured
    assert "\x1b[33mnote\x1b[0m   \x1b[2mno-downgrade\x1b[0m\n" in coloured
    assert "       \x1b[2mfound\x1b[0m     character varying(80)\n" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == render(REPORT, "text")


def test_text_shows_control_characters_instead_of_sending_them_to_the_terminal() -> None:
    written = render(HOSTILE_REPORT, "text")
    assert r"@you \x00\x1b[31m🦉" in written
    # A value's own line feed cannot begin a line that looks like the report's.
    assert not re.search("^::error", written, re.MULTILINE)


# JSON


def test_json_has_all_members_in_a_stable_order() -> None:
    read = json.loads(render(REPORT, "json"))
    assert list(read) == ["title", "agrees", "findings", "facts"]
    assert read["title"] == "models against migrations"
    assert read["agrees"] is False
    assert read["facts"] == ["4 revisions, head 174a4b09932c"]
    assert [list(finding.items()) for finding in read["findings"]] == [
        [
            ("code", "no-downgrade"),
            ("message", "The migration cannot be undone."),
            ("level", "note"),
            ("object", ""),
            ("attribute", ""),
            ("expected", ""),
            ("found", ""),
            ("remedy", ""),
            ("path", "alembic/versions/174a4b09932c_account.py"),
            ("line", 0),
            ("origin", ""),
        ],
        list(asdict(ERROR).items()),
    ]


@given(reports)
def test_json_gives_every_value_back(report: Report) -> None:
    read = json.loads(render(report, "json"))
    findings = tuple(Finding(**finding) for finding in read["findings"])
    assert Report(read["title"], findings, tuple(read["facts"])) == report
    assert read["agrees"] == report.agrees


# Markdown


def test_markdown_is_a_heading_and_an_item_for_each_finding() -> None:
    assert render(REPORT, "markdown") == (
        "## Schema: models against migrations\n"
        "\n"
        "**1 finding, 1 note**\n"
        "\n"
        "- **error** `column-differs`: The type of the column differs.\n"
        "  - object: `column public.account.email`\n"
        "  - attribute: `type`\n"
        "  - expected: `text`\n"
        "  - found: `character varying(80)`\n"
        '  - mend: `op.alter_column("account", "email", type_=sa.Text())`\n'
        "  - at: `alembic/versions/174a4b09932c_account.py:21`\n"
        "- **note** `no-downgrade`: The migration cannot be undone.\n"
        "  - at: `alembic/versions/174a4b09932c_account.py`\n"
        "\n"
        "Looked at: 4 revisions, head 174a4b09932c\n"
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a|b", "`a|b`"),
        ("a`b", "``a`b``"),
        ("`a`", "`` `a` ``"),
        ("a``b`c", "```a``b`c```"),
        (" a ", "`  a  `"),
        ("  ", "`  `"),
        ("<script>", "`<script>`"),
        ("\x07", r"`\x07`"),
        ("a\nb", "\n    ```\n    a\n    b\n    ```"),
        ("a\n```\nb", "\n    ````\n    a\n    ```\n    b\n    ````"),
    ],
)
def test_markdown_keeps_a_value_inside_its_code(value: str, code: str) -> None:
    lines = render(Report("title", (Finding("code", "Text.", found=value),)), "markdown")
    separator = "" if code.startswith("\n") else " "
    assert lines.endswith(f"  - found:{separator}{code}\n")


def test_markdown_escapes_what_would_be_markup_in_a_sentence() -> None:
    message = "<b>No</b> *type* `x` [y](z) &lt; | @you"
    written = render(Report("title", (Finding("code", message),)), "markdown")
    assert written.endswith(
        ": \\<b\\>No\\</b\\> \\*type\\* \\`x\\` \\[y\\](z) \\&lt; \\| @\u200byou\n"
    )


def outside_of_code(markdown: str) -> Iterator[str]:
    """The text of a report outside of code, without what a backslash escapes."""
    fence = ""
    for line in markdown.split("\n"):
        if fence:
            fence = "" if line.strip(" ") == fence else fence
        elif opened := re.fullmatch(" +(`{3,})", line):
            fence = opened[1]
        else:
            # From the left, whichever comes first: an escape, or a span up to as many backticks.
            yield re.sub(r"\\[!-/:-@\[-`{-~]|(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
    assert not fence


@given(reports)
def test_markdown_has_no_markup_that_a_value_brought_along(report: Report) -> None:
    outside = list(outside_of_code(render(report, "markdown")))
    assert not re.findall(r"[<>&`|\[\]]|@(?!\u200b)", "\n".join(outside))
    beginnings = re.compile(r"$|## Schema: |\*\*|- \*\*(error|note)\*\* |  - [a-z]+:|Looked at: ")
    assert all(beginnings.match(line) for line in outside)


# GitHub


def test_github_gets_a_command_for_each_finding_and_a_line_that_sums_up() -> None:
    path = "alembic/versions/174a4b09932c_account.py"
    assert render(REPORT, "github") == (
        f"::error file={path},line=21,title=column public.account.email type"
        "::The type of the column differs.%0Aexpected: text%0Afound: character varying(80)"
        '%0Amend: op.alter_column("account", "email", type_=sa.Text())\n'
        f"::notice file={path},title=no-downgrade::The migration cannot be undone.\n"
        "Schema: models against migrations: 1 finding, 1 note\n"
    )


def test_github_escapes_what_would_end_a_property_or_a_command() -> None:
    finding = Finding("code", "50%\n::warning::x", object="a:b,c%\nd", path="e:f,g.py", line=2)
    assert render(Report("##[error]x", (finding,)), "github") == (
        r"::error file=e%3Af%2Cg.py,line=2,title=a%3Ab%2Cc%25\nd::50%25%0A::warning::x"
        "\nSchema: ## [error]x: 1 finding, 0 notes\n"
    )


@given(reports)
def test_github_gets_exactly_one_line_for_each_finding(report: Report) -> None:
    *commands, summary, end = re.split(r"\r\n|[\r\n]", render(report, "github"))
    assert len(commands) == len(report.findings)
    for command in commands:
        assert re.match(r"::(error|notice) (file=[^:,]*,(line=\d+,)?)?title=[^:,]*::", command)
    assert summary.startswith("Schema: ")
    assert "##[" not in summary
    assert end == ""


# JUnit


def test_junit_has_a_failed_test_for_an_error_and_a_passed_one_for_a_note() -> None:
    assert render(REPORT, "junit") == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<testsuites name="project.schema" tests="2" failures="1" errors="0" skipped="0">\n'
        '  <testsuite name="models against migrations"'
        ' tests="2" failures="1" errors="0" skipped="0">\n'
        '    <testcase classname="project.schema.column-differs"'
        ' name="column public.account.email type"'
        ' file="alembic/versions/174a4b09932c_account.py" line="21">\n'
        '      <failure message="The type of the column differs." type="column-differs">'
        "The type of the column differs.\n"
        "expected: text\n"
        "found: character varying(80)\n"
        'mend: op.alter_column("account", "email", type_=sa.Text())\n'
        "at: alembic/versions/174a4b09932c_account.py:21</failure>\n"
        "    </testcase>\n"
        '    <testcase classname="project.schema.no-downgrade" name="no-downgrade"'
        ' file="alembic/versions/174a4b09932c_account.py">\n'
        "      <system-out>The migration cannot be undone.\n"
        "at: alembic/versions/174a4b09932c_account.py</system-out>\n"
        "    </testcase>\n"
        "    <system-out>4 revisions, head 174a4b09932c</system-out>\n"
        "  </testsuite>\n"
        "</testsuites>\n"
    )


def test_junit_has_one_passed_test_when_nothing_was_found() -> None:
    suites = ET.fromstring(render(AGREEING, "junit"))
    [case] = suites.iter("testcase")
    assert (case.get("name"), list(case)) == ("agree", [])
    assert [suite.get("tests") for suite in suites.iter("testsuite")] == ["1"]


def test_junit_shows_control_characters_as_escapes() -> None:
    [failure] = ET.fromstring(render(HOSTILE_REPORT, "junit")).iter("failure")
    assert (failure.text or "").startswith(HOSTILE.replace("\r", r"\r").partition("\x00")[0])
    assert r"@you \x00\x1b[31m🦉" in (failure.get("message") or "")


@given(reports)
def test_junit_is_xml_with_a_test_for_each_finding(report: Report) -> None:
    suites = ET.fromstring(render(report, "junit").encode())
    errors = sum(finding.level == "error" for finding in report.findings)
    assert len(list(suites.iter("testcase"))) == max(1, len(report.findings))
    assert len(list(suites.iter("failure"))) == errors
    assert suites.get("failures") == str(errors)


# SARIF


def sarif_run(report: Report) -> dict[str, Any]:
    log = json.loads(render(report, "sarif"))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    [run] = log["runs"]
    assert isinstance(run, dict)
    return run


def test_sarif_has_the_members_that_code_scanning_needs() -> None:
    run = sarif_run(Report(REPORT.title, (ERROR, NOTE), FACTS))
    assert run["tool"]["driver"] == {
        "name": "project.schema",
        "rules": [
            {"id": "column-differs", "shortDescription": {"text": "column differs"}},
            {"id": "no-downgrade", "shortDescription": {"text": "no downgrade"}},
        ],
    }
    assert run["properties"] == {"title": REPORT.title, "facts": list(FACTS)}
    error, note = run["results"]
    artifact = {
        "uri": "alembic/versions/174a4b09932c_account.py",
        "uriBaseId": "%SRCROOT%",
    }
    [fingerprint] = error.pop("partialFingerprints").values()
    assert re.fullmatch("[0-9a-f]{64}", fingerprint)
    assert error == {
        "ruleId": "column-differs",
        "ruleIndex": 0,
        "level": "error",
        "message": {
            "text": "The type of the column differs.\n"
            "expected: text\n"
            "found: character varying(80)\n"
            'mend: op.alter_column("account", "email", type_=sa.Text())'
        },
        "locations": [
            {
                "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 21}},
                "logicalLocations": [{"fullyQualifiedName": "column public.account.email"}],
            }
        ],
        "properties": {
            "object": "column public.account.email",
            "attribute": "type",
            "expected": "text",
            "found": "character varying(80)",
            "remedy": 'op.alter_column("account", "email", type_=sa.Text())',
            "origin": "",
        },
    }
    assert (note["ruleIndex"], note["level"]) == (1, "note")
    assert note["locations"] == [{"physicalLocation": {"artifactLocation": artifact}}]


def test_sarif_has_no_location_that_is_not_known() -> None:
    [result] = sarif_run(Report("title", (Finding("code", "Text.", line=3),)))["results"]
    assert "locations" not in result


def test_sarif_recognises_a_finding_whose_values_and_lines_changed() -> None:
    moved = replace(ERROR, line=99, path="other.py", found="integer", message="Otherwise.")
    others = [
        replace(ERROR, code="x"),
        replace(ERROR, object="x"),
        replace(ERROR, attribute="x"),
        replace(ERROR, object=ERROR.object + ERROR.attribute, attribute=""),
    ]
    run = sarif_run(Report("title", (ERROR, moved, *others)))
    fingerprints = [result["partialFingerprints"]["finding/v1"] for result in run["results"]]
    assert fingerprints[0] == fingerprints[1]
    assert len(set(fingerprints)) == 1 + len(others)


def test_sarif_escapes_what_its_messages_and_addresses_would_read() -> None:
    finding = Finding("code", "{0} [x](1)\x1b", path="a b:c%?#/é.py")
    [result] = sarif_run(Report("title", (finding,)))["results"]
    assert result["message"]["text"] == "{{0}} [x\\](1)\\x1b"
    [location] = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == (
        "a%20b%3Ac%25%3F%23/%C3%A9.py"
    )


@given(reports)
def test_sarif_has_a_rule_and_a_result_for_each_finding(report: Report) -> None:
    run = sarif_run(report)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    assert len(run["results"]) == len(report.findings)
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == finding.code
        assert result["level"] == finding.level
        for location in result.get("locations", []):
            physical = location.get("physicalLocation", {})
            assert physical.get("region", {"startLine": 1})["startLine"] >= 1
            uri = physical.get("artifactLocation", {"uri": ""})["uri"]
            assert re.fullmatch(r"[A-Za-z0-9_.~/%-]*", uri)


# All


@pytest.mark.parametrize("name", FORMATS)
@given(report=reports)
def test_no_format_lets_a_control_character_through(name: str, report: Report) -> None:
    written = render(report, name)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", written)
    written.encode()  # nothing that UTF-8 refuses
