"""Every revision there and back again, with rows in the tables.

Before each revision every table holds rows that satisfy the catalog. Then: up; down, after which
the catalog and the rows must be what they were; up again, after which the catalog must be what it
was the first time. At the end the history goes down to base and must leave nothing behind.

A loss of rows that is meant is declared in the revision's file, with its reason::

    # loses: my_table.note, which nobody has filled since 2024
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from project.schema.snapshot import Difference, Snapshot, differences
from project.schema.source import Revision, Source, SourceError

#: How a revision's file declares that rows are lost on purpose.
LOSES = re.compile(r"^# loses: *(.*)$", re.MULTILINE)

#: Seed of the generated rows; the same seed makes the same rows.
SEED = 1

ALL = Selection()


@dataclass
class Walk:
    """Where a walk goes on: one scratch database, how to read it, and its catalog as last read."""

    database: sa.URL
    source: Source
    connection: Connection
    leave_out: list[tuple[str, str]]
    seed: int
    rows_per_table: int
    last: Snapshot | None = None

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
        scratch.database(server) as database,
        project.open(database) as source,
        connected(database) as connection,
    ):
        leave_out = version_table(source.metadata())
        walk = Walk(database, source, connection, leave_out, seed, rows_per_table)
        empty = walk.catalog()
        chosen = only.of(source)
        way = _as_far_as(chosen, source.revisions)
        complete = True
        for number, revision in enumerate(way):
            progress(number, len(way), revision.revision)
            try:
                if revision.revision in chosen:
                    findings += _prove(walk, revision)
                    proved += 1
                else:
                    walk.upgrade(revision)
            except SourceError as error:
                _blame_no_revision(walk, error)
                findings.append(_failed(revision, "upgrade", error))
                complete = False
                break
        if complete and not any(revision.downgrade_raises for revision in way):
            findings += _down_to_base(walk, empty)
    facts = (f"{proved} revisions proved with rows in the tables (seed {seed})",)
    return project.relative(Report("every revision up, down and up again", tuple(findings), facts))


def _as_far_as(chosen: Collection[str], revisions: Sequence[Revision]) -> Sequence[Revision]:
    """Return the revisions up to the last one of those that were chosen."""
    places = [place for place, each in enumerate(revisions) if each.revision in chosen]
    return revisions[: places[-1] + 1 if places else 0]


def _prove(walk: Walk, revision: Revision) -> Iterator[Finding]:
    for table, reason in _filled(walk).items():
        yield Finding(
            "table-not-filled",
            f"No row could be made for {'.'.join(table)}, so revision {revision.revision}"
            f" is proved on it empty: {reason}",
            level="note",
            object=f"table {'.'.join(table)}",
        )
    before, rows_before = walk.catalog(), rows.read(walk.connection, walk.leave_out)
    walk.upgrade(revision)
    after = walk.catalog()
    if revision.downgrade_raises:
        yield _about(
            revision,
            "irreversible",
            f"Revision {revision.revision} cannot be undone, and says so.",
            level="note",
        )
        return
    try:
        walk.downgrade(revision)
    except SourceError as error:
        _blame_no_revision(walk, error)
        yield _failed(revision, "downgrade", error)
        return
    restored = walk.catalog()
    yield from _not_the_same(revision, "downgrade", differences(before, restored))
    if before.items.keys() <= restored.items.keys():
        yield from _lost(revision, rows_before, rows.read(walk.connection, walk.leave_out))
    walk.upgrade(revision)
    yield from _not_the_same(revision, "second upgrade", differences(after, walk.catalog()))


def _filled(walk: Walk) -> Mapping[tuple[str, str], str]:
    """Fill the tables, and return those that no row could be made for."""
    if not walk.rows_per_table:
        return {}
    filling = rows.fill(
        walk.connection, seed=walk.seed, rows=walk.rows_per_table, leave_out=walk.leave_out
    )
    return filling.refused


def _not_the_same(
    revision: Revision, step: str, differing: Collection[Difference]
) -> Iterator[Finding]:
    for difference in differing:
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


def _lost(revision: Revision, before: rows.Contents, after: rows.Contents) -> Iterator[Finding]:
    declared = LOSES.search(Path(revision.path).read_text())
    for loss in rows.losses(before, after):
        name = ".".join(filter(None, (loss.schema, loss.table, loss.column)))
        kind = "column" if loss.column else "table"
        yield _about(
            revision,
            "rows-lost",
            f"Up and down again, revision {revision.revision} loses {loss.count} values of {name}"
            + (f", as it declares: {declared[1]}." if declared else "."),
            level="note" if declared else "error",
            object=f"{kind} {name}",
            found=loss.example,
            remedy="" if declared else "keep the rows, or declare the loss: # loses: …, because …",
        )


def _down_to_base(walk: Walk, empty: Snapshot) -> Iterator[Finding]:
    try:
        walk.downgrade_to_base()
    except SourceError as error:
        _blame_no_revision(walk, error)
        message = f"The history does not go down to base in one go: {error}"
        yield Finding("downgrade-failed", message)
        return
    for difference in differences(empty, walk.catalog()):
        yield Finding(
            "left-behind",
            f"Down at base, {difference.key} is still there."
            if difference.attribute is None
            else f"Down at base, the {difference.attribute} of {difference.key} is not as it was.",
            object=str(difference.key),
            attribute=difference.attribute or "",
        )


def _failed(revision: Revision, step: str, error: SourceError) -> Finding:
    return _about(
        revision,
        f"{step}-failed",
        f"The {step} of revision {revision.revision} fails with rows in the tables: {error}",
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
