"""Markdown for a comment on a pull request (GitHub's flavour, which GitLab reads, too)."""

import re
from collections.abc import Iterator, Sequence

from project.schema.finding import Finding, Report
from project.schema.report import sections
from project.schema.report.characters import on_one_line, visible
from project.schema.report.parts import FOLDED, conclusion, details, in_order, place

#: What begins something inside a line. What begins a block need not be escaped: no value stands at
#: the beginning of a line.
_MARKUP = re.compile(r"[\\`*_\[\]<>&|~$#!]")


#: Hidden, and the first line: whoever updates the comment finds it by this.
MARK = "<!-- project.schema review -->"

#: A comment on GitHub has at most so many characters, with some to spare.
LONGEST = 65_000


def render(report: Report) -> str:
    """Write a report: a heading, the conclusion, an item for each finding, the facts.

    Values are code: neither markup nor HTML means anything in them, and nobody is mentioned.
    """
    blocks = [f"## Schema: {_plain(report.title)}"]
    if report.sections:
        blocks.insert(0, MARK)
    said = f"**{_plain(report.verdict)}** " if report.verdict else ""
    blocks.append(f"{said}{conclusion(report)}" if said else f"**{conclusion(report)}**")
    if report.findings:
        blocks.append("\n".join(_items(in_order(report))))
    room = LONGEST - len("\n\n".join([*blocks, *report.facts])) - 200
    blocks += sections.render(report.sections, room, _plain, _code)
    if report.facts:
        blocks.append("Looked at: " + "; ".join(map(_plain, report.facts)))
    return "\n\n".join(blocks) + "\n"


def _items(findings: Sequence[Finding]) -> Iterator[str]:
    """Write findings for as long as there is room."""
    room = LONGEST - 10_000
    for number, finding in enumerate(findings):
        text = _item(finding)
        room -= len(text) + 1
        if room < 0:
            yield f"- **{len(findings) - number} more** have no room here."
            return
        yield text


def _item(finding: Finding) -> str:
    lines = [f"- **{finding.level}** {_code(finding.code)}: {_plain(finding.message)}"]
    about = [("object", finding.object), ("attribute", finding.attribute)]
    for label, value in (*about, *details(finding), ("at", place(finding))):
        number = len(value.splitlines())
        if number > FOLDED:
            folded = f"<details><summary>{label}, {number} lines</summary>"
            lines.append(f"  - {folded}\n\n{_fenced(value)}\n\n    </details>")
        elif number > 1:
            lines.append(f"  - {label}:\n{_fenced(value)}")
        elif value:
            lines.append(f"  - {label}: {_code(value)}")
    return "\n".join(lines)


def _plain(value: str) -> str:
    """Escape a sentence. A zero-width space keeps ``@name`` from calling somebody of that name."""
    return _MARKUP.sub(r"\\\g<0>", on_one_line(value)).replace("@", "@\u200b")


def _code(value: str) -> str:
    """Write a value as a code span: between more backticks than it has in a row.

    Sources:
        https://spec.commonmark.org/0.31.2/#code-spans

    """
    value = on_one_line(value)
    if not value:
        return ""
    # One space at either end is not part of a span that has both, and something between them.
    if value[0] in "` " or value[-1] in "` ":
        value = f" {value} " if value.strip(" ") else value
    fence = _fence(value, 1)
    return f"{fence}{value}{fence}"


def _fenced(value: str) -> str:
    """Write lines as a code block inside of a nested item."""
    value = visible(value)
    fence = _fence(value, 3)
    return "\n".join(f"    {line}" for line in (fence, *value.split("\n"), fence))


def _fence(value: str, least: int) -> str:
    runs = re.findall("`+", value)
    return "`" * max(least, max(map(len, runs), default=0) + 1)
