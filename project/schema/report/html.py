"""One file of HTML: no network, no script; light and dark, a keyboard, a screen reader, paper."""

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby

from project.schema.finding import Finding, Report, Section
from project.schema.report.characters import on_one_line, visible
from project.schema.report.parts import FOLDED, conclusion, details, in_order, place

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #57606a; --line: #d0d7de;
  --shade: #f6f8fa; --error: #b3261e; --warning: #7d4e00; --note: #0a5c9e; --added: #116329; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9da7b3;
  --line: #30363d; --shade: #161b22; --error: #ff9a92; --warning: #e3b341; --note: #79c0ff;
  --added: #7ee787; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 72rem; margin: auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin: 0; display: flex; flex-wrap: wrap; gap: 0 .75rem; }
h3 .at { margin-left: auto; font-weight: 400; color: var(--soft); }
.verdict { font-size: 1.15rem; border-left: .3rem solid var(--note); padding: .5rem 1rem;
  background: var(--shade); }
.verdict.error { border-color: var(--error); } .verdict.warning { border-color: var(--warning); }
article { border: 1px solid var(--line); border-radius: .4rem; padding: .75rem 1rem;
  margin: .75rem 0; break-inside: avoid; }
.level { font-weight: 600; } .error .level { color: var(--error); }
.warning .level { color: var(--warning); } .note .level { color: var(--note); }
code, pre { font: .875rem/1.45 ui-monospace, monospace; }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: .3rem;
  padding: .6rem .8rem; margin: .3rem 0; white-space: pre-wrap; }
article p { margin: .5rem 0; } dl { margin: 0; } dt { color: var(--soft); font-size: .875rem; }
dd { margin: 0 0 .3rem; } dd pre { margin-top: 0; }
@media (min-width: 48rem) { dl { display: grid; grid-template-columns: 4.5rem 1fr; } }
@media (max-width: 30rem) { pre { font-size: .75rem; padding: .5rem; } }
.scroll { overflow-x: auto; } .scroll:focus-visible, summary:focus-visible {
  outline: .15rem solid var(--note); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; overflow-wrap: normal; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-bottom: 1px solid var(--line); } td:last-child { white-space: nowrap; }
@media screen and (max-width: 56rem) { thead { position: absolute; clip-path: inset(50%); }
  table, tbody, tr { display: block; overflow-wrap: anywhere; } td { display: flow-root; }
  tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
  td { border: 0; padding: .1rem 0 .1rem 6rem; } td:empty { display: none; }
  td::before { content: attr(data-column); color: var(--soft); float: left;
    margin-left: -6rem; width: 5.5rem; } }
.pair { display: flex; flex-wrap: wrap; gap: .25rem 2rem; align-items: start;
  margin-bottom: 1rem; } svg { max-width: 100%; height: auto; }
summary { cursor: pointer; font-weight: 600; font-size: 1.1rem; margin-top: 1.5rem; }
dd summary { font-weight: 400; font-size: .875rem; margin: 0; }
svg text { fill: var(--ink); font: .8125rem ui-monospace, monospace; }
svg .box { fill: var(--shade); stroke: var(--line); } svg .name { font-weight: 600; }
svg .added { fill: var(--added); } svg .gone { fill: var(--error); text-decoration: line-through; }
svg .changed { fill: var(--warning); } svg .side { fill: var(--soft); }
footer { color: var(--soft); margin-top: 2rem; font-size: .9rem; }
@media print { details::details-content { content-visibility: visible; height: auto; }
  pre { border: 0; } main { max-width: none; } }
"""

#: Of the drawing, in pixels.
_ROW, _CHARACTER, _MARGIN = 20, 8, 12

#: Where a row of the drawing has what a column was, and what it is.
_BEFORE, _AFTER = 2, 3


def render(report: Report) -> str:
    """Write a report as a page of its own.

    Sources:
        https://www.w3.org/TR/WCAG22/ (contrast 4.5:1 in both schemes; no meaning by colour alone)

    """
    title = _text(f"Schema: {report.title}")
    findings = in_order(report)
    worst = findings[0].level if findings else "note"
    summed_up = _text(conclusion(report)) if report.verdict else ""
    said = report.verdict or conclusion(report)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{title}</h1>",
        f'<p class="verdict {worst}"><strong>{_text(said)}</strong> {summed_up}</p>',
    ]
    if findings:
        parts += ["<h2>Findings</h2>", *_findings(findings)]
    parts += map(_section, report.sections)
    parts.append(f"<footer><p>{'<br>'.join(map(_text, report.facts))}</p></footer>")
    parts.append("</main></body></html>")
    return "\n".join(parts) + "\n"


def _text(value: str) -> str:
    return escape(on_one_line(value))


def _block(value: str) -> str:
    return escape(visible(value))


def _findings(findings: list[Finding]) -> Iterator[str]:
    """Write what asks for something; what is only worth knowing is folded away behind it."""
    notes = [finding for finding in findings if finding.level == "note"]
    yield from (_finding(finding) for finding in findings if finding.level != "note")
    if notes:
        number = f"{len(notes)} note{'s' * (len(notes) > 1)}"
        shown = "".join(map(_finding, notes))
        yield f"<details><summary>Worth knowing: {number}</summary>{shown}</details>"


def _finding(finding: Finding) -> str:
    labelled = [("object", finding.object), ("attribute", finding.attribute), *details(finding)]
    terms = [f"<dt>{label}</dt><dd>{_value(value)}</dd>" for label, value in labelled if value]
    at = f' <code class="at">{_text(place(finding))}</code>' if place(finding) else ""
    return (
        f'<article class="{finding.level}"><h3><span class="level">{finding.level}</span>'
        f" <code>{_text(finding.code)}</code>{at}</h3>"
        f"<p>{_text(finding.message)}</p><dl>{''.join(terms)}</dl></article>"
    )


def _value(value: str) -> str:
    number = len(value.splitlines())
    if number > 1:
        lines = f"<pre>{_block(value)}</pre>"
        if number <= FOLDED:
            return lines
        return f"<details><summary>{number} lines</summary>{lines}</details>"
    return f"<code>{_text(value)}</code>"


def _section(section: Section) -> str:
    title = _text(section.title)
    if section.kind == "code":
        return f"<details><summary>{title}</summary><pre>{_block(section.text)}</pre></details>"
    if section.kind == "list":
        items = "".join(f"<li>{_text(row[0])}</li>" for row in section.rows)
        return f"<h2>{title}</h2><ul>{items}</ul>"
    if section.kind == "diagram":
        return f"<h2>{title}</h2>{_drawing(section)}"
    return (
        f'<h2>{title}</h2><div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f"{_table(section)}</div>"
    )


def _table(section: Section) -> str:
    """Write a table, which a narrow screen shows as a list: its roles say that it still is one."""
    names = [_text(column) for column in section.columns]
    head = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in names)
    rows = "".join(f'<tr role="row">{_cells(names, row)}</tr>' for row in section.rows)
    return (
        f'<table role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table>'
    )


def _cells(names: Iterable[str], row: Iterable[str]) -> str:
    pairs = zip(names, row, strict=True)
    return "".join(
        f'<td role="cell" data-column="{name}">{_text(cell)}</td>' for name, cell in pairs
    )


def _drawing(section: Section) -> str:
    """Draw each table as a box before and a box after: side by side, or one below the other."""
    groups = [(name, list(rows)) for name, rows in groupby(section.rows, lambda row: row[0])]
    # Each line begins with its mark.
    widest = max(len(f"+ {row[1]}  {max(row[2], row[3], key=len)}") for row in section.rows)
    width = _CHARACTER * max(widest, *(len(name) for name, _ in groups)) + 2 * _MARGIN
    boxes = [[_box(name, rows, side, width) for side in (_BEFORE, _AFTER)] for name, rows in groups]
    pairs = "".join(f'<div class="pair">{before}{after}</div>' for before, after in boxes)
    said = "; ".join(
        f"{table}: {', '.join(_spoken(row) for row in rows if row[2] != row[3])}"
        for table, rows in groups
    )
    return f'<div role="img" aria-label="{_text(said)}">{pairs}</div>'


def _box(name: str, rows: "list[tuple[str, ...]]", side: int, width: int) -> str:
    there = [row for row in rows if row[side]]
    height = _ROW * (len(there) + 1) + _MARGIN
    label = "before" if side == _BEFORE else "after"
    parts = [f'<text class="side" x="0" y="{_ROW - 6}">{label}</text>']
    if there:
        parts += [
            f'<rect class="box" x="0" y="{_ROW}" width="{width}" height="{height}" rx="4"/>',
            f'<text class="name" x="{_MARGIN}" y="{2 * _ROW}">{_text(name)}</text>',
        ]
    else:
        said = f"{name} is not there {'yet' if side == _BEFORE else 'any more'}"
        width = max(width, _CHARACTER * len(said))
        parts.append(f'<text class="side" x="0" y="{2 * _ROW}">{_text(said)}</text>')
    for place_, row in enumerate(there, 3):
        kind = ""
        if row[2] != row[3]:
            kind = "changed" if row[2] and row[3] else "added" if row[3] else "gone"
        mark = {"changed": "~ ", "added": "+ ", "gone": "- "}.get(kind, "  ")
        parts.append(
            f'<text class="{kind}" x="{_MARGIN}" y="{_ROW * place_}"'
            f' xml:space="preserve">{_text(f"{mark}{row[1]}  {row[side]}")}</text>'
        )
    whole = height + _ROW + 1
    return (
        f'<svg aria-hidden="true" width="{width}" height="{whole}" viewBox="0 0 {width} {whole}"'
        f' xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _spoken(row: "tuple[str, ...]") -> str:
    if not row[2]:
        return f"{row[1]} {row[3]} is new"
    if not row[3]:
        return f"{row[1]} is gone"
    return f"{row[1]} {row[2]} becomes {row[3]}"
