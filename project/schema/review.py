"""What a reviewer must know of new revisions, found by running them.

The revisions are run together, as env.py runs them: once on empty tables, to learn which tables
they touch, and then with rows in those. Each statement is observed, rows and catalogs before and
after are compared, and what the release still running would send is sent before and after.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import psycopg
import sqlalchemy as sa
from psycopg import sql

from project.schema import compatibility, policy, probes, roundtrip, rows, scratch
from project.schema.catalog import read
from project.schema.configuration import Project, UsageError
from project.schema.drift import Connection, connected, version_table
from project.schema.finding import Finding, Report
from project.schema.hazards import data, failure
from project.schema.hazards.actions import actions
from project.schema.hazards.availability import Judge
from project.schema.observe import Observation, Relation, observe
from project.schema.page import Reviewed, page
from project.schema.sizes import Sizes
from project.schema.snapshot import Snapshot, differences
from project.schema.source import Revision, Source, SourceError

Name = tuple[str, str]

#: Rows of a table that is touched: enough to tell a few of them from most of them.
ROWS = 60

#: Rows of the others, to refer to.
FEW_ROWS = 4

#: Up to so many tables all are filled and asked about, touched or not.
ALL_OF_THEM = 40

#: How often a table is made smaller because the migration fails on its rows.
ATTEMPTS = 6

Progress = Callable[[str], None]


def _silent(_what: str) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Plan:
    """Which revisions are reviewed, from where, and to where."""

    revisions: tuple[Revision, ...]  # each after those that it builds on
    base: tuple[str, ...]  # where production stands; empty for a new database
    target: str

    @classmethod
    def of(cls, source: Source, chosen: Collection[str]) -> "Plan":
        """Plan the review of revisions.

        Raises:
            UsageError: there is nothing to review.

        """
        revisions = tuple(r for r in source.revisions if r.revision in chosen)
        if not revisions:
            raise UsageError("There is no revision to review.")
        names = {revision.revision for revision in revisions}
        below = [d for r in revisions for d in (*r.down_revisions, *r.dependencies)]
        heads = names - set(below)
        target = next(iter(heads)) if len(heads) == 1 else "heads"
        base = tuple(dict.fromkeys(name for name in below if name not in names))
        return cls(revisions, base, target)


@dataclass
class Trial:
    """The revisions, run on rows."""

    observation: Observation
    before: Snapshot
    after: Snapshot
    findings: list[Finding] = field(default_factory=list)
    down: Observation | None = None


@dataclass(frozen=True)
class Review:
    """What running the revisions has shown."""

    trial: Trial
    findings: tuple[Finding, ...]


def review(
    project: Project,
    server: sa.URL,
    chosen: Collection[str],
    *,
    sizes: Sizes | None = None,
    progress: Progress = _silent,
) -> Report:
    """Run the chosen revisions, judge them, and write the page for a reviewer.

    Args:
        project: Whose revisions.
        server: Where scratch databases are made.
        chosen: The revisions that production does not have yet.
        sizes: How large production's tables are; without them, any may be large.
        progress: Told what comes next.

    Raises:
        UsageError: there is nothing to review.
        SourceError: the project cannot be imported, or the review's beginning not be reached.
        ScratchError: the server gives no scratch database.

    """
    with scratch.database(server) as base, project.open(base) as source:
        plan = Plan.of(source, chosen)
        progress("bringing a database to where production stands")
        for revision in plan.base:
            source.upgrade(base, revision)
        bench = Bench(server, base, source, plan, _version_table(source))
        found = examine(bench, sizes or Sizes(), progress)
        names = [revision.revision for revision in plan.revisions]
        findings = [
            *found.findings,
            *policy.of_files(source.history, plan.revisions),
            *policy.mixed(found.trial.observation, names),
        ]
    findings = list(policy.levelled(findings, project.levels))
    findings = list(policy.accepted(findings, policy.acceptances(plan.revisions)))
    trial = found.trial
    reviewed = Reviewed(
        names,
        tuple(_placed(findings, plan)),
        trial.observation,
        trial.down,
        trial.before,
        trial.after,
    )
    return project.relative(page(reviewed))


def examine(bench: "Bench", sizes: Sizes, progress: Progress = _silent) -> Review:
    """Run the revisions of a plan, and judge them."""
    progress("running the revisions on empty tables")
    empty = bench.on_empty_tables()
    progress("running the revisions with rows in the tables")
    trial = bench.with_rows(empty)
    progress("running the revisions up, down and up again")
    trial.findings += bench.there_and_back(trial)
    judge = Judge(trial.observation.before, sizes)
    # What fails in production locks nothing there for long.
    failing = {f.line for f in trial.findings if f.code in ("fails", "fails-with-rows")}
    judged = [f for f in judge.findings(trial.observation) if f.line not in failing]
    findings = [*trial.findings, *judged]
    conditions = failure.Conditions(trial.before, trial.after, bench.nulls)
    told = {(finding.code, finding.line) for finding in findings}
    findings += [
        finding
        for finding in conditions.findings(trial.observation)
        if (finding.code, finding.line) not in told
    ]
    return Review(trial, tuple(findings))


def _version_table(source: Source) -> list[Name]:
    try:
        return version_table(source.metadata())
    except SourceError:  # it has migrations and no models
        return [("public", "alembic_version")]


def _placed(findings: Sequence[Finding], plan: Plan) -> Iterator[Finding]:
    """Give findings that no statement is to blame for the file of the last revision."""
    for finding in findings:
        path = finding.path or str(plan.revisions[-1].path)
        yield replace(finding, path=path, line=finding.line or 1)


@dataclass
class Bench:
    """Where the revisions are run: databases that are all copies of one at the base."""

    server: sa.URL
    base: sa.URL
    source: Source
    plan: Plan
    leave_out: list[Name]
    nulls: frozenset[Name] = frozenset()
    wanted: set[Name] | None = None

    def on_empty_tables(self) -> Trial:
        """Run the revisions as they are, to see what they touch."""
        with self._copy() as database, connected(database) as connection:
            before = read(connection, self.leave_out)
            observation = observe(self.source, database, self.plan.target)
            after = read(connection, self.leave_out)
        return Trial(observation, before, after)

    def with_rows(self, empty: Trial) -> Trial:
        """Run the revisions on rows; on fewer of a table where they fail on it."""
        self._fill(_touched(empty))
        failures: list[Finding] = []
        partial: list[Observation] = []
        thinned: dict[str, int] = {}
        trial = empty
        for _ in range(ATTEMPTS):
            trial = self._attempt(thinned)
            failed = failure.failed(trial.observation, trial.before, with_rows=True)
            if failed is None:
                break
            if empty.observation.failure and _same_failure(empty, trial):
                failed = failure.failed(empty.observation, trial.before, with_rows=False)
                return replace(trial, findings=[*trial.findings, *filter(None, [failed])])
            partial.append(trial.observation)
            if failed.code not in {finding.code for finding in failures}:
                failures.append(failed)
            trial = empty
            if not _thin(thinned, partial[-1]):
                break
        return replace(
            trial,
            observation=_whole(partial, trial.observation),
            findings=[*failures, *trial.findings],
        )

    def _fill(self, touched: set[Name]) -> None:
        with connected(self.base) as connection:
            everything = {name for (name,) in _names(connection)} - set(self.leave_out)
            small = len(everything) <= ALL_OF_THEM
            self.wanted = None if small else touched
            _fill(connection, everything if small else touched, touched, self.leave_out)

    def _attempt(self, thinned: dict[str, int]) -> Trial:
        with (
            self._copy() as database,
            connected(database) as connection,
            probes.application_role(connection) as role,
        ):
            before = read(connection, self.leave_out)
            asked = [
                probe
                for probe in probes.probes(connection, self.wanted)
                if (probe.relation.schema, probe.relation.name) not in self.leave_out
            ]
            old = probes.outcomes(connection, asked, role)
            for table, count in thinned.items():
                _keep(connection, table, count)
            if thinned:
                fewer = probes.outcomes(connection, asked, role)
                old = [
                    replace(o, rows=min(o.rows, f.rows)) for o, f in zip(old, fewer, strict=True)
                ]
            rows_before = data.picture(connection, self.wanted, self.leave_out)
            self.nulls = frozenset(_nulls(rows_before))
            observation = observe(self.source, database, self.plan.target)
            after = read(connection, self.leave_out)
            trial = Trial(observation, before, after)
            if observation.failure is not None:
                return trial
            new = probes.outcomes(connection, asked, role)
            rows_after = data.picture(connection, self._still_wanted(rows_before), self.leave_out)
            trial.findings += data.lost(rows_before, rows_after, connection)
            found = compatibility.changes(asked, old, new)
            trial.findings += self._compatibility(trial, found)
            trial.findings += failure.invalid_indexes(before, after)
            trial.down = self._down(database)
        return trial

    def _still_wanted(self, before: data.Picture) -> "set[Name | int] | None":
        """Return the tables whose rows matter, also if they are called otherwise now."""
        if self.wanted is None:
            return None
        oids = {oid for oid, table in before.tables.items() if table.name in self.wanted}
        return self.wanted | oids

    def _compatibility(
        self, trial: Trial, found: Sequence[compatibility.Change]
    ) -> Iterator[Finding]:
        lost = {
            finding.object.partition(" ")[2]
            for finding in trial.findings
            if finding.code in ("table-lost", "rows-deleted")
        }
        yield from compatibility.broken(found, trial.before, lost)
        differing = differences(trial.before, trial.after)
        yield from compatibility.of_catalog(differing, trial.after)

    def _down(self, database: sa.URL) -> Observation | None:
        if any(revision.downgrade_raises for revision in self.plan.revisions):
            return None
        first = self.plan.revisions[0]
        if self.plan.target == "heads":
            return None
        to = f"{first.revision}@{(*first.down_revisions, 'base')[0]}"
        return observe(self.source, database, to, down=True)

    def there_and_back(self, trial: Trial) -> Iterator[Finding]:
        """Prove that each revision can be undone, as ``roundtrip`` does."""
        if trial.observation.failure is not None:
            return
        if all(revision.downgrade_raises for revision in self.plan.revisions):
            yield from map(roundtrip.irreversible, self.plan.revisions)
            return
        with self._copy() as database, connected(database) as connection:
            walk = roundtrip.Walk(
                database, self.source, connection, self.leave_out, roundtrip.SEED, 0
            )
            for revision in self.plan.revisions:
                try:
                    yield from roundtrip.prove(walk, revision)
                except SourceError:
                    return  # told already

    def _copy(self) -> "AbstractContextManager[sa.URL]":
        return scratch.database(self.server, template=str(self.base.database))


def _names(connection: Connection) -> Iterator[tuple[Name]]:
    for schema, name in connection.execute(
        "SELECT nspname, relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace"
        " WHERE relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition AND nspname !~ '^pg_'"
        " AND nspname <> 'information_schema'"
    ):
        yield ((schema, name),)


def _touched(trial: Trial) -> set[Name]:
    """Return the tables that the revisions lock, change or write, and what uses their types."""
    found: set[Name] = set()
    types: set[str] = set()
    for difference in differences(trial.before, trial.after):
        if difference.key.kind in ("enum", "domain", "domain constraint", "composite type"):
            types.add(difference.key.name[1])
        if len(difference.key.name) > 1:
            found.add((difference.key.name[0], difference.key.name[1]))
    for item in trial.before.of_kind("column"):
        if any(name in str(item.attributes["type"]) for name in types):
            found.add((item.key.name[0], item.key.name[1]))
    before = trial.observation.before
    for statement in trial.observation.own:
        relations = [lock.relation for lock in statement.locks if lock.mode != "AccessShareLock"]
        for relation in [*relations, *(work.table for work in statement.work)]:
            table: Relation | None = before.get(relation.of, relation)
            while table is not None:
                found.add((table.schema, table.name))
                table = before.get(table.parent)
        if statement.error:  # what it would have touched
            found |= {_named(action.table) for action in actions(statement.sql) if action.table}
    known = {(relation.schema, relation.name) for relation in before.values()}
    return found & known


def _named(table: str) -> Name:
    schema, _, name = table.rpartition(".")
    return schema or "public", name


def _fill(
    connection: Connection, some: set[Name], touched: set[Name], leave_out: Collection[Name]
) -> None:
    """Fill tables and those that they refer to; the touched ones with more rows."""
    parents: dict[Name, set[Name]] = {}
    for child_schema, child, schema, name in connection.execute(
        "SELECT cn.nspname, c.relname, pn.nspname, p.relname FROM pg_constraint"
        " JOIN pg_class AS c ON c.oid = conrelid"
        " JOIN pg_namespace AS cn ON cn.oid = c.relnamespace"
        " JOIN pg_class AS p ON p.oid = confrelid"
        " JOIN pg_namespace AS pn ON pn.oid = p.relnamespace"
        " WHERE contype = 'f'"
    ):
        parents.setdefault((child_schema, child), set()).add((schema, name))
    reached, new = set(some), set(some)
    while new:
        new = {parent for child in new for parent in parents.get(child, ())} - reached
        reached |= new
    everything = {name for (name,) in _names(connection)}
    for wanted, count in ((reached, FEW_ROWS), (touched, ROWS)):
        rows.fill(
            connection,
            seed=roundtrip.SEED,
            rows=count,
            leave_out=[*leave_out, *(everything - wanted)],
        )


def _nulls(picture: data.Picture) -> Iterator[Name]:
    for (_, table), contents in picture.contents.items():
        for place, column in enumerate(contents.columns):
            if any(row[place] is None for row in contents.rows):
                yield table, column


def _same_failure(one: Trial, other: Trial) -> bool:
    """Whether it fails on rows just as it does without."""
    errors = [
        next((s.error.get("sqlstate") for s in reversed(t.observation.own) if s.error), None)
        for t in (one, other)
    ]
    lengths = [len(t.observation.own) for t in (one, other)]
    return errors[0] == errors[1] and lengths[0] == lengths[1]


def _thin(thinned: dict[str, int], observation: Observation) -> bool:
    """Note that the table on which it failed shall have one row, or then none."""
    statement = next((s for s in reversed(observation.own) if s.error), None)
    if statement is None:
        return False
    told = statement.error
    table = ".".join(filter(None, (told.get("schema_name", ""), told.get("table_name", ""))))
    table = table or ".".join(_named(actions(statement.sql)[0].table))
    if table in ("", "public.") or thinned.get(table) == 0:
        return False
    thinned[table] = 0 if table in thinned else 1
    return True


def _keep(connection: Connection, table: str, count: int) -> None:
    """Delete all but so many rows, whoever refers to them."""
    name = sql.Identifier(*table.split("."))
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        try:
            with connection.transaction():
                connection.execute(
                    sql.SQL(
                        "DELETE FROM {0} WHERE ctid NOT IN (SELECT ctid FROM {0} LIMIT {1})"
                    ).format(name, count)
                )
        except psycopg.Error:
            return  # it is no table, and the next attempt fails as this one did


def _whole(partial: Sequence[Observation], last: Observation) -> Observation:
    """Take each statement from the attempt with the most rows in which it succeeded."""
    statements = list(last.statements)
    for attempt in reversed(partial):
        for place, statement in enumerate(attempt.statements[: len(statements)]):
            if statement.error or statement.sql != statements[place].sql:
                break
            statements[place] = replace(statement, transaction=statements[place].transaction)
    before = partial[0].before if partial else last.before
    return replace(last, statements=tuple(statements), before=before)
