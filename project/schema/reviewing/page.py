"""The page from which a reviewer approves: a review as a report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from project.schema.finding import Finding, Report, Section
from project.schema.hazards.actions import actions
from project.schema.hazards.codes import CODES
from project.schema.pieces import abridged, unguarded
from project.schema.reviewing.compatibility import BY_HAND
from project.schema.reviewing.diagram import diagram
from project.schema.reviewing.observation import Observation, Statement, Work
from project.schema.snapshot import Snapshot

#: What of a statement is shown in the table; all of it stands below.
SHORT = 90

#: More locks than these are told once, where they are taken.
FEW = 2

VERBS = {
    "rewrite": "rewrites",
    "build": "builds an index of",
    "scan": "scans",
    "empty": "empties",
    "insert": "inserts into",
    "update": "updates",
    "delete": "deletes from",
}

#: Codes that say of rows that no downgrade brings them back.
LOSSES = {"table-lost", "column-lost", "rows-deleted", "cast-loses-data", "values-overwritten"}
FILLED = {"nulls-filled", "defaults-filled"}

#: What a person must look at, and why a machine cannot.
CHECKS = {
    "old-release-may-break": "Does the release still running write such rows?",
    "old-release-reads-new-values": "Can the release still running read what the new one writes?",
    "values-overwritten": "Are the values that are replaced needed by anybody?",
    "irreversible": "Is it right that this cannot be undone?",
    "strong-lock-without-timeout": "Who sets a lock_timeout, and who tries again when it strikes?",
}

#: What is said of a revision that is not as revisions should be.
AS_REVISIONS = {
    "no-downgrade": "its downgrade does nothing",
    "not-restored": "its downgrade does not restore what was",
    "not-repeated": "it does not come out the same a second time",
    "rows-lost": "it loses rows on its way down and up",
    "downgrade-failed": "its downgrade fails",
    "several-heads": "there are several heads",
    "edited": "it was edited after its release",
}
ILL = "it is not as revisions should be"

#: What depends on rows that can be counted; who writes long texts knows it without.
COUNTED = {code for code in CODES if code.startswith("may-fail")} - {"may-fail-too-long"}

#: Of these each is a question of its own.
EACH = {"old-release-may-break"}

BY_HAND_TOO = "Is it used by SQL that is written by hand, by a report, by another service?"


@dataclass(frozen=True)
class Reviewed:
    """What a page shows."""

    revisions: Sequence[str]
    findings: Sequence[Finding]
    up: Observation
    down: Observation | None
    before: Snapshot
    after: Snapshot
    rolled_back: Sequence[str] = ()  # what the new release says once the schema is the old one
    running: str = ""  # whose models the release still running has


def page(reviewed: Reviewed) -> Report:
    """Write the page."""
    findings = tuple(reviewed.findings)
    names = ", ".join(reviewed.revisions)
    sections = [
        diagram(reviewed.before, reviewed.after),
        _statements(reviewed.up),
        _sql("SQL of the upgrade, as executed", reviewed.up),
        *([_sql("SQL of the downgrade, as executed", reviewed.down)] if reviewed.down else []),
        _there_and_back(reviewed),
        Section(
            "What only a person can decide", "list", rows=tuple((c,) for c in _checks(findings))
        ),
    ]
    own = reviewed.up.own
    transactions = {s.transaction or str(place) for place, s in enumerate(own)}
    counted = f"{_counted(len(reviewed.revisions), 'revision')}, {_counted(len(own), 'statement')}"
    facts = (
        f"{counted} in {_counted(len(transactions), 'transaction')}",
        f"PostgreSQL {reviewed.before.server_version // 10000}",
        *([f"the release still running: {reviewed.running}"] if reviewed.running else []),
    )
    return Report(
        f"review of {names}",
        findings,
        facts,
        verdict(findings),
        tuple(section for section in sections if section.rows or section.text),
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def verdict(findings: Sequence[Finding]) -> str:
    """Say in one sentence what the findings come to."""
    errors = [finding for finding in findings if finding.level == "error"]
    if not errors:
        if any(finding.level == "warning" for finding in findings):
            return "Nothing is known to go wrong; what depends on production is listed."
        return "Nothing stands in the way."
    said = {
        "failure": "it fails",
        "data": "it loses data",
        "compatibility": "it breaks the release still running",
        "availability": "it blocks readers or writers while a table is worked on",
    }
    axes = {CODES[finding.code].axis for finding in errors if finding.code in CODES}
    parts = [text for axis, text in said.items() if axis in axes]
    others = [finding.code for finding in errors if finding.code not in CODES]
    parts += dict.fromkeys(AS_REVISIONS.get(code, ILL) for code in others)
    listed = ", ".join(parts[:-1])
    return f"Not as it is: {f'{listed}, and ' if listed else ''}{parts[-1]}."


def _statements(observation: Observation) -> Section:
    numbers: dict[str, str] = {}
    rows = []
    for place, statement in enumerate(observation.own):
        key = statement.transaction or f"alone {place}"
        number = numbers.setdefault(key, str(len(numbers) + 1))
        rows.append(
            (
                f"{statement.revision}:{statement.line}",
                abridged(unguarded(statement.sql), SHORT),
                number if statement.in_transaction else f"{number} (alone)",
                _locked(statement),
                ", ".join(_worked(work) for work in statement.work if work.table.is_table) or "-",
                f"{statement.milliseconds:.0f} ms",
            )
        )
    columns = ("line", "statement", "transaction", "others wait for", "work", "took")
    return Section("Statements", "table", columns, tuple(rows))


def _locked(statement: Statement) -> str:
    if statement.error:
        return f"fails: {statement.error.get('message', '')}"
    strong = [lock for lock in statement.locks if lock.blocks_writers and lock.relation.is_table]
    on = {work.table for work in statement.work}
    shown = [lock for lock in strong if lock.taken or lock.relation in on or len(strong) <= FEW]
    told = [f"{x.relation} ({x.name}{'' if x.taken else ', still'})" for x in shown]
    if more := len(strong) - len(shown):
        told.append(f"{_counted(more, 'table')} as before")
    return ", ".join(told) or "-"


def _worked(work: Work) -> str:
    rows = f" ({work.rows} rows)" if work.kind in ("insert", "update", "delete") else ""
    return f"{VERBS[work.kind]} {work.table}{rows}"


def _sql(title: str, observation: Observation) -> Section:
    lines: list[str] = []
    last: tuple[str, str] | None = None
    for place, statement in enumerate(observation.own):
        here = (statement.transaction or f"alone {place}", statement.revision)
        if here != last:
            kind = "in one transaction" if statement.in_transaction else "by itself"
            lines.append(f"-- {statement.revision}, {kind}")
            last = here
        lines.append(f"{statement.sql.rstrip(';')};")
    if observation.failure:
        lines.append(f"-- {observation.failure}")
    return Section(title, "code", text="\n".join(lines), language="sql")


def _there_and_back(reviewed: Reviewed) -> Section:
    codes = {finding.code for finding in reviewed.findings}
    bad = {"not-restored", "not-repeated", "rows-lost", "downgrade-failed", "no-downgrade"} & codes
    if "fails" in codes or reviewed.up.failure:
        said = "Not tried: the upgrade fails."
    elif bad:
        said = f"Up, down and up again is not as it was: {', '.join(sorted(bad))}."
    elif "irreversible" in codes:
        said = "It cannot be undone, and says so."
    elif (LOSSES | FILLED) & codes:
        said = "Up, down and up again: the catalog is what it was; what is lost is told above."
    else:
        said = "Up, down and up again: the catalog and the rows are what they were."
    lines = [said]
    lines += [
        f"The downgrade changes rows (line {statement.line}): also those that the new release has"
        " written by then."
        for statement in (reviewed.down.own if reviewed.down else ())
        if actions(statement.sql)[0].kind in ("update", "delete")
    ]
    if reviewed.rolled_back:
        lines.append(
            "Once downgraded, the new release fails, so its code goes back first: "
            + "; ".join(reviewed.rolled_back)
            + "."
        )
    return Section("There and back", "list", rows=tuple((line,) for line in lines))


def _checks(findings: Sequence[Finding]) -> Iterator[str]:
    told: set[str] = set()
    for finding in findings:
        if finding.code in COUNTED and finding.remedy.startswith("SELECT"):
            yield f"Run on production first: {finding.remedy}"
        elif finding.code in EACH:
            asked = BY_HAND_TOO if BY_HAND in finding.message else CHECKS[finding.code]
            if finding.level == "warning":
                yield f"{asked} {finding.message.partition(f'. {BY_HAND}')[0]}"
        elif finding.code in CHECKS and finding.code not in told:
            told.add(finding.code)
            yield f"{CHECKS[finding.code]} ({finding.object})"
