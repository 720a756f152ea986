"""Does it block readers or writers while work grows with the table?

A lock mode alone says nothing: most ALTER TABLEs hold ACCESS EXCLUSIVE for an instant. What blocks
is a lock *while* something takes its time, in the same statement or later in its transaction.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from project.schema.finding import Finding
from project.schema.hazards import advice, hidden, waiting
from project.schema.hazards.actions import actions
from project.schema.hazards.codes import CODES
from project.schema.hazards.rewrites import Catalogs, rewrite
from project.schema.hazards.rewrites.rows import LOOP
from project.schema.reviewing.observation import Lock, Observation, Relation, Statement, Work
from project.schema.reviewing.sizes import Sizes

#: To change so many rows of a table, and such a part of it, is to change it in bulk.
FEW, BULK = 3, 0.1

#: Rows that are locked by whoever reads them.
FOR_UPDATE = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?(?:UPDATE|(?:KEY\s+)?SHARE)\b", re.IGNORECASE)

#: A statement that takes a bounded number of rows at a time.
BOUNDED = re.compile(
    r"\bLIMIT\b|\bBETWEEN\b|\bFETCH\s+FIRST\b|<=?.*\bAND\b.*>|>=?.*\bAND\b.*<"
    r"|\bIN\s*\((?!\s*SELECT)|=\s*ANY\s*\((?!\s*(?:ARRAY\s*\()?\s*SELECT)",
    re.IGNORECASE | re.DOTALL,
)

#: A condition that any part of the rows may satisfy, however few of those here do.
ANY_PART = re.compile(
    r"\bIS\s+(?:NOT\s+)?(?:NULL|DISTINCT|TRUE|FALSE)\b|<>|!=|\bNOT\s+(?:IN|LIKE|ILIKE|EXISTS)\b",
    re.IGNORECASE,
)

#: What changes rows, at the beginning or after WITH.
CHANGES = re.compile(
    r"(?:^\s*|\)\s*)(?:UPDATE\s+(?:ONLY\s+)?(?P<update>[\w.\"]+)\s"
    r"|DELETE\s+FROM\s+(?:ONLY\s+)?(?P<delete>[\w.\"]+)\s)",
    re.IGNORECASE,
)

#: A condition that picks rows by a value; one that compares columns of two tables joins them.
PICKS = re.compile(r"(?<![<>!])=(?!\s*\"?[A-Z_]\w*\"?\.\"?[A-Z_])")

WORDS = {
    "rewrite": "is written anew",
    "build": "has an index built",
    "scan": "is read from end to end",
    "update": "has rows updated",
    "delete": "has rows deleted",
}

DONE = {"update": "updated", "delete": "deleted", "scan": "locked"}

#: Statements that need no strong lock themselves.
MODEST = {"query", "update", "delete", "validate"}


@dataclass(frozen=True)
class Judge:
    """What is needed to judge statements: what existed before, and how large production's is."""

    before: Mapping[int, Relation]
    sizes: Sizes
    catalogs: Catalogs

    def findings(self, observation: Observation) -> Iterator[Finding]:
        """Judge the statements of an upgrade, in their order."""
        holders: dict[tuple[str, int], Statement] = {}
        line: list[Statement] = []
        for statement in observation.own:
            if line and (line[-1].file, line[-1].line) != (statement.file, statement.line):
                line = []
            for lock in statement.locks:
                if lock.taken:
                    holders[statement.transaction, lock.relation.oid] = statement
            yield from self._statement(statement, holders, line)
            line.append(statement)
        yield from self._in_bulk(observation)
        yield from hidden.findings(observation, self._counts)
        yield from waiting.findings(observation, self._blocking)
        yield from _without_timeout(observation)

    def _statement(
        self,
        statement: Statement,
        holders: Mapping[tuple[str, int], Statement],
        line: Sequence[Statement],
    ) -> Iterator[Finding]:
        work = tuple(each for each in statement.work if self._counts(each))
        locks = self._blocking(statement)
        if not work or not locks:
            return
        done = actions(statement.sql)
        modest = all(action.kind in MODEST for action in done)
        own = {} if modest else _own(work, locks)
        if own:
            yield self._under_own_lock(statement, work, own, line)
            locks = {table: lock for table, lock in locks.items() if table not in own}
        if locks:
            yield from self._under_other_locks(statement, work, locks, holders, told=bool(own))

    def _under_other_locks(
        self,
        statement: Statement,
        work: tuple[Work, ...],
        locks: Mapping[str, Lock],
        holders: Mapping[tuple[str, int], Statement],
        *,
        told: bool,
    ) -> Iterator[Finding]:
        """Tell of locks of earlier statements; of those that are alike, at once."""
        other = rewrite(statement, work, self.catalogs)
        if told and other:  # it is said of the same line already
            other = f"# as line {statement.line} is mended it commits first, and lets go of these"
        alike: dict[str, dict[str, Lock]] = {}
        for table, lock in locks.items():
            alike.setdefault(lock.name, {})[table] = lock
        for name, these in alike.items():
            since = [
                holders.get((statement.transaction, lock.relation.oid), statement)
                for lock in these.values()
            ]
            lines = list(dict.fromkeys(f"{s.line}{_of(s, statement)}" for s in since))
            who = next(iter(these.values())).who_waits
            yield Finding(
                "lock-held-during-work",
                f"{' and '.join(these)} {'is' if len(these) == 1 else 'are'} locked ({name}, since"
                f" line{'s' * (len(lines) > 1)} {' and '.join(lines)}) while {_told(work)}:"
                f" {who} wait.",
                object=f"table {next(iter(these))}",
                found=self._evidence(work, these),
                remedy=other or advice.split(since[0], statement),
                path=statement.file,
                line=statement.line,
            )

    def _counts(self, work: Work) -> bool:
        if not work.table.is_table or not self.sizes.matters(work.table):
            return False
        if work.kind in ("update", "delete"):
            return work.rows >= max(FEW, BULK * work.table.rows)
        return work.kind in ("rewrite", "build", "scan")

    def _blocking(self, statement: Statement) -> dict[str, Lock]:
        """Return the strongest lock that makes others wait, by the table they wait for.

        Whoever reads an index's table opens the index; whoever reads a partitioned table, its
        partitions.
        """
        found: dict[str, Lock] = {}
        for lock in statement.locks:
            table = self.before.get(lock.relation.of, lock.relation)
            # A materialized view is written by REFRESH alone.
            blocks = lock.blocks_readers if table.kind == "m" else lock.blocks_writers
            if not blocks or not table.is_table:
                continue
            last = found.get(str(table))
            if last is None or last.blocks_readers < lock.blocks_readers:
                found[str(table)] = lock
        return found

    def _under_own_lock(
        self,
        statement: Statement,
        work: tuple[Work, ...],
        locks: Mapping[str, Lock],
        line: Sequence[Statement],
    ) -> Finding:
        kinds = {each.kind for each in work}
        reads = any(lock.blocks_readers for lock in locks.values())
        if "rewrite" in kinds:
            code = "rewrite-under-access-exclusive"
        elif "build" in kinds:
            code = "index-blocks-reads" if reads else "index-blocks-writes"
        else:
            code = "scan-under-access-exclusive" if reads else "scan-blocks-writes"
        lock = max(locks.values(), key=lambda each: each.blocks_readers)
        return Finding(
            code,
            f"Under {lock.name}, {_told(work)}: {lock.who_waits} of"
            f" {', '.join(self._waited_for(locks))} wait{self.sizes.how_long(work)}.",
            object=f"table {work[0].table}",
            found=self._evidence(work, locks),
            remedy=rewrite(statement, work, self.catalogs, line),
            path=statement.file,
            line=statement.line,
        )

    def _waited_for(self, locks: Mapping[str, Lock]) -> list[str]:
        names: list[str] = []
        for lock in locks.values():
            table: Relation | None = self.before.get(lock.relation.of, lock.relation)
            while table is not None:
                if str(table) not in names:
                    names.append(str(table))
                table = self.before.get(table.parent)
        return names

    def _evidence(self, work: tuple[Work, ...], locks: Mapping[str, Lock]) -> str:
        held = ", ".join(f"{lock.name} on {lock.relation}" for lock in locks.values())
        seen = ", ".join(
            f"{each.table} {WORDS[each.kind]}"
            + (f" ({each.index})" if each.index else "")
            + self.sizes.rows(each.table)
            for each in work
        )
        return f"{held}; {seen}"

    def _in_bulk(self, observation: Observation) -> Iterator[Finding]:
        """Add up what a line changes in a transaction: a loop of single rows locks them all."""
        total: dict[tuple[str, str, int, str, str], tuple[Statement, Work]] = {}
        transactions: dict[tuple[str, int], set[str]] = {}
        for statement in observation.own:
            place = (statement.file, statement.line)
            transactions.setdefault(place, set()).add(statement.transaction)
        for number, statement in enumerate(observation.own):
            bounded = BOUNDED.search(statement.sql) is not None
            locking = FOR_UPDATE.search(statement.sql) is not None
            for work in statement.work:
                read = locking and not bounded and work.kind == "scan"
                if (work.kind not in ("update", "delete") and not read) or work.table.kind == "m":
                    continue
                several = len(transactions[statement.file, statement.line]) > 1
                if bounded and (several or not statement.in_transaction):
                    continue
                transaction = statement.transaction or f"alone {number}"
                whole = (transaction, statement.file, statement.line, work.kind, str(work.table))
                _, last = total.get(whole, (statement, replace(work, rows=0)))
                total[whole] = statement, replace(work, rows=last.rows + work.rows)
        told: set[tuple[str, int, str]] = set()
        for statement, work in (*total.values(), *self._of_no_rows(observation)):
            identity = (statement.file, statement.line, str(work.table))
            sure = self._counts(work)
            if (sure or self._may_be_most(statement, work)) and identity not in told:
                told.add(identity)
                yield self._bulk(statement, work, sure=sure)

    def _of_no_rows(self, observation: Observation) -> Iterator[tuple[Statement, Work]]:
        """Find what changes no row here; others may hold many such.

        A loop ends with a turn that finds none any more, which says nothing.
        """
        looped = {(s.file, s.line) for s in observation.own if any(_changes(w) for w in s.work)}
        for statement in observation.own:
            if (statement.file, statement.line) in looped:
                continue
            changed = {work.table for work in statement.work if _changes(work)}
            some = BOUNDED.search(statement.sql) is not None and not statement.in_transaction
            for found in CHANGES.finditer(statement.sql) if not (statement.error or some) else ():
                kind: Literal["update", "delete"] = "delete" if found["delete"] else "update"
                name = found[kind].replace('"', "").removeprefix("public.")
                tables = (lock.relation for lock in statement.locks if str(lock.relation) == name)
                yield from (
                    (statement, Work(kind, table))
                    for table in tables
                    if table not in changed and table.is_table
                )

    def _may_be_most(self, statement: Statement, work: Work) -> bool:
        """Whether a few rows were changed here, and others may hold many such."""
        _, _, condition = re.sub(r"\s+", " ", statement.sql).upper().partition(" WHERE ")
        condition = re.sub(r"\bSET\b.*?\bWHERE\b", " ", condition)  # after a WITH
        return (
            _changes(work)
            and self.sizes.matters(work.table)
            and ANY_PART.search(condition) is not None
            and PICKS.search(condition.partition("(SELECT")[0]) is None
        )

    def _bulk(self, statement: Statement, work: Work, *, sure: bool) -> Finding:
        part = "" if sure else " here, and however many there are in production,"
        until = "until that is undone" if work.undone else "to its end"
        return Finding(
            "rows-locked-in-bulk",
            f"{work.rows} of {work.table.rows} rows of {work.table} are"
            f" {DONE[work.kind]}{part} in one transaction and stay locked {until}"
            f"{self.sizes.how_long((work,))}.",
            level="error" if sure else "warning",
            object=f"table {work.table}",
            found=f"{work.rows} rows {DONE[work.kind]}{self.sizes.rows(work.table)}",
            remedy=rewrite(statement, (work,), self.catalogs) or LOOP,
            path=statement.file,
            line=statement.line,
        )


def _changes(work: Work) -> bool:
    return work.kind in ("update", "delete")


def _own(work: tuple[Work, ...], locks: Mapping[str, Lock]) -> dict[str, Lock]:
    """Return the locks that the statement needs: those it takes, and those on what it works on."""
    on = {str(each.table) for each in work}
    needed = {
        table: lock
        for table, lock in locks.items()
        if lock.taken or (table in on and not lock.is_inherited)
    }
    return needed if any(lock.taken for lock in needed.values()) or on & needed.keys() else {}


def _without_timeout(observation: Observation) -> Iterator[Finding]:
    """Say once, of the first, that a lock which readers wait for has no limit to its own wait."""
    for statement in observation.own:
        for lock in statement.locks:
            if lock.taken and lock.blocks_readers and lock.relation.is_table:
                if statement.lock_timeout != "0":
                    continue
                code = CODES["strong-lock-without-timeout"]
                yield Finding(
                    code.name,
                    f"{lock.name} on {lock.relation} is asked for without a lock_timeout: behind a"
                    " long transaction it waits, and all new queries wait behind it.",
                    level=code.level,
                    object=f"table {lock.relation}",
                    remedy=advice.TIMEOUT,
                    path=statement.file,
                    line=statement.line,
                )
                return


def _told(work: tuple[Work, ...]) -> str:
    return " and ".join(dict.fromkeys(f"{each.table} {WORDS[each.kind]}" for each in work))


def _of(first: Statement, then: Statement) -> str:
    return f" of revision {first.revision}" if first.revision != then.revision else ""
