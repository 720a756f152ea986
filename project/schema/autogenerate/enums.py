"""An enum of which a label goes or moves: PostgreSQL can only put another type in its place."""

from collections.abc import Iterator

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, RefusedError
from project.schema.autogenerate.step import Step, execute
from project.schema.autogenerate.text import dotted, quoted, string
from project.schema.snapshot import Key, Snapshot, Value


def labels(key: Key, snapshot: Snapshot) -> list[str]:
    """Return an enum's labels, in order."""
    value: Value = snapshot.items[key].attributes["values"]
    return [str(label) for label in value] if isinstance(value, tuple) else []


def is_rebuilt(key: Key, change: Change) -> bool:
    """Tell whether a label goes or moves; others can be added in place."""
    old, new = labels(key, change.before), labels(key, change.after)
    return [label for label in new if label in old] != old


def columns_of(key: Key, snapshot: Snapshot) -> list[Key]:
    """Return the columns of an enum, and of arrays of it."""
    printed = ".".join(quoted(part) for part in key.name)
    return sorted(
        column.key
        for column in snapshot.of_kind("column")
        if column.attributes["type"] in {printed, f"{printed}[]"}
    )


def rebuilt(key: Key, change: Change) -> Iterator[Step]:
    """Put a new type in place of an enum, and the values of its columns with it.

    Raises:
        RefusedError: a domain is made of the enum.

    """
    printed = ".".join(quoted(part) for part in key.name)
    for domain in change.before.of_kind("domain"):
        if domain.attributes["type"] == printed:
            raise RefusedError(
                f"{key} loses or moves labels and {domain.key} is made of it; write that step."
            )
    old = quoted(f"{key.name[-1]}_old")
    name = dotted(key.name)
    listed = ", ".join(string(label) for label in labels(key, change.after))
    yield execute(
        f"ALTER TYPE {name} RENAME TO {old}",
        rank.CREATE_TYPE,
        why="PostgreSQL cannot remove or move a label: another type takes the place of this one.",
    )
    yield execute(f"CREATE TYPE {name} AS ENUM ({listed})", rank.CREATE_TYPE)
    for column in columns_of(key, change.before):
        yield from _moved(column, key, change)
    yield execute(f"DROP TYPE {dotted((*key.name[:-1], f'{key.name[-1]}_old'))}", rank.ALTER_COLUMN)


def _moved(column: Key, key: Key, change: Change) -> Iterator[Step]:
    before, after = change.before.items[column], change.after.items.get(column)
    if after is None or after.attributes["type"] != before.attributes["type"]:
        return  # it goes, or becomes something else, by an action of its own
    table, name = dotted(column.name[:2]), quoted(column.name[-1])
    printed = str(before.attributes["type"])
    array = "[]" if printed.endswith("[]") else ""
    text = f"{name}::text{array}"
    renamed = change.hints.labels.get(column.name, {})
    if renamed and array:
        for was, becomes in renamed.items():
            text = f"array_replace({text}, {string(was)}, {string(becomes)})"
    elif renamed:
        cases = " ".join(f"WHEN {string(w)} THEN {string(b)}" for w, b in renamed.items())
        text = f"(CASE {text} {cases} ELSE {text} END)"
    default, following = before.attributes.get("default"), after.attributes.get("default")
    alter = f"ALTER TABLE {table} ALTER COLUMN {name}"
    if default is not None:
        yield execute(f"{alter} DROP DEFAULT", rank.ALTER_COLUMN)
    enum = dotted(key.name)
    yield execute(
        f"{alter} TYPE {enum}{array} USING {text}::{enum}{array}",
        rank.ALTER_COLUMN,
        why="Rewrites the table while nobody can read it."
        if change.online(column.name[:2])
        else "",
    )
    if default is not None and following is not None:
        yield execute(f"{alter} SET DEFAULT {following}", rank.ALTER_COLUMN)
