"""A type that PostgreSQL cannot change in place: another one takes its name, and its columns."""

from collections.abc import Iterator, Sequence

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, RefusedError, differing
from project.schema.autogenerate.definitions import strings
from project.schema.autogenerate.objects import created
from project.schema.autogenerate.step import Once, Step, execute, set_column
from project.schema.autogenerate.text import cut, dotted, quoted, string
from project.schema.autogenerate.typedefs import is_altered_in_place
from project.schema.snapshot import Item, Key, Snapshot

#: Types whose labels, base or subtype cannot be changed in place.
KINDS = {"enum", "domain", "range"}


def is_rebuilt(key: Key, change: Change) -> bool:
    """Tell whether a type changes in a way that only another type can have."""
    before, after = change.before.items[key], change.after.items[key]
    names = differing(before, after)
    if key.kind == "enum":
        # Labels can be added in place; one that goes or moves cannot.
        old, new = (strings(item.attributes["values"]) for item in (before, after))
        return [label for label in new if label in old] != old
    if key.kind == "composite type" and is_altered_in_place(before, after):
        return False
    unfit = {
        "domain": {"type", "collation"},
        "range": {"subtype", "operator class", "collation", "multirange"},
        "composite type": {"attributes"},
    }
    return bool(names & unfit.get(key.kind, set())) and bool(columns_of(key, change.before))


def columns_of(key: Key, snapshot: Snapshot) -> list[Key]:
    """Return the columns of a type, and of arrays of it."""
    printed = ".".join(quoted(part) for part in key.name)
    return sorted(
        column.key
        for column in snapshot.of_kind("column")
        if column.attributes["type"] in {printed, f"{printed}[]"}
        and not column.attributes.get("inherited")
    )


def rebuilt(key: Key, change: Change) -> Iterator[Step]:
    """Put a new type in place of one, and the values of its columns with it.

    Raises:
        RefusedError: a domain is made of it, or its values cannot be carried over.

    """
    printed = ".".join(quoted(part) for part in key.name)
    domains = [d for d in change.before.of_kind("domain") if d.attributes["type"] == printed]
    if domains or key.kind == "composite type":
        users = ", ".join(
            [*(str(d.key) for d in domains), *map(str, columns_of(key, change.before))]
        )
        raise RefusedError(f"{key} cannot be changed while {users} is made of it: write that step.")
    word = "DOMAIN" if key.kind == "domain" else "TYPE"
    old = (key.name[0], cut(f"{key.name[-1]}_old"))
    rename = f"ALTER {word} {dotted(key.name)} RENAME TO {quoted(old[-1])}"
    there = f"SELECT WHERE to_regtype({string(dotted(old))}) IS NULL"
    yield execute(
        rename,
        rank.CREATE_TYPE,
        why=f"{_reason(key)}: another type takes the place of this one.",
        again=Once(there, (rename,)),
    )
    yield from created(change.after.items[key], change)
    for column in columns_of(key, change.before):
        yield from _moved(column, key, change)
    drop = f"DROP {word} {{}}{dotted(old)}"
    yield execute(drop.format(""), rank.ALTER_COLUMN, again=drop.format("IF EXISTS "))


def _reason(key: Key) -> str:
    if key.kind == "enum":
        return "PostgreSQL cannot remove or move a label"
    return f"PostgreSQL cannot change what a {key.kind} is made of"


def _moved(key: Key, type_: Key, change: Change) -> Iterator[Step]:
    before, after = change.before.items[key], change.after.items.get(key)
    if after is None or after.attributes["type"] != before.attributes["type"]:
        return  # it goes, or becomes something else, by an action of its own
    array = "[]" if str(before.attributes["type"]).endswith("[]") else ""
    name = f"{dotted(type_.name)}{array}"
    default, following = before.attributes.get("default"), after.attributes.get("default")
    if default is not None:
        yield set_column(key, "DROP DEFAULT", rank.ALTER_COLUMN)
    online = change.online(key.name[:2])
    lost = [] if array else _emptied(before, after, type_, change)
    if lost:
        yield set_column(key, "DROP NOT NULL", rank.ALTER_COLUMN)
    using = f"{_text(before, change, array, lost)}::{name}"
    if type_.kind == "domain":
        # Assigned and not cast: a cast would cut what is too long.
        using = f"{quoted(key.name[-1])}::{change.before.items[type_].attributes['type']}{array}"
    yield set_column(
        key,
        f"TYPE {name} USING {using}",
        rank.ALTER_COLUMN,
        why="Rewrites the table while nobody can use it." if online else "",
    )
    if default is not None and following is not None:
        yield set_column(key, f"SET DEFAULT {following}", rank.ALTER_COLUMN)


def _emptied(before: Item, after: Item, type_: Key, change: Change) -> list[str]:
    """Find the labels that become NULL on the way back, which is what NULL became on the way there.

    Where a column became NOT NULL in the same migration, its rows may have got one that was new.
    """
    if not change.back or before.attributes["nullable"] or not after.attributes["nullable"]:
        return []
    sides = change.before, change.after
    was, becomes = (strings(side.items[type_].attributes.get("values")) for side in sides)
    return [label for label in was if label not in becomes]


def _text(column: Item, change: Change, array: str, lost: Sequence[str]) -> str:
    """Write the value of a column as a text that the new type can read."""
    text = f"{quoted(column.key.name[-1])}::text{array}"
    if lost:
        listed = ", ".join(map(string, lost))
        return f"(CASE WHEN {text} NOT IN ({listed}) THEN {text} END)"
    renamed = change.hints.labels.get(column.key.name, {})
    if array:
        for was, becomes in renamed.items():
            text = f"array_replace({text}, {string(was)}, {string(becomes)})"
    elif renamed:
        cases = " ".join(f"WHEN {string(w)} THEN {string(b)}" for w, b in renamed.items())
        text = f"(CASE {text} {cases} ELSE {text} END)"
    return text
