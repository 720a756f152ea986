"""One revision of a walk proved: up, down, up again, with rows in the tables."""

import re
from collections.abc import Iterator
from pathlib import Path

from project.schema import extensions, scratch
from project.schema.equivalence import without_equivalents
from project.schema.finding import Finding
from project.schema.snapshot import Difference, Snapshot, differences
from project.schema.source import Revision, SourceError
from project.schema.walking.undoing import about, failed, irreversible, lost, not_the_same
from project.schema.walking.walk import Walk

#: How a revision's file declares what rows must be like for the upgrade to pass; a query finds the
#: others.
ASSUMES = re.compile(r"^\s*# assumes:? *(.*)$", re.MULTILINE)

#: Classes of SQLSTATE with which rows refuse a constraint or a type ("PostgreSQL Error Codes").
REFUSALS = ("22", "23")


def prove(walk: Walk, revision: Revision, done: int) -> Iterator[Finding]:
    """Prove a revision, and leave the walk after it, whatever was found.

    Raises:
        SourceError: the upgrade fails on empty tables, too.

    """
    for table, reason in walk.fill(walk.rows()).items():
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
        blame_no_revision(walk, error)
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
        blame_no_revision(walk, error)
        yield failed(revision, "downgrade", error, " with rows in the tables")
        walk.begin_after(done + 1)
        return
    restored = walk.catalog()
    yield from not_the_same(revision, "downgrade", _differing(walk, before))
    if before.items.keys() <= restored.items.keys():
        yield from lost(revision, rows_before, walk.rows())
    yield from _again(walk, revision, after, done)


def repeat(walk: Walk, revision: Revision) -> None:
    """Leave the walk as :func:`prove` does where it finds nothing amiss, without looking.

    Raises:
        SourceError: a step fails.

    """
    walk.fill()
    # Whether an empty downgrade matters is the one thing that has to be looked at.
    before = walk.catalog() if revision.empty_downgrade else None
    walk.upgrade(revision)
    if not revision.has_downgrade or revision.downgrade_raises:
        return
    if before is not None and differences(before, walk.catalog()):
        return
    walk.downgrade(revision)
    walk.upgrade(revision)


def _again(walk: Walk, revision: Revision, after: Snapshot, done: int) -> Iterator[Finding]:
    """Upgrade a second time."""
    try:
        walk.upgrade(revision)
    except SourceError as error:
        blame_no_revision(walk, error)
        yield failed(revision, "second upgrade", error)
        walk.begin_after(done + 1)
        return
    if differing := _differing(walk, after):
        yield from not_the_same(revision, "second upgrade", differing)
        walk.begin_after(done + 1)


def _differing(walk: Walk, expected: Snapshot) -> list[Difference]:
    """Compare the database with what it was, as the server understands both.

    A column whose type is changed and changed back leaves casts in a check that lists values, and
    no downgrade can do better.
    """
    found = walk.catalog()
    return without_equivalents(differences(expected, found), expected, found, walk.connection)


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
    walk.clear()
    walk.upgrade(revision)
    if not revision.downgrade_raises:
        walk.fill()
        walk.downgrade(revision)
    declared = ASSUMES.search(Path(revision.path).read_text())
    return about(
        revision,
        "rows-assumed",
        f"Revision {revision.revision} fails on rows that production may have: it assumes"
        f" {declared[1] if declared else ''}",
        level="note",
    )


def blame_no_revision(walk: Walk, error: SourceError) -> None:
    """Let nobody look in a revision for the fault of the server, or of who killed a process.

    Raises:
        ScratchError: the server has failed, or lacks an extension.
        SourceError: the process of the project is gone.

    """
    if walk.source.ended:
        raise error
    if blamed := scratch.fault(walk.database, error) or extensions.lack(error):
        raise blamed from error
