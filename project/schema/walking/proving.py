"""One revision of a walk proved: up, down, up again, with rows in the tables."""

import re
from collections.abc import Iterator
from pathlib import Path

from project.schema import extensions, scratch
from project.schema.equivalence import without_equivalents
from project.schema.finding import Finding
from project.schema.rows import Contents
from project.schema.snapshot import Difference, Snapshot, differences
from project.schema.source import Revision, SourceError
from project.schema.walking.filling import fill
from project.schema.walking.undoing import Passage, about, failed, irreversible, lost, not_the_same
from project.schema.walking.walk import Walk

#: How a revision's file declares what rows must be like for the upgrade to pass; a query finds the
#: others.
ASSUMES = re.compile(r"^\s*# assumes:? *(.*)$", re.MULTILINE)

#: Classes of SQLSTATE with which rows refuse a constraint or a type ("PostgreSQL Error Codes").
REFUSALS = ("22", "23")

#: What few columns hold, and no whole number can be: nobody needs to declare that there is none,
#: and the other rows shall be converted all the same.
NO_NUMBER = re.compile(r"cannot convert NaN to \w+")


def prove(walk: Walk, revision: Revision, done: int) -> Iterator[Finding]:
    """Prove a revision, and leave the walk after it, whatever was found.

    Raises:
        SourceError: the upgrade fails on empty tables, too.

    """
    for table, reason in fill(walk, done).items():
        yield Finding(
            "table-not-filled",
            f"No row could be made for {'.'.join(table)}, so revision {revision.revision}"
            f" is proved on it empty: {reason}",
            level="note",
            object=f"table {'.'.join(table)}",
        )
    before, rows_before = walk.catalog(), walk.rows()
    try:
        rows_before = _upgraded(walk, revision, rows_before)
    except SourceError as error:
        blame_no_revision(walk, error)
        if not (assumption := _assumption(revision, error)):
            yield _not_upgraded(walk, revision, error, done)
            return
        _make_rows_that_fit(walk, revision, before, done)
        yield about(
            revision,
            "rows-assumed",
            f"Revision {revision.revision} fails on rows that production may have: it assumes"
            f" {assumption}",
            level="note",
        )
        rows_before = walk.rows()
        if not revision.downgrade_raises:
            walk.upgrade(revision)
    after = walk.catalog()
    # One cause, said once: nothing is as it was, and the second upgrade finds it all there.
    does_nothing = revision.empty_downgrade and _to_undo(before, after)
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
    if not revision.empty_downgrade:
        yield from not_the_same(revision, "downgrade", _differing(walk, before))
    if before.items.keys() <= restored.items.keys():
        yield from lost(revision, Passage(before, after, rows_before, walk.rows()))
    yield from _again(walk, revision, after, done)


def _upgraded(walk: Walk, revision: Revision, held: Contents) -> Contents:
    """Upgrade by a revision, and return the rows that it was given.

    Args:
        walk: Which stands before it.
        revision: Which may need numbers that are some.
        held: The rows.

    Raises:
        SourceError: it fails.

    """
    try:
        walk.upgrade(revision)
    except SourceError as error:
        if not NO_NUMBER.search(str(error)):
            raise
        walk.without_nan()
        held = walk.rows()
        walk.upgrade(revision)
    return held


def repeat(walk: Walk, revision: Revision, done: int) -> None:
    """Leave the walk as :func:`prove` does where it finds nothing amiss, without looking.

    Raises:
        SourceError: a step fails.

    """
    fill(walk, done)
    # Whether an empty downgrade matters is the one thing that has to be looked at.
    before = walk.catalog() if revision.empty_downgrade else None
    _upgraded(walk, revision, {})
    if not revision.has_downgrade or revision.downgrade_raises:
        return
    if before is not None and _to_undo(before, walk.catalog()):
        return
    walk.downgrade(revision)
    walk.upgrade(revision)


def _differing(walk: Walk, expected: Snapshot) -> list[Difference]:
    """Tell how the database differs from what it was, but for what means the same.

    A column that becomes a number and a text again leaves casts in its checks and its default.
    """
    found = walk.catalog()
    return without_equivalents(differences(expected, found), expected, found, walk.connection)


def _to_undo(before: Snapshot, after: Snapshot) -> list[Difference]:
    """Return the changes that a downgrade has to take back; a validation has no inverse."""
    return [
        each
        for each in differences(before, after)
        if (each.attribute, each.found) not in (("validated", True), ("not null validated", None))
    ]


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


def _not_upgraded(walk: Walk, revision: Revision, error: SourceError, done: int) -> Finding:
    """Go on after a revision that failed on rows.

    Raises:
        SourceError: it fails on empty tables, too.

    """
    when = " with rows in the tables"
    if not walk.begin_after(done + 1):
        when = " in a run of its own, though not in one together with those before it"
    return failed(revision, "upgrade", error, when)


def refused_by_rows(error: SourceError) -> bool:
    """Whether it is the rows that refuse a step, and not the schema."""
    return str(error.sqlstate).startswith(REFUSALS)


def _assumption(revision: Revision, error: SourceError) -> str:
    """Return what an upgrade declares to assume of rows; nothing where they do not refuse it."""
    declared = ASSUMES.search(Path(revision.path).read_text())
    return (declared[1] or "so") if declared and refused_by_rows(error) else ""


def _make_rows_that_fit(walk: Walk, revision: Revision, before: Snapshot, done: int) -> None:
    """Go on with rows that satisfy the revision, made where it leads to and taken back by it.

    Rows that only the later schema takes are refused on the way back, and cannot be told from the
    others; then, and where the way back is wrong, it is proved without rows.

    Raises:
        SourceError: it fails without any rows as well.

    """
    walk.clear()
    walk.upgrade(revision)
    if revision.downgrade_raises:
        return
    walk.fill()
    try:
        walk.downgrade(revision)
    except SourceError as error:
        blame_no_revision(walk, error)
        walk.begin_after(done)
        return
    if _differing(walk, before):
        walk.begin_after(done)


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
