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
from pathlib import Path

import sqlalchemy as sa

from project.schema import extensions, orders, rows, scratch
from project.schema.configuration import Project
from project.schema.drift import version_table
from project.schema.finding import Finding, Report
from project.schema.progress import Progress, silent
from project.schema.selection import Selection
from project.schema.snapshot import Snapshot, differences, without_parts
from project.schema.source import Revision, SourceError
from project.schema.undoing import about, failed, irreversible, lost, not_the_same
from project.schema.walk import Walk

#: How a revision's file declares what rows must be like for the upgrade to pass; a query finds the
#: others.
ASSUMES = re.compile(r"^\s*# assumes:? *(.*)$", re.MULTILINE)

#: Classes of SQLSTATE with which rows refuse a constraint or a type ("PostgreSQL Error Codes").
REFUSALS = ("22", "23")

#: Seed of the generated rows; the same seed makes the same rows.
SEED = 1

ALL = Selection()


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
                    findings += [
                        *_prove(walk, revision, done),
                        *orders.other_order(walk, revision),
                    ]
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
    before, rows_before = walk.catalog(), walk.rows()
    try:
        walk.upgrade(revision)
    except SourceError as error:
        _blame_no_revision(walk, error)
        if not _refuses_declared_rows(revision, error):
            yield _not_upgraded(walk, revision, error, done)
            return
        yield _assumed(walk, revision)
        rows_before = walk.rows()
        if not revision.downgrade_raises:
            walk.upgrade(revision)
    after = walk.catalog()
    # One cause, said once: nothing is as it was, and the second upgrade finds it all there.
    does_nothing = revision.empty_downgrade and differences(before, after)
    if does_nothing or not revision.has_downgrade:
        yield about(
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
        yield from lost(revision, rows_before, walk.rows())
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
    return about(
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


def _blame_no_revision(walk: Walk, error: SourceError) -> None:
    """Let nobody look in a revision for the fault of the server, or of who killed a process.

    Raises:
        ScratchError: the server has failed, or lacks an extension.
        SourceError: the process of the project is gone.

    """
    if walk.source.ended:
        raise error
    if blamed := scratch.fault(walk.database, error) or extensions.lack(error):
        raise blamed from error
