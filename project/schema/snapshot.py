"""A database's catalog as plain values: what is there, item by item, and how two of them differ."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

#: What an attribute can be. PostgreSQL printed every text; an empty tuple is no value, not "none".
Value = str | int | bool | None | tuple["Value", ...]

NamedBy = Literal["user", "history", "server"]


#: Kinds whose items go with a table.
PARTS = {
    *("column", "constraint", "index", "trigger", "rule", "policy"),
    *("privileges on relation", "privileges on column"),
}


class Key(NamedTuple):
    """What an item is called: its kind, and its name from the schema down.

    ``Key("column", ("public", "account", "email"))``; a schema is ``Key("schema", ("public",))``.
    """

    kind: str
    name: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {'.'.join(self.name)}"


@dataclass(frozen=True)
class Item:
    """One object of a database, or one column of a table.

    `named_by` tells who may have chosen the last part of the name. "server": it is what the server
    chooses for an object without a name. "history": it is of that form, but for another table or
    column, as after a rename; or else the user's. "user": it can only be the user's.
    """

    key: Key
    attributes: Mapping[str, Value]
    named_by: NamedBy = "user"


@dataclass(frozen=True)
class Snapshot:
    """All items of a database, by key."""

    server_version: int  # as in server_version_num: 180004
    items: Mapping[Key, Item] = field(repr=False)

    @classmethod
    def of(cls, server_version: int, items: Iterable[Item]) -> "Snapshot":
        """Collect items; two of the same key would be an error of the reader."""
        collected: dict[Key, Item] = {}
        for item in items:
            assert item.key not in collected, item.key  # noqa: S101
            collected[item.key] = item
        return cls(server_version, collected)

    def of_kind(self, kind: str) -> Iterator[Item]:
        """Yield the items of a kind."""
        return (item for item in self.items.values() if item.key.kind == kind)


class Missing:
    """The other side has no such item."""

    def __repr__(self) -> str:
        return "missing"


MISSING = Missing()


@dataclass(frozen=True)
class Difference:
    """One attribute of one item that differs, or, with no attribute, an item on one side only."""

    key: Key
    attribute: str | None
    expected: Value | Missing
    found: Value | Missing


def differences(expected: Snapshot, found: Snapshot) -> list[Difference]:
    """Compare two snapshots of the same server.

    Items are matched by key. What is left over is matched by meaning where the server may have
    made up one of the names: same kind, same parent, same attributes.
    """
    pairs, missing, unexpected = _match(expected, found)
    result = [Difference(item.key, None, "present", MISSING) for item in missing]
    result += [Difference(item.key, None, MISSING, "present") for item in unexpected]
    for left, right in pairs:
        if left is not right:  # a reader may give the same item twice
            result += _attributes(left, right)
    return sorted(result, key=lambda difference: (difference.key, difference.attribute or ""))


def without_parts(listed: Iterable[Difference]) -> list[Difference]:
    """Leave out what goes with a table that one side lacks as a whole."""
    result = list(listed)
    whole = {d.key.name for d in result if d.key.kind == "table" and d.attribute is None}
    return [d for d in result if d.key.kind not in PARTS or d.key.name[:2] not in whole]


def reordered(expected: Snapshot, found: Snapshot) -> list[Difference]:
    """Tell in which tables the columns that both sides have stand in another order.

    Information only: only ``SELECT *`` and COPY without names can tell, and no ALTER mends it.
    """
    here, there = _columns(expected, found), _columns(found, expected)
    return [
        Difference(Key("table", table), "order of columns", columns, there[table])
        for table, columns in sorted(here.items())
        if columns != there[table]
    ]


def _columns(snapshot: Snapshot, other: Snapshot) -> dict[tuple[str, ...], tuple[str, ...]]:
    """List, in their order, the columns of each table that another snapshot has, too."""
    columns: dict[tuple[str, ...], tuple[str, ...]] = {}
    for key in snapshot.items:
        if key.kind == "column" and key in other.items:
            table = key.name[:-1]
            columns[table] = (*columns.get(table, ()), key.name[-1])
    return columns


def _match(
    expected: Snapshot, found: Snapshot
) -> tuple[list[tuple[Item, Item]], list[Item], list[Item]]:
    both = expected.items.keys() & found.items.keys()
    pairs = [(expected.items[key], found.items[key]) for key in both]
    unexpected = [item for key, item in found.items.items() if key not in both]
    siblings: dict[object, list[Item]] = {}
    for item in unexpected:
        siblings.setdefault(_but_for_name(item), []).append(item)
    missing, matched = [], set()
    for item in expected.items.values():
        if item.key in both:
            continue
        others = siblings.get(_but_for_name(item), [])
        other = next((other for other in others if name_says_nothing(item, other)), None)
        if other is None:
            missing.append(item)
        else:
            others.remove(other)
            matched.add(other.key)
    return pairs, missing, [item for item in unexpected if item.key not in matched]


def _but_for_name(item: Item) -> object:
    """Return what two items share that differ in the last part of their names only."""
    return item.key.kind, item.key.name[:-1], tuple(sorted(item.attributes.items()))


def name_says_nothing(one: Item, other: Item) -> bool:
    """Tell whether the server made up the name of one, and may have made up that of the other."""
    names = {one.named_by, other.named_by}
    return "server" in names and "user" not in names


def _attributes(left: Item, right: Item) -> Iterator[Difference]:
    for name in sorted(left.attributes.keys() | right.attributes.keys()):
        expected, found = left.attributes.get(name), right.attributes.get(name)
        if expected != found:
            yield Difference(left.key, name, expected, found)


def shown(value: "Value | object") -> str:
    """Write an attribute's value for a person."""
    if value is None:
        return "none"
    if value is MISSING:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(shown(part) for part in value)
    return str(value)
