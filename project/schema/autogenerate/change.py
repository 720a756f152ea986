"""What a plan is made from: two catalogs, what their objects are built on, and what models add."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from project.schema.catalog.dependencies import Dependencies
from project.schema.snapshot import Item, Key, Snapshot

#: A table's path: schema and name.
Path = tuple[str, ...]

#: How rows are written: in one go, or beside requests, in all parts of a table if it has some.
Manner = Literal["at once", "beside", "in parts"]


class RefusedError(Exception):
    """There is no operation for a change; the message says which and what to do instead."""


class MissingValueError(RefusedError):
    """Rows that are there have no value for a column that becomes NOT NULL.

    Attributes:
        column: Which one.

    """

    def __init__(self, column: Key, message: str) -> None:
        super().__init__(message)
        self.column = column


class UnprovedError(Exception):
    """The migration does not do what it should; the message says what.

    Attributes:
        back: Why the way back has no values for the rows; empty if it is something else.

    """

    def __init__(self, message: str, *, back: str = "") -> None:
        super().__init__(message)
        self.back = back


@dataclass(frozen=True)
class Hints:
    """What models say in ``info`` for the sake of migrations, by the name of the column or table.

    Attributes:
        backfill: SQL for the rows that are there when a column becomes NOT NULL.
        using: SQL that makes a column's new value of its old one.
        labels: New label of an enum's value for each that is gone, by column.
        plain: Tables that are small enough to be locked; ``*`` is all of them.

    """

    backfill: Mapping[Path, str] = field(default_factory=dict)
    using: Mapping[Path, str] = field(default_factory=dict)
    labels: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)
    plain: Collection[Path] = ()


@dataclass(frozen=True)
class Conversion:
    """How a column's type changes.

    Attributes:
        using: What makes the new value of the old one; None if the server casts by itself.
        rewrites: Whether every row is written anew.

    """

    using: str | None
    rewrites: bool


@dataclass(frozen=True)
class Change:
    """From one catalog to another."""

    before: Snapshot
    after: Snapshot
    built_before: Dependencies
    built_after: Dependencies
    sequences: Mapping[Key, Path]  # the sequence behind a column, as it was before
    statements: Mapping[Key, str]  # what makes each function, as it is after
    grants: Mapping[Key, Sequence[str]]  # what is granted on a view or function, as it was before
    hints: Hints = field(default_factory=Hints)
    back: bool = False  # whether this is a downgrade, in which lost values are gone for good
    volatile: Collection[Key] = ()  # new columns whose default differs from row to row
    constant: Collection[Key] = ()  # new columns whose backfill is the same for all rows
    conversions: Mapping[Key, Conversion] = field(default_factory=dict)  # of columns
    handed_over: Collection[Key] = ()  # partitions that go, whose rows belong into new ones

    def online(self, table: Path) -> bool:
        """Tell whether requests go on while a table is changed.

        A table that the migration makes has no rows and nobody knows it.
        """
        plain = table[:2] in self.hints.plain or ("*",) in self.hints.plain
        return Key("table", table[:2]) in self.before.items and not plain

    def partitioned(self, table: Path) -> str:
        """Return by what the rows of a table are told apart, with which it is in parts; or none."""
        item = self.before.items.get(Key("table", table[:2]))
        return str((item and item.attributes.get("partitioned by")) or "")

    def manner(self, table: Path) -> Manner:
        """Tell how the rows of a table are written."""
        if not self.online(table):
            return "at once"
        return "in parts" if self.partitioned(table) else "beside"

    def concurrent(self, table: Path) -> bool:
        """Tell whether indexes and keys are made beside requests: of a partitioned table, none."""
        return self.online(table) and not self.partitioned(table)


def differing(before: Item, after: Item) -> set[str]:
    """Return the attributes in which two items differ."""
    return {
        attribute
        for attribute in before.attributes.keys() | after.attributes.keys()
        if before.attributes.get(attribute) != after.attributes.get(attribute)
    }
