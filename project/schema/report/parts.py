"""What the formats for people have in common: the order, the labels and the conclusion."""

from project.schema.finding import Finding, Report


def in_order(report: Report) -> list[Finding]:
    """Return the findings, errors first; among themselves they keep their order."""
    return sorted(report.findings, key=lambda finding: finding.level != "error")


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
    """Sum up: ``agree``, ``agree, 1 note`` or ``2 findings, 0 notes``."""
    errors = sum(finding.level == "error" for finding in report.findings)
    notes = len(report.findings) - errors
    if errors:
        return f"{_count(errors, 'finding')}, {_count(notes, 'note')}"
    return f"agree, {_count(notes, 'note')}" if notes else "agree"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
