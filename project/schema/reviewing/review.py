"""What a reviewer must know of new revisions, found by running them.

The revisions are run together, as env.py runs them: once on empty tables, to learn which tables
they touch, and then with rows in those. Each statement is observed, rows and catalogs before and
after are compared, and what the release still running would send is sent before and after.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import sqlalchemy as sa

from project.schema import scratch
from project.schema.configuration import Project
from project.schema.finding import Finding, Report
from project.schema.hazards.actions import actions
from project.schema.hazards.availability import MODEST, Judge
from project.schema.hazards.conditions import Conditions
from project.schema.hazards.rewrites import Catalogs
from project.schema.reviewing import policy, rules
from project.schema.reviewing.bench import Bench, Plan, Trial
from project.schema.reviewing.observation import MODES, Observation, Statement
from project.schema.reviewing.page import Reviewed, page
from project.schema.reviewing.previous import Release
from project.schema.reviewing.sizes import Sizes
from project.schema.selection import Selection

Progress = Callable[[str], None]


#: What becomes of rows, not of columns.
OF_ROWS = {"rows-deleted", "values-overwritten"}

#: A table that is not there, and what takes one away.
GONE = re.compile(r"relation .* does not exist")
TAKES_AWAY = re.compile(
    r"\b(?:DROP\s+(?!INDEX|CONSTRAINT|COLUMN)|RENAME\s+TO|SET\s+SCHEMA)", re.IGNORECASE
)


def _silent(_what: str) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Review:
    """What running the revisions has shown."""

    trial: Trial
    findings: tuple[Finding, ...]


def review(  # noqa: PLR0913
    project: Project,
    server: sa.URL,
    chosen: Collection[str] | Selection,
    *,
    sizes: Sizes | None = None,
    running: str | None = None,
    progress: Progress = _silent,
) -> Report:
    """Run the chosen revisions, judge them, and write the page for a reviewer.

    Args:
        project: Whose revisions.
        server: Where scratch databases are made.
        chosen: The revisions that production does not have yet; by name, or how to find them.
        sizes: How large production's tables are; without them, any may be large.
        running: The commit that production runs; without it, the one that new work builds on.
        progress: Told what comes next.

    Raises:
        UsageError: there is nothing to review, or git does not know the commit.
        SourceError: the project cannot be imported, or the review's beginning not be reached.
        ScratchError: the server gives no scratch database.

    """
    with ExitStack() as stack:
        base = stack.enter_context(scratch.database(server))
        project.begin(base)
        source = stack.enter_context(project.open(base))
        release = stack.enter_context(Release(project, base, running))
        progress("reading the migrations")
        if isinstance(chosen, Selection):
            chosen = chosen.or_new_work(source)
        plan = Plan.of(source, chosen)
        release.take([revision.path for revision in plan.revisions])
        progress("bringing a database to where production stands")
        for revision in plan.base:
            source.upgrade(base, revision)
        release.wait()  # a copy is made of a database that nobody uses
        bench = Bench(
            server,
            base,
            source,
            plan,
            [source.version_table()],
            models=release.models,
            said=release.said,
            values=project.values,
        )
        found = examine(bench, sizes or Sizes(), progress)
        names = [revision.revision for revision in plan.revisions]
        findings = [
            *found.findings,
            *policy.of_files(source.history, plan.revisions),
            *policy.mixed(found.trial.observation, names),
        ]
    findings = list(policy.levelled(policy.once(findings), project.levels))
    findings = list(policy.accepted(findings, policy.acceptances(plan.revisions)))
    trial = found.trial
    reviewed = Reviewed(
        names,
        tuple(_placed(findings, plan, trial.observation)),
        trial.observation,
        trial.down,
        trial.before,
        trial.after,
        trial.rolled_back,
        bench.said,
    )
    return project.relative(page(reviewed))


def examine(bench: Bench, sizes: Sizes, progress: Progress = _silent) -> Review:
    """Run the revisions of a plan, and judge them."""
    progress("running the revisions on empty tables")
    empty = bench.on_empty_tables()
    progress("running the revisions with rows in the tables")
    trial = bench.with_rows(empty)
    judge = Judge(trial.observation.before, sizes, Catalogs(trial.before, trial.after))
    # What fails in production locks nothing there for long.
    sure = [f for f in trial.findings if f.code in ("fails", "fails-with-rows")]
    failing = {(f.path, f.line) for f in sure}
    judged = [f for f in judge.findings(trial.observation) if (f.path, f.line) not in failing]
    findings = [*trial.findings, *judged]
    conditions = Conditions(trial.before, trial.after, bench.nulls)
    told = {(finding.code, finding.line) for finding in findings}
    findings += [
        finding
        for finding in conditions.findings(trial.observation)
        if (finding.code, finding.line) not in told
    ]
    findings += rules.of_duplicates(findings)
    findings += rules.of_checks(trial.before, trial.after, findings)
    findings += rules.of_domains(trial.before, trial.after, findings)
    findings += rules.of_types(trial.before, trial.after, findings)
    return Review(trial, tuple(findings))


def _placed(findings: Sequence[Finding], plan: Plan, observation: Observation) -> Iterator[Finding]:
    """Say which line is to blame, where a finding does not know; if none is, the last revision."""
    for finding in findings:
        if finding.path:
            yield replace(finding, line=finding.line or 1)
        elif statement := _cause(finding, observation):
            yield replace(finding, path=statement.file, line=statement.line)
        else:
            yield replace(finding, path=str(plan.revisions[-1].path), line=1)


def _cause(finding: Finding, observation: Observation) -> Statement | None:
    """Find the statement that changed the table that a finding is about, best with its column."""
    kind, _, name = finding.object.partition(" ")
    names = set(re.findall(r'"(\w+)"', finding.message))
    if kind == "column":
        name, _, column = name.rpartition(".")
        names.add(column)
    for columns in re.findall(r"FOREIGN KEY \((.*?)\)", finding.found):
        names.update(re.findall(r"\w+", columns))
    last = name.rpartition(".")[2]
    names.discard(last)  # which all of them name
    own = [s for s in observation.own if kind not in ("column", "table") or _touches(s, name)]
    if not own:  # of a new table no locks are told
        own = [s for s in observation.own if last in re.findall(r"\w+", s.sql)]
    named = [s for s in own if names & set(re.findall(r"\w+", s.sql))]
    if finding.code in OF_ROWS:
        own.sort(key=lambda statement: not _changes_rows(statement))
        named.sort(key=lambda statement: not _changes_rows(statement))
    else:
        # Of those that name it, one that changes the schema is to blame before one that uses it.
        named.sort(key=lambda statement: actions(statement.sql)[0].kind in MODEST)
    if finding.code == "table-lost" or GONE.search(finding.message):
        own.sort(key=lambda statement: TAKES_AWAY.search(statement.sql) is None)
    if kind in ("column", "table"):
        return next(iter([*named, *own]), None)
    return next((s for s in own if last in re.findall(r"\w+", s.sql)), None)


def _changes_rows(statement: Statement) -> bool:
    return any(work.kind in ("update", "delete", "empty") for work in statement.work)


def _touches(statement: Statement, table: str) -> bool:
    table = table.removeprefix("public.")
    named = table.rpartition(".")[2] in re.findall(r"\w+", statement.sql)
    locked = (
        lock.relation
        for lock in statement.locks
        if lock.mode not in MODES[:2] and (lock.taken or named)
    )
    return any(str(r) == table for r in (*locked, *(work.table for work in statement.work)))
