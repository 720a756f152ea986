"""What was observed of a migration, as plain values: its statements, their locks and their work.

Sources:
    https://www.postgresql.org/docs/current/explicit-locking.html

"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from project.schema.source import SourceError

#: Lock modes of relations, the weakest first.
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)

#: From this mode on writers wait, and from this one on readers do.
BLOCKS_WRITERS, BLOCKS_READERS = MODES.index("ShareLock"), MODES.index("AccessExclusiveLock")


@dataclass(frozen=True)
class Relation:
    """A relation that existed before."""

    oid: int
    schema: str
    name: str
    kind: str  # as in pg_class.relkind: "r" a table, "p" a partitioned one, "i" an index, …
    of: int  # the table of an index; 0 for others
    parent: (
        int  # what it is a partition of, or inherits from; of a sequence, whose numbers it gives
    )
    rows: int

    def __str__(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def is_table(self) -> bool:
        """Whether it holds rows that others read or write."""
        return self.kind in "rpm"


@dataclass(frozen=True)
class Lock:
    """The strongest lock held on a relation after a statement."""

    relation: Relation
    mode: str
    taken: bool  # by this statement, not by an earlier one of the same transaction
    asked: str = ""  # the strongest that this statement asked for; empty if it had all it wants

    @property
    def blocks_writers(self) -> bool:
        """Whether INSERT, UPDATE and DELETE wait."""
        return MODES.index(self.mode) >= BLOCKS_WRITERS

    @property
    def blocks_readers(self) -> bool:
        """Whether SELECT waits, too."""
        return MODES.index(self.mode) >= BLOCKS_READERS

    @property
    def who_waits(self) -> str:
        """Who cannot work on the relation meanwhile."""
        return "readers and writers" if self.blocks_readers else "writers"

    @property
    def is_inherited(self) -> bool:
        """Whether it makes others wait and the statement asked for less than that."""
        return self.blocks_writers and 0 <= _strength(self.asked) < BLOCKS_WRITERS

    @property
    def name(self) -> str:
        """The mode as the manual writes it: ``ACCESS EXCLUSIVE``."""
        words = "".join(f" {c}" if c.isupper() else c for c in self.mode.removesuffix("Lock"))
        return words.strip().upper()


def _strength(mode: str) -> int:
    return MODES.index(mode) if mode else -1


@dataclass(frozen=True)
class Work:
    """Something whose duration grows with a table."""

    kind: Literal["rewrite", "build", "scan", "empty", "insert", "update", "delete"]
    table: Relation
    index: str = ""  # what is built, or what the scan goes through
    rows: int = 0
    undone: bool = False  # in a part of the statement that failed; its locks were given back


@dataclass(frozen=True)
class Statement:
    """One statement of a migration, and what it did."""

    file: str  # of the revision; empty for what Alembic or env.py sends by itself
    line: int
    revision: str
    sql: str
    milliseconds: float
    transaction: str  # the same for statements that share one; empty where it has its own
    locks: tuple[Lock, ...] = ()
    work: tuple[Work, ...] = ()
    idle: float = 0.0  # milliseconds since the one before, in which Python had its turn
    lock_timeout: str = "0"
    can_share: bool = True  # whether PostgreSQL executes it in a transaction block
    alters: bool = False  # whether it changed the catalog, be it in a part that was undone
    error: Mapping[str, str] = field(default_factory=dict)  # message, sqlstate, …

    @property
    def in_transaction(self) -> bool:
        """Whether its locks stay until a later COMMIT."""
        return bool(self.transaction)

    @property
    def rewrites(self) -> tuple[Relation, ...]:
        """The tables whose every row is written anew."""
        return tuple(work.table for work in self.work if work.kind == "rewrite")

    @property
    def scans(self) -> tuple[Relation, ...]:
        """The tables that are read from end to end, by themselves or through an index."""
        return tuple(work.table for work in self.work if work.kind == "scan")


@dataclass(frozen=True)
class Observation:
    """An upgrade or a downgrade as it was observed."""

    statements: tuple[Statement, ...]
    failure: SourceError | None
    before: Mapping[int, Relation]

    @property
    def own(self) -> tuple[Statement, ...]:
        """The statements of the revisions themselves."""
        return tuple(statement for statement in self.statements if statement.file)

    @property
    def last_file(self) -> str:
        """The file of the last statement, after which Python may have failed; "" if none."""
        return self.own[-1].file if self.own else ""

    @property
    def last_line(self) -> int:
        """Likewise, its line."""
        return self.own[-1].line if self.own else 0
