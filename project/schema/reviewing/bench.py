"""New revisions, run on copies of one scratch database: on empty tables, then with rows in them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from project.schema import scratch
from project.schema.catalog import read
from project.schema.configuration import UsageError
from project.schema.connections import Connection, connected
from project.schema.equivalence import without_equivalents
from project.schema.finding import Finding
from project.schema.hazards import data, failure, references
from project.schema.reviewing import compatibility, consequences, probing, sequences, touched
from project.schema.reviewing.attempts import Stand, both, left_nothing, same_failure, thin, whole
from project.schema.reviewing.observation import Observation
from project.schema.reviewing.observe import observe, relations
from project.schema.reviewing.running import RolledBack, Running
from project.schema.snapshot import Snapshot, differences
from project.schema.source import Revision, Source, SourceError
from project.schema.walking import undoing

Name = tuple[str, str]

#: Up to so many tables all are filled and asked about, touched or not.
ALL_OF_THEM = 20

#: How often a table is made smaller because the migration fails on its rows.
ATTEMPTS = 12


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
    rolled_back: tuple[str, ...] = ()  # what the new release says once the schema is the old one


@dataclass
class Bench:
    """Where the revisions are run: a database at the base, which is used up, and copies of it."""

    server: sa.URL
    base: sa.URL
    source: Source
    plan: Plan
    leave_out: list[Name]
    nulls: frozenset[Name] = frozenset()
    wanted: set[Name] | None = None
    models: Source | None = None  # of the release still running
    said: str = ""  # whose models these are, or why there are none
    values: Mapping[str, Collection[str]] = field(default_factory=dict)  # what columns hold

    def on_empty_tables(self) -> Trial:
        """Run the revisions as they are, to see what they touch."""
        copy = scratch.database(self.server, template=str(self.base.database))
        with copy as database, connected(database) as connection:
            with connected(database) as other:
                before, known = both(
                    lambda: read(other, self.leave_out), lambda: relations(connection)
                )
            observation = observe(self.source, database, self.plan.target, known)
            after = read(connection, self.leave_out)
        return Trial(observation, before, after)

    def with_rows(self, empty: Trial) -> Trial:
        """Run the revisions on rows; on fewer of a table where they fail on it."""
        most = touched.touched(empty.observation, empty.before, empty.after)
        self._fill(most)
        failures: list[Finding] = []
        partial: list[Observation] = []
        thinned: dict[str, int] = {}
        trial = empty
        # A large database takes longer to copy than to migrate. Where all is one transaction, the
        # one at the base will do: what fails leaves nothing behind.
        in_place = left_nothing(empty.observation)
        with ExitStack() as stack:
            stand: Stand | None = None
            for _ in range(ATTEMPTS):
                stand = stand or stack.enter_context(self._stand(in_place=in_place))
                trial = self._attempt(stand, empty.before, thinned)
                failed = failure.failed(trial.observation, trial.before, with_rows=True)
                if failed is None:
                    break
                if empty.observation.failure and same_failure(empty.observation, trial.observation):
                    failed = failure.failed(empty.observation, trial.before, with_rows=False)
                    return replace(trial, findings=[*trial.findings, *filter(None, [failed])])
                partial.append(trial.observation)
                if failed.code not in {finding.code for finding in failures}:
                    failures.append(failed)
                trial = empty
                if not thin(thinned, partial[-1], most):
                    break
                if not left_nothing(partial[-1]):
                    if in_place:
                        break  # it went another way than without rows
                    stack.close()
                    stand = None
        return replace(
            trial,
            observation=whole(partial, trial.observation),
            findings=[*failures, *trial.findings],
        )

    def _fill(self, most: set[Name]) -> None:
        with connected(self.base) as connection:
            everything = touched.names(connection) - set(self.leave_out)
            small = len(everything) <= ALL_OF_THEM
            self.wanted = None if small else most
            some = everything if small else most
            touched.fill(connection, some, most, self.leave_out, self.values)

    @contextmanager
    def _stand(self, *, in_place: bool) -> "Iterator[Stand]":
        copy = scratch.database(self.server, template=str(self.base.database))
        with (
            nullcontext(self.base) if in_place else copy as database,
            connected(database) as connection,
            connected(database) as other,
            probing.application_role(connection) as role,
        ):
            running = Running(connection, database, role, self.models, self.wanted)
            old = running.begin(self.leave_out)
            if running.refused:
                self.models, self.said = None, f"not known: {running.refused}"
            yield Stand(database, connection, other, running, old)

    def _attempt(self, stand: "Stand", before: Snapshot, thinned: Mapping[str, int]) -> Trial:
        database, connection, running = stand.database, stand.connection, stand.running
        stand.take_away(thinned)
        rows_before = data.picture(connection, self.wanted, self.leave_out)
        self.nulls = frozenset(touched.nulls(rows_before))
        observation = observe(self.source, database, self.plan.target, relations(connection))
        if observation.failure is not None:
            return Trial(observation, before, before)
        after, new = both(lambda: read(stand.other, self.leave_out), running.again)
        trial = Trial(observation, before, after)
        rows_after = data.picture(connection, self._still_wanted(rows_before), self.leave_out)
        deleted = {
            work.table.oid
            for statement in observation.statements
            for work in statement.work
            if work.kind in ("delete", "empty")
        }
        trial.findings += data.lost(rows_before, rows_after, connection, deleted)
        new = running.as_owner(stand.old, new)
        found = compatibility.changes(running.asked, stand.old, new)
        unused = running.unused(stand.old, new)
        trial.findings += self._compatibility(trial, found, unused, connection)
        trial.findings += failure.invalid_indexes(before, after, observation.own)
        trial.findings += references.without_index(before, after)
        rolled_back = RolledBack(self.source, database, running.role, self.wanted)
        trial.findings += self._there_and_back(trial, stand, rows_before, rolled_back)
        return trial

    def _still_wanted(self, before: data.Picture) -> "set[Name | int] | None":
        """Return the tables whose rows matter, also if they are called otherwise now."""
        if self.wanted is None:
            return None
        oids = {oid for oid, table in before.tables.items() if table.name in self.wanted}
        return self.wanted | oids

    def _compatibility(
        self,
        trial: Trial,
        found: Sequence[compatibility.Change],
        unused: set[str],
        connection: Connection,
    ) -> Iterator[Finding]:
        lost = {
            finding.object.partition(" ")[2]
            for finding in trial.findings
            if finding.code in ("table-lost", "rows-deleted")
        }
        lost |= compatibility.over(lost, trial.before, trial.after)
        broken = list(compatibility.broken(found, trial.before, trial.after, lost, unused))
        yield from broken
        differing = differences(trial.before, trial.after)
        yield from consequences.of_catalog(differing, trial.before, trial.after)
        yield from sequences.of_catalog(differing)
        yield from consequences.references(trial.before, trial.after)
        told = {finding.object for finding in broken}
        yield from consequences.rules(trial.before, trial.after, told)
        yield from sequences.renamed_or_gone(
            trial.observation.before, trial.before, trial.after, connection
        )

    def _there_and_back(
        self,
        trial: Trial,
        stand: Stand,
        rows_before: data.Picture,
        new_release: RolledBack,
    ) -> Iterator[Finding]:
        """Go down again, and up again, all revisions together, and compare with what was."""
        database, connection = stand.database, stand.connection
        first, last = self.plan.revisions[0], self.plan.revisions[-1]
        if irreversible := [r for r in self.plan.revisions if r.downgrade_raises]:
            yield from map(undoing.irreversible, irreversible)
            return
        if self.plan.target == "heads":
            return  # several heads, which is told: there is no one way back
        new_release.begin()
        to = f"{first.revision}@{(*first.down_revisions, 'base')[0]}"
        trial.down = observe(self.source, database, to, relations(connection), down=True)
        if trial.down.failure is not None:
            yield undoing.failed(last, "downgrade", trial.down.failure)
            return
        now, broken = both(lambda: read(stand.other, self.leave_out), new_release.broken)
        trial.rolled_back = tuple(broken)
        restored = without_equivalents(
            differences(trial.before, now), trial.before, now, stand.other
        )
        yield from undoing.not_the_same(last, "downgrade", restored)
        if not restored:
            rows_after = data.picture(connection, self.wanted, self.leave_out)
            told = {finding.object for finding in trial.findings}
            passage = undoing.Passage(
                trial.before, trial.after, rows_before.contents, rows_after.contents
            )
            for finding in undoing.lost(last, passage):
                if finding.object.replace(" public.", " ") not in told:  # lost on the way up
                    yield finding
        try:
            self.source.upgrade(database, self.plan.target)
        except SourceError as error:
            yield undoing.failed(last, "second upgrade", error)
            return
        now = read(connection, self.leave_out)
        repeated = without_equivalents(differences(trial.after, now), trial.after, now, connection)
        yield from undoing.not_the_same(last, "second upgrade", repeated)
