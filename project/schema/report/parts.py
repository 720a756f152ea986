"""What the formats for people have in common: the order, the labels and the conclusion."""

from project.schema.finding import Finding, Report

_LEVELS = ("error", "warning", "note")

#: A value of more lines is folded away, where a format can: it is read once somebody wants it.
FOLDED = 12


def in_order(report: Report) -> list[Finding]:
    """Return the findings, errors first, notes last; among themselves they keep their order."""
    return sorted(report.findings, key=lambda finding: _LEVELS.index(finding.level))


def subject(finding: Finding) -> str:
    """Say what the finding is about: the object and its attribute, or else the code."""
    return " ".join(filter(None, (finding.object, finding.attribute))) or finding.code


def details(finding: Finding) -> list[tuple[str, str]]:
    """Return labels and values, of those that the finding has."""
    pairs = [("expected", finding.expected), ("found", finding.found), ("mend", finding.remedy)]
    # That models contradict is what one expects of a check, and goes without saying.
    pairs.append(("origin", "" if finding.origin == "models" else finding.origin))
    return [(label, value) for label, value in pairs if value]


def place(finding: Finding) -> str:
    """Say where to look, as editors understand it: ``path:line``; empty when unknown."""
    if finding.path and finding.line >= 1:
        return f"{finding.path}:{finding.line}"
    return finding.path


def conclusion(report: Report) -> str:
    """Sum up: ``agree``, ``agree, 1 note`` or ``2 findings, 1 warning, 0 notes``."""
    errors, warnings, notes = (
        sum(finding.level == level for finding in report.findings) for level in _LEVELS
    )
    parts = [_count(warnings, "warning")] if warnings else []
    if errors:
        return ", ".join([_count(errors, "finding"), *parts, _count(notes, "note")])
    parts += [_count(notes, "note")] if notes else []
    return ", ".join(["agree" if not report.verdict else "0 findings", *parts])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
