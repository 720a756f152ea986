"""Text for a terminal or a log."""

from project.schema.finding import Finding, Report, Section
from project.schema.report.characters import on_one_line, visible
from project.schema.report.parts import conclusion, details, in_order, place

_YELLOW, _DIM = 33, 2
_LEVELS = {"error": 31, "warning": 35, "note": _YELLOW}

#: What stands beside a finding, below its level; wide enough for "error".
_MARGIN = " " * len("error  ")


def render(report: Report, *, colour: bool = False) -> str:
    """Write a report: title, errors, notes, facts, conclusion.

    ::

        models against migrations

        error  column public.account.email  type  column-differs
               The type of the column differs.
               expected  text
               found     character varying(80)
               mend      op.alter_column("account", "email", type_=sa.Text())
               at        alembic/versions/174a4b09932c_account.py:21

        4 revisions, head 174a4b09932c

        1 finding, 0 notes

    Args:
        report: What to write.
        colour: Whether to use a terminal's colours (ANSI escape sequences).

    """
    blocks = [on_one_line(report.title)]
    if report.verdict:
        blocks.append(on_one_line(report.verdict))
    blocks += [_block(finding, colour=colour) for finding in in_order(report)]
    blocks += [_section(section) for section in report.sections]
    if report.facts:
        blocks.append("\n".join(map(on_one_line, report.facts)))
    blocks.append(conclusion(report))
    return "\n\n".join(blocks) + "\n"


def _block(finding: Finding, *, colour: bool) -> str:
    level = _painted(finding.level, _LEVELS[finding.level], colour=colour)
    # The code comes last: it is the one part that is never missing and that people read past.
    about = [on_one_line(part) for part in (finding.object, finding.attribute) if part]
    about.append(_painted(on_one_line(finding.code), _DIM, colour=colour))
    first = level + " " * max(2, len(_MARGIN) - len(finding.level)) + "  ".join(about)

    labelled = details(finding)
    if where := place(finding):
        labelled.append(("at", on_one_line(where)))
    width = max((len(label) for label, _ in labelled), default=0) + 2
    lines = [_MARGIN + _hanging(finding.message, len(_MARGIN))]
    for label, value in labelled:
        gap = " " * (width - len(label))
        value_there = _hanging(value, len(_MARGIN) + width)
        lines.append(_MARGIN + _painted(label, _DIM, colour=colour) + gap + value_there)
    return "\n".join([first, *lines])


def _section(section: Section) -> str:
    """Write a section; each cell of a row stands on a line of its own, under its column's name."""
    lines = [on_one_line(section.title)]
    if section.kind == "code":
        lines += visible(section.text).split("\n")
    for row in section.rows:
        cells = [on_one_line(cell) for cell in row]
        if section.kind == "list":
            lines.append(f"- {cells[0]}")
        elif section.kind == "diagram":
            if cells[2] != cells[3]:
                lines.append(f"{cells[0]}.{cells[1]}: {cells[2] or 'none'} -> {cells[3] or 'none'}")
        else:
            lines.append(f"{cells[0]}  {cells[1]}")
            named = zip(section.columns[2:], cells[2:], strict=True)
            lines += [f"  {column}: {cell}" for column, cell in named if cell != "-"]
    return "\n  ".join(lines)


def _hanging(value: str, width: int) -> str:
    """Indent all lines but the first, which follows something."""
    return visible(value).replace("\n", "\n" + " " * width)


def _painted(value: str, code: int, *, colour: bool) -> str:
    return f"\x1b[{code}m{value}\x1b[0m" if colour else value
