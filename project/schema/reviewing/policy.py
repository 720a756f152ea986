"""What is wrong with revisions as files, and which findings their authors accept.

A finding is accepted in the revision's file, with its code, a reason and perhaps a last day::

    # review: ignore rows-locked-in-bulk because the table has 200 rows (until 2027-01-31)
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from project.schema.checking import integrity
from project.schema.checking.standing import graph
from project.schema.configuration import UsageError
from project.schema.finding import Finding, Level
from project.schema.hazards.codes import CODES
from project.schema.reviewing.observation import Observation
from project.schema.source import History, Revision

MARK = re.compile(
    r"^\s*#\s*review:\s*ignore\s+(?P<code>[\w-]+)\s*"
    r"(?:because\s+(?P<reason>.*?)\s*)?(?:\(until\s+(?P<until>\d{4}-\d{2}-\d{2})\))?\s*$"
)

LEVELS: Mapping[str, Level] = {"error": "error", "warning": "warning", "note": "note"}


@dataclass(frozen=True)
class Acceptance:
    """A finding that a revision's author accepts."""

    code: str
    reason: str
    until: date | None
    path: Path
    line: int


def acceptances(revisions: Sequence[Revision]) -> list[Acceptance]:
    """Read what the files of revisions accept.

    Raises:
        UsageError: a day is none.

    """
    return [
        Acceptance(
            found["code"],
            found["reason"] or "",
            _day(found["until"], revision),
            revision.path,
            line,
        )
        for revision in revisions
        for line, text in enumerate(revision.path.read_text().splitlines(), 1)
        if (found := MARK.match(text))
    ]


def _day(text: str | None, revision: Revision) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{revision.path.name} accepts a finding until {text}, no day.") from None


def accepted(findings: Sequence[Finding], given: Sequence[Acceptance]) -> Iterator[Finding]:
    """Turn accepted findings into notes that say why, and find acceptances that accept nothing."""
    used: set[Acceptance] = set()
    today = datetime.now(UTC).date()
    valid = [a for a in given if a.reason and (a.until is None or today <= a.until)]
    for finding in findings:
        why = next((a for a in valid if _is_about(a, finding)), None)
        if why is None:
            yield finding
            continue
        used.add(why)
        until = f", until {why.until}" if why.until else ""
        message = f"{finding.message} Accepted: {why.reason}{until}."
        yield replace(finding, level="note", message=message, remedy="")
    for one in given:
        if one not in used:
            yield _of_no_use(one, any(_is_about(one, finding) for finding in findings))


def _is_about(one: Acceptance, finding: Finding) -> bool:
    return one.code == finding.code and finding.path in ("", str(one.path))


def _of_no_use(one: Acceptance, matches: bool) -> Finding:  # noqa: FBT001
    if not one.reason:
        code, message = "accepted-without-reason", f"{one.code} is accepted without a reason."
    elif matches:
        code, message = "acceptance-expired", f"{one.code} was accepted until {one.until}."
    else:
        code, message = "acceptance-unused", f"{one.code} is accepted and was not found."
    remedy = "# review: ignore CODE because …" if not one.reason else "take the comment away"
    return Finding(code, message, path=str(one.path), line=one.line, remedy=remedy)


#: What else may be turned off or up: it is found elsewhere, too.
OTHERS = {
    "defaults-filled",
    "downgrade-failed",
    "edited",
    "irreversible",
    "irreversible-without-reason",
    "no-downgrade",
    "not-repeated",
    "not-restored",
    "nulls-filled",
    "revision-gone",
    "rows-lost",
    "schema-and-rows-mixed",
    "second-upgrade-failed",
    "several-heads",
}


def once(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Leave out what follows from a downgrade that does nothing: nothing is restored."""
    idle = {finding.path for finding in findings if finding.code == "no-downgrade"}
    follows = {"not-restored", "downgrade-failed", "second-upgrade-failed"}
    return (f for f in findings if not (f.code in follows and f.path in idle))


def levelled(findings: Iterable[Finding], levels: Mapping[str, str]) -> Iterator[Finding]:
    """Apply what ``[tool.project.schema.review]`` says of codes.

    Raises:
        UsageError: it speaks of a code or a level that there is not.

    """
    if strange := set(levels) - set(CODES) - OTHERS:
        raise UsageError(f"[tool.project.schema.review] levels: there is no {min(strange)}.")
    if strange := set(levels.values()) - {"off", *LEVELS}:
        raise UsageError(
            f"[tool.project.schema.review] levels: {min(strange)} is none of off, note, warning and"
            " error."
        )
    for finding in findings:
        level = levels.get(finding.code)
        if level is None:
            yield finding
        elif level != "off":
            yield replace(finding, level=LEVELS[level])


def of_files(history: History, revisions: Sequence[Revision]) -> Iterator[Finding]:
    """Find what is wrong with the history and with the files of the reviewed revisions."""
    paths = {str(revision.path) for revision in revisions}
    for finding in (*graph(history), *integrity.edited(history)):
        # A reviewed revision is new, so that it is not recorded yet goes without saying.
        old = finding.path and finding.path not in paths
        if finding.code != "not-recorded" and not (old and finding.code == "no-downgrade"):
            yield finding
    for revision in revisions:
        if revision.downgrade_raises and not _says_why(revision.path):
            yield Finding(
                "irreversible-without-reason",
                f"The downgrade of revision {revision.revision} raises and does not say why.",
                object=f"revision {revision.revision}",
                path=str(revision.path),
                line=1,
                remedy='raise NotImplementedError("What cannot be brought back, and why.")',
            )


def _says_why(path: Path) -> bool:
    tree = ast.parse(path.read_bytes())
    downgrades = [
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "downgrade"
    ]
    return any(
        isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args
        for function in downgrades
        for node in ast.walk(function)
    )


def mixed(observation: Observation, names: Collection[str]) -> Iterator[Finding]:
    """Find revisions that change the schema and rows of tables that were there before."""
    for name in names:
        own = [statement for statement in observation.own if statement.revision == name]
        schema = next(
            (s for s in own if any(lock.blocks_writers and lock.taken for lock in s.locks)), None
        )
        rows = next(
            (s for s in own if any(w.kind in ("insert", "update", "delete") for w in s.work)), None
        )
        if schema and rows:
            yield Finding(
                "schema-and-rows-mixed",
                f"Revision {name} changes the schema (line {schema.line}) and rows (line"
                f" {rows.line}): if the second fails, both are undone, and locks last longer.",
                level="note",
                object=f"revision {name}",
                path=rows.file,
                line=rows.line,
                remedy="a revision for each",
            )
