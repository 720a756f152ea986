"""What a migration's statements really lock, rewrite, build, scan and change.

Nothing is derived from the text of a statement: PostgreSQL is asked after each one (``watching``),
and what is found is compared with what was there before. Only relations that existed before the
first statement count, for nobody else can be waiting for the others.

Sources:
    https://www.postgresql.org/docs/current/sql-altertable.html (what rewrites, what scans)

"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import dict_row

from project.schema.connections import connected
from project.schema.reviewing.observation import MODES, Lock, Observation, Relation, Statement, Work
from project.schema.source import Source, Watched
from project.schema.worker.samples import RELATIONS

#: Of the scratch database, so that what is observed can be relied on: workers' counters never reach
#: the leader; a small table is not scanned where an index would be used on a large one; and
#: counters are those of this moment.
SETTINGS = {
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "enable_seqscan": "off",
    "stats_fetch_consistency": "none",
    "track_counts": "on",
}

#: So much of a table must be read for it to be a scan: a look for one row stops early.
PART = 0.5


Told = Mapping[str, Any]

#: What was there before the first statement, by oid.
Before = Mapping[int, Told]


def observe(
    source: Source,
    database: sa.URL,
    to: str,
    before: Before | None = None,
    *,
    down: bool = False,
) -> Observation:
    """Upgrade a scratch database and observe every statement.

    Args:
        source: The project.
        database: A scratch database, which stands where the migration begins; best with rows, and
            analyzed, so that their number is known.
        to: A revision, ``heads``, ``+1``.
        before: What :func:`relations` has just told, where there is a connection to ask.
        down: Whether to downgrade instead.

    Raises:
        SourceError: the project's process ended. A migration that fails is part of the answer.

    """
    return _observed(database, lambda: source.watch(database, to, down=down), before)


def observe_file(source: Source, database: sa.URL, path: Path) -> Observation:
    """Run the upgrade of a migration that is not in the history yet, and observe every statement.

    Args:
        source: The project.
        database: A scratch database, as for :func:`observe`.
        path: The migration.

    Raises:
        SourceError: the project's process ended. A migration that fails is part of the answer.

    """
    return _observed(database, lambda: source.watch_file(database, path), None)


def _observed(database: sa.URL, watch: Callable[[], Watched], before: Before | None) -> Observation:
    if before is None:
        with connected(database) as connection:
            before = relations(connection)
    watched = watch()
    return Observation(
        tuple(_statements(watched.statements, before)),
        watched.failure,
        {oid: _relation(told) for oid, told in before.items()},
    )


def relations(connection: "psycopg.Connection[Any]") -> Before:
    """Tell what there is before a migration, and have it observed from now on.

    A new session opens each relation for the first time, which takes it longer than all the rest;
    one that has done so already need not.
    """
    prepare(connection)
    with connection.cursor(row_factory=dict_row) as cursor:
        return {told["oid"]: told for told in cursor.execute(RELATIONS.encode())}


def prepare(connection: "psycopg.Connection[Any]") -> None:
    """Make a scratch database one in which sessions that begin from now on can be observed."""
    name = sql.Identifier(connection.info.dbname)
    for setting, value in SETTINGS.items():
        command = sql.SQL("ALTER DATABASE {} SET {} = {}")
        connection.execute(command.format(name, sql.Identifier(setting), sql.Literal(value)))
    connection.execute("SELECT pg_stat_force_next_flush()")


def _relation(told: Told) -> Relation:
    return Relation(
        told["oid"],
        told["schema"],
        told["name"],
        told["kind"],
        told["of"],
        told["parent"],
        max(0, int(told["rows"])),
    )


@dataclass
class _Known:
    """What is known of relations while statements are gone through."""

    before: Mapping[int, Relation]
    last: dict[int, Told]
    files: set[int]

    def learn(self, told: Sequence[Told]) -> None:
        self.last.update({each["oid"]: each for each in told})
        self.files.update(each["file"] for each in told)

    def table(self, told: Told) -> Relation | None:
        """Return the table, of an index too, if it existed before."""
        return self.before.get(told["of"] or told["oid"])


def _statements(notes: Sequence[Told], before: Mapping[int, Told]) -> Iterator[Statement]:
    known = _Known(
        {oid: _relation(told) for oid, told in before.items()},
        dict(before),
        {told["file"] for told in before.values()},
    )
    transaction, held, catalog, commits = "", frozenset[Held](), 0, 0
    for note in notes:
        after = note.get("after") or {}
        if note["commits"] != commits:
            transaction, commits = f"after {note['commits']} others", note["commits"]
        statement = Statement(
            note["file"],
            note["line"],
            note["revision"],
            note["sql"].strip(),
            note.get("milliseconds", 0.0),
            "" if note["alone"] else after.get("transaction", transaction),
            idle=note.get("idle", 0.0),
            lock_timeout=after.get("lock_timeout", "0"),
            can_share=not note["alone"] or note["tried"] is not None,
            error={key: value for key, value in note.get("error", {}).items() if value},
        )
        if not after:
            yield statement
            continue
        seen = note.get("tried") or after
        changed = seen["relations"] or []
        locked = {oid for oid, _ in seen["locks"] or []} if statement.can_share else None
        work = tuple(_folded(list(_work(changed, known, locked))))
        if statement.can_share:
            if statement.transaction != transaction:
                held = frozenset()
            told = seen["locks"] or []
            locks = tuple(_locks(told, known, held))
            held = frozenset((oid, mode) for oid, modes in told for mode in modes)
        else:
            locks = tuple(_inferred(changed, known))
        transaction = statement.transaction
        known.learn(changed)
        known.learn(after["relations"] or [])
        alters = seen["catalog"] > catalog
        catalog = after["catalog"]
        yield replace(statement, locks=locks, work=work, alters=alters)


#: A relation and a mode in which it is locked.
Held = tuple[int, str]


def _locks(told: Sequence[Sequence[Any]], known: _Known, held: frozenset[Held]) -> Iterator[Lock]:
    for oid, modes in told:
        if relation := known.before.get(oid):
            mode = max(modes, key=MODES.index)
            asked = max((m for m in modes if (oid, m) not in held), key=MODES.index, default="")
            yield Lock(relation, mode, taken=asked == mode, asked=asked)


def _inferred(told: Sequence[Told], known: _Known) -> Iterator[Lock]:
    """Tell the locks of a statement that cannot share a transaction by what it left behind.

    Up to PostgreSQL 18 nothing writes a table anew without ACCESS EXCLUSIVE, an index that keeps
    its identity is rebuilt under SHARE (and closed to readers), and one that CONCURRENTLY makes is
    a new one.
    """
    modes: dict[Relation, str] = {}
    for each in told:
        relation, last = known.before.get(each["oid"]), known.last.get(each["oid"])
        changed = last is not None and each["file"] not in known.files
        if relation and changed:
            modes[relation] = "AccessExclusiveLock"
        if each["of"] and (changed or last is None) and (table := known.before.get(each["of"])):
            mode = "ShareLock" if changed else "ShareUpdateExclusiveLock"
            modes[table] = max(mode, modes.get(table, mode), key=MODES.index)
    for relation, mode in modes.items():
        yield Lock(relation, mode, taken=True)


def _work(told: Sequence[Told], known: _Known, locked: set[int] | None) -> Iterator[Work]:
    """Tell what was done; None of ``locked`` where locks are not known."""
    built = Counter(each["of"] for each in told if each["file"] not in known.files)
    for each in told:
        table, last = known.table(each), known.last.get(each["oid"])
        if table is None:
            continue
        new_file = each["file"] not in known.files
        # What is not locked any more was given back by a failure, maybe at the first row.
        undone = locked is not None and each["oid"] not in locked
        if each["of"]:
            if new_file:
                yield Work("build", table, index=each["name"], rows=table.rows)
            elif last is not None and each["read"] - last["read"] >= max(3, PART * table.rows):
                read = each["read"] - last["read"]
                yield Work("scan", table, index=each["name"], rows=read, undone=undone)
        elif last is not None:
            # TRUNCATE reads nothing, but for the indexes that it makes anew.
            unread = each["scans"] - last["scans"] <= built[each["oid"]]
            if new_file and unread and each["bytes"] == 0 < last["bytes"]:
                yield Work("empty", table, rows=table.rows)
            elif new_file:
                yield Work("rewrite", table, rows=table.rows)
            yield from _read_and_written(each, last, table, 0 if undone else PART, undone=undone)


def _read_and_written(
    each: Told, last: Told, table: Relation, part: float, *, undone: bool
) -> Iterator[Work]:
    read = each["read"] - last["read"]
    if each["scans"] > last["scans"] and read >= part * table.rows:
        yield Work("scan", table, rows=read, undone=undone)
    written: tuple[tuple[Literal["insert", "update", "delete"], str], ...]
    written = (("insert", "inserted"), ("update", "updated"), ("delete", "deleted"))
    for kind, counter in written:
        if each[counter] > last[counter]:
            yield Work(kind, table, rows=each[counter] - last[counter], undone=undone)


def _folded(work: list[Work]) -> Iterator[Work]:
    """Leave out what is part of something larger: who rewrites or indexes a table also scans it."""
    rewritten = {each.table for each in work if each.kind in ("rewrite", "empty")}
    built = {each.table for each in work if each.kind == "build"}
    scanned: set[Relation] = set()
    for each in work:
        if each.kind == "build" and each.table in rewritten:
            continue
        if each.kind == "scan":
            if each.table in rewritten | built | scanned:
                continue
            scanned.add(each.table)
        yield each
