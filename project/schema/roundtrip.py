"""Every revision there and back again, with rows in the tables.

Before each revision every table holds rows that satisfy the catalog. Then: up; down, after which
the catalog and the rows must be what they were; up again, after which the catalog must be what it
was the first time. At the end the history goes down to base and must leave nothing behind.

A loss of rows that is meant is declared in the revision's file, with its reason::

    # loses: my_table.note, which nobody has filled since 2024

So is what rows must be like for an upgrade to pass, such as one that adds a unique constraint; it
is then proved with rows like that::

    # assumes: no rows repeat: SELECT name FROM my_table GROUP BY name HAVING count(*) > 1
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from project.schema import rows, scratch
from project.schema.catalog import read
from project.schema.configuration import Project
from project.schema.drift import Connection, connected, version_table
from project.schema.finding import Finding, Report
from project.schema.progress import Progress, silent
from project.schema.remedy import shown
from project.schema.selection import Selection
from project.schema.snapshot import Difference, Snapshot, differences, without_parts
from project.schema.source import Revision, Source, SourceError

#: How a revision's file declares that rows are lost on purpose.
LOSES = re.compile(r"^\s*# loses: *(.*)$", re.MULTILINE)

#: How it declares what rows must be like for the upgrade to pass: a query finds the others.
ASSUMES = re.compile(r"^\s*# assumes:? *(.*)$", re.MULTILINE)

#: Classes of SQLSTATE with which rows refuse a constraint or a type ("PostgreSQL Error Codes").
REFUSALS = ("22", "23")

#: Seed of the generated rows; the same seed makes the same rows.
SEED = 1

ALL = Selection()


@dataclass
class Walk:
    """Where a walk goes on: a scratch database with rows, and the one it can begin anew from.

    The other one only ever goes up and holds no rows. It follows when it is needed: a revision that
    cannot be undone costs one upgrade more and a copy, and those after it are proved all the same.
    """

    project: Project
    server: sa.URL
    untouched: sa.URL
    source: Source
    leave_out: list[tuple[str, str]]
    seed: int
    rows_per_table: int
    stage: ExitStack  # closes the database with rows
    database: sa.URL = field(init=False)
    connection: Connection = field(init=False)
    reached: int = 0  # how many revisions the untouched one has
    last: Snapshot | None = None  # the catalog as last read

    def begin_after(self, number: int) -> bool:
        """Begin anew, without rows, after so many revisions.

        Returns:
            Whether they went up one by one. Those that do not may go up together: a type that one
            creates and another creates again is forgiven within one command of Alembic.

        Raises:
            SourceError: they do not go up together, either.

        """
        one_by_one = True
        try:
            for revision in self.source.revisions[self.reached : number]:
                self.source.upgrade(self.untouched, revision.revision)
                self.reached += 1
        except SourceError:
            one_by_one = False
            scratch.empty(self.server, self.untouched)
            self.project.begin(self.untouched)
            for head in _heads(self.source.revisions[:number]):
                self.source.upgrade(self.untouched, head)
            self.reached = number
        self.stage.close()
        copy = scratch.database(self.server, template=str(self.untouched.database))
        self.database = self.stage.enter_context(copy)
        self.connection = self.stage.enter_context(connected(self.database))
        self.last = None
        return one_by_one

    def upgrade(self, revision: Revision) -> None:
        """Upgrade by a revision."""
        self.source.step_up(self.database, revision.revision)
        self.last = None

    def downgrade(self, revision: Revision) -> None:
        """Take back a revision, the last one that was upgraded to."""
        self.source.step_down(self.database, revision.revision)
        self.last = None

    def downgrade_to_base(self) -> None:
        """Take back everything, as one command."""
        self.source.downgrade(self.database, "base")
        self.last = None

    def catalog(self) -> Snapshot:
        """Read the catalog, unless nothing but rows has changed since it was last read."""
        if self.last is None:
            self.last = read(self.connection, self.leave_out)
        return self.last


def roundtrip(  # noqa: PLR0913
    project: Project,
    server: sa.URL,
    *,
    only: Selection = ALL,
    seed: int = SEED,
    rows_per_table: int = 8,
    progress: Progress = silent,
) -> Report:
    """Walk the history.

    Args:
        project: Whose history.
        server: Where the scratch database is made.
        only: The revisions to prove. The others are only gone through, as far as the last of these.
        seed: Of the generated rows.
        rows_per_table: How many rows each table holds at least; with 0 only schemas are proved.
        progress: Told before each revision how many are done, of how many, and which comes.

    Raises:
        SourceError: the project cannot be imported, or has no such revision.
        UsageError: no revision is meant, or git does not know the commit.
        ScratchError: the server gives no scratch database, or is gone in the middle.

    """
    findings: list[Finding] = []
    proved = 0
    with (
        scratch.database(server) as untouched,
        project.open(untouched) as source,
        ExitStack() as stage,
    ):
        project.begin(untouched)
        leave_out = version_table(source.metadata())
        walk = Walk(project, server, untouched, source, leave_out, seed, rows_per_table, stage)
        walk.begin_after(0)
        empty = walk.catalog()
        chosen = only.of(source)
        way = _as_far_as(chosen, source.revisions)
        for done, revision in enumerate(way):
            progress(done, len(way), revision.revision)
            try:
                if revision.revision in chosen:
                    findings += _prove(walk, revision, done)
                    proved += 1
                else:
                    walk.upgrade(revision)
            except SourceError as error:
                _blame_no_revision(walk, error)
                findings.append(failed(revision, "upgrade", error))
                break
        else:
            if all(revision.has_downgrade and not revision.downgrade_raises for revision in way):
                findings += _down_to_base(walk, empty, findings)
    facts = (f"{proved} of {len(way)} revisions proved with rows in the tables (seed {seed})",)
    return project.relative(Report("every revision up, down and up again", tuple(findings), facts))


def _as_far_as(chosen: Collection[str], revisions: Sequence[Revision]) -> Sequence[Revision]:
    """Return the revisions up to the last one of those that were chosen."""
    places = [place for place, each in enumerate(revisions) if each.revision in chosen]
    return revisions[: places[-1] + 1 if places else 0]


def _prove(walk: Walk, revision: Revision, done: int) -> Iterator[Finding]:
    """Prove a revision, and leave the walk after it, whatever was found.

    Raises:
        SourceError: the upgrade fails on empty tables, too.

    """
    for table, reason in _filled(walk).items():
        yield Finding(
            "table-not-filled",
            f"No row could be made for {'.'.join(table)}, so revision {revision.revision}"
            f" is proved on it empty: {reason}",
            level="note",
            object=f"table {'.'.join(table)}",
        )
    before, rows_before = walk.catalog(), rows.read(walk.connection, walk.leave_out)
    try:
        walk.upgrade(revision)
    except SourceError as error:
        _blame_no_revision(walk, error)
        if not _refuses_declared_rows(revision, error):
            yield _not_upgraded(walk, revision, error, done)
            return
        yield _assumed(walk, revision)
        rows_before = rows.read(walk.connection, walk.leave_out)
        if not revision.downgrade_raises:
            walk.upgrade(revision)
    after = walk.catalog()
    # One cause, said once: nothing is as it was, and the second upgrade finds it all there.
    does_nothing = revision.empty_downgrade and differences(before, after)
    if does_nothing or not revision.has_downgrade:
        yield _about(
            revision,
            "no-downgrade",
            f"Revision {revision.revision} changes the schema and its downgrade does nothing."
            if does_nothing
            else f"Revision {revision.revision} has no downgrade.",
            remedy="add one, or raise in it with a sentence that says why there is none",
        )
        return
    if revision.downgrade_raises:
        yield irreversible(revision)
        return
    try:
        walk.downgrade(revision)
    except SourceError as error:
        _blame_no_revision(walk, error)
        yield failed(revision, "downgrade", error, " with rows in the tables")
        walk.begin_after(done + 1)
        return
    restored = walk.catalog()
    yield from not_the_same(revision, "downgrade", differences(before, restored))
    if before.items.keys() <= restored.items.keys():
        yield from lost(revision, rows_before, rows.read(walk.connection, walk.leave_out))
    yield from _again(walk, revision, after, done)


def _again(walk: Walk, revision: Revision, after: Snapshot, done: int) -> Iterator[Finding]:
    """Upgrade a second time."""
    try:
        walk.upgrade(revision)
    except SourceError as error:
        _blame_no_revision(walk, error)
        yield failed(revision, "second upgrade", error)
        walk.begin_after(done + 1)
        return
    if differing := differences(after, walk.catalog()):
        yield from not_the_same(revision, "second upgrade", differing)
        walk.begin_after(done + 1)


def _not_upgraded(walk: Walk, revision: Revision, error: SourceError, done: int) -> Finding:
    """Go on after a revision that failed on rows.

    Raises:
        SourceError: it fails on empty tables, too.

    """
    when = " with rows in the tables"
    if not walk.begin_after(done + 1):
        when = " in a run of its own, though not in one together with those before it"
    return failed(revision, "upgrade", error, when)


def _refuses_declared_rows(revision: Revision, error: SourceError) -> bool:
    declared = ASSUMES.search(Path(revision.path).read_text())
    return declared is not None and str(error.sqlstate).startswith(REFUSALS)


def _assumed(walk: Walk, revision: Revision) -> Finding:
    """Go on with rows that satisfy the revision, made where it leads to and taken back by it.

    Raises:
        SourceError: it fails without any rows as well.

    """
    rows.clear(walk.connection, walk.leave_out)
    walk.upgrade(revision)
    if not revision.downgrade_raises:
        _filled(walk)
        walk.downgrade(revision)
    declared = ASSUMES.search(Path(revision.path).read_text())
    return _about(
        revision,
        "rows-assumed",
        f"Revision {revision.revision} fails on rows that production may have: it assumes"
        f" {declared[1] if declared else ''}",
        level="note",
    )


def _filled(walk: Walk) -> Mapping[tuple[str, str], str]:
    """Fill the tables, and return those that no row could be made for."""
    if not walk.rows_per_table:
        return {}
    filling = rows.fill(
        walk.connection,
        seed=walk.seed,
        rows=walk.rows_per_table,
        leave_out=walk.leave_out,
        values=walk.project.values,
    )
    return filling.refused


def _heads(revisions: Collection[Revision]) -> list[str]:
    """Return those on which none of the others builds."""
    beneath = {name for r in revisions for name in (*r.down_revisions, *r.dependencies)}
    return [r.revision for r in revisions if r.revision not in beneath]


def irreversible(revision: Revision) -> Finding:
    """Note that a revision cannot be undone, on purpose."""
    return _about(
        revision,
        "irreversible",
        f"Revision {revision.revision} cannot be undone, and says so.",
        level="note",
    )


def not_the_same(
    revision: Revision, step: str, differing: Collection[Difference]
) -> Iterator[Finding]:
    """Tell what a step should have left as it was."""
    for difference in without_parts(differing):
        what = f"the {difference.attribute} of " if difference.attribute else ""
        yield _about(
            revision,
            "not-restored" if step == "downgrade" else "not-repeated",
            f"After the {step} of revision {revision.revision}, {what}{difference.key}"
            f" is not what it was.",
            object=str(difference.key),
            attribute=difference.attribute or "",
            expected=shown(difference.expected),
            found=shown(difference.found),
        )


def lost(revision: Revision, before: rows.Contents, after: rows.Contents) -> Iterator[Finding]:
    """Tell what rows a way up and down loses."""
    declared = LOSES.search(Path(revision.path).read_text())
    for loss in rows.losses(before, after):
        if loss.of_nulls:
            yield _about(
                revision,
                "nulls-filled",
                f"Up and down again, revision {revision.revision} leaves values in place of NULL"
                f" in {loss.schema}.{loss.table}.{loss.column}.",
                level="note",
                object=f"column {loss.schema}.{loss.table}.{loss.column}",
                found=loss.example,
            )
            continue
        name = ".".join(filter(None, (loss.schema, loss.table, loss.column)))
        kind, what = ("column", "value") if loss.column else ("table", "row")
        number = f"{loss.count} {what}{'s' * (loss.count != 1)}"
        yield _about(
            revision,
            "rows-lost",
            f"Up and down again, revision {revision.revision} loses {number} of {name}"
            + (f", as it declares: {declared[1]}." if declared else "."),
            level="note" if declared else "error",
            object=f"{kind} {name}",
            found=loss.example,
            remedy="" if declared else "keep the rows, or declare the loss: # loses: …, because …",
        )


def _down_to_base(walk: Walk, empty: Snapshot, said: Collection[Finding]) -> Iterator[Finding]:
    """Go down in one go, and say what a revision alone has not been blamed for already."""
    if any(finding.code == "downgrade-failed" for finding in said):
        return
    blamed = {(finding.object, finding.attribute) for finding in said}
    try:
        walk.downgrade_to_base()
    except SourceError as error:
        _blame_no_revision(walk, error)
        message = f"The history does not go down to base in one go: {error}"
        yield Finding("downgrade-failed", message)
        return
    for difference in without_parts(differences(empty, walk.catalog())):
        if (str(difference.key), difference.attribute or "") in blamed:
            continue
        yield Finding(
            "left-behind",
            f"Down at base, {difference.key} is still there."
            if difference.attribute is None
            else f"Down at base, the {difference.attribute} of {difference.key} is not as it was.",
            object=str(difference.key),
            attribute=difference.attribute or "",
        )


def failed(revision: Revision, step: str, error: SourceError, when: str = "") -> Finding:
    """Say that a step fails."""
    return _about(
        revision,
        f"{step.replace(' ', '-')}-failed",
        f"The {step} of revision {revision.revision} fails{when}: {error}",
    )


def _blame_no_revision(walk: Walk, error: SourceError) -> None:
    """Let nobody look in a revision for the fault of the server, or of who killed a process.

    Raises:
        ScratchError: the server has failed.
        SourceError: the process of the project is gone.

    """
    if walk.source.ended:
        raise error
    if blamed := scratch.fault(walk.database, error):
        raise blamed from error


def _about(revision: Revision, code: str, message: str, **values: str) -> Finding:
    fields = {"object": f"revision {revision.revision}", "path": str(revision.path), **values}
    return Finding(code=code, message=message, line=1, **fields)  # type: ignore[arg-type]
