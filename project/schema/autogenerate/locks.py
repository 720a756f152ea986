"""What a migration was seen to lock, as a short table for whoever has it written."""

from collections.abc import Iterable, Iterator

from project.schema.pieces import abridged, unguarded
from project.schema.reviewing.observation import MODES, Lock, Observation, Statement

#: Weaker modes are those of any request.
FROM = MODES.index("ShareUpdateExclusiveLock")

#: Characters shown of a statement.
LENGTH = 48


def table(seen: Observation) -> str:
    """Write a line for each lock that a statement takes on a table that was there before.

    One that an earlier statement holds already is told again where the statement has work to do
    under it, which takes the longer the larger the table is.

    Returns:
        The lines; nothing where a migration locks nothing.

    """
    rows = [row for statement in seen.own for row in _rows(statement)]
    if not rows:
        return ""
    rows.insert(0, ("statement", "table", "lock", "who waits", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _rows(statement: Statement) -> Iterator[tuple[str, ...]]:
    said = abridged(unguarded(statement.sql), LENGTH)
    for lock in statement.locks:
        work = _work(statement, lock)
        told = lock.taken or work
        if told and lock.relation.is_table and MODES.index(lock.mode) >= FROM:
            yield said, str(lock.relation), lock.name, _waiting(lock), work
            said = ""


def _waiting(lock: Lock) -> str:
    if lock.blocks_readers:
        return "readers and writers"
    return "writers" if lock.blocks_writers else "nobody"


def _work(statement: Statement, lock: Lock) -> str:
    verbs = {"rewrite": "rewrites it", "scan": "scans it", "empty": "empties it"}
    verbs |= {"insert": "inserts", "update": "updates", "delete": "deletes"}
    done: Iterable[str] = (
        f"builds {work.index}" if work.kind == "build" else verbs[work.kind]
        for work in statement.work
        if work.table == lock.relation
    )
    return ", ".join(dict.fromkeys(done))
