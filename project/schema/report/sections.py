"""The sections of a report as Markdown: folded away, but for what only a person can decide."""

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape

from project.schema.finding import Section
from project.schema.report import mermaid
from project.schema.report.characters import on_one_line, visible


def render(
    sections: Sequence[Section],
    room: int,
    plain: Callable[[str], str],
    code: Callable[[str], str],
) -> Iterator[str]:
    """Write sections for as long as there is room; what has none is named.

    Args:
        sections: What to write.
        room: In characters.
        plain: Escapes a sentence.
        code: Writes a value as a code span.

    """
    left_out = []
    for section in sections:
        text = _section(section, plain, code)
        if len(text) + 2 > room:
            left_out.append(plain(section.title))
            continue
        room -= len(text) + 2
        yield text
    if left_out:
        yield f"Too long for a comment: {'; '.join(left_out)}."


def _section(section: Section, plain: Callable[[str], str], code: Callable[[str], str]) -> str:
    title = plain(section.title)
    if section.kind == "list":
        box = "- [ ] " if "only a person" in section.title else "- "
        return "\n".join([f"### {title}", "", *(f"{box}{plain(row[0])}" for row in section.rows)])
    if section.kind == "code":
        body = _fenced(section.language, visible(section.text))
    elif section.kind == "diagram":
        body = _fenced("mermaid", "\n".join(mermaid.lines(section.rows)))
    else:
        body = "\n".join(_table(section, plain, code))
    # Within HTML it is HTML that must be escaped, not Markdown.
    summary = escape(on_one_line(section.title))
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _fenced(language: str, text: str) -> str:
    runs = re.findall("`+", text)
    fence = "`" * max(3, max(map(len, runs), default=0) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _table(
    section: Section, plain: Callable[[str], str], code: Callable[[str], str]
) -> Iterator[str]:
    yield f"| {' | '.join(map(plain, section.columns))} |"
    yield f"|{' --- |' * len(section.columns)}"
    for row in section.rows:
        # A bar would end the cell, within a code span, too.
        cells = [code(cell).replace("|", "\\|") if cell != "-" else cell for cell in row]
        yield f"| {' | '.join(cells)} |"
