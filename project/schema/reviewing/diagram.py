"""Tables before and after: their columns, with what each is, demands and refers to."""

from collections.abc import Iterator

from project.schema.autogenerate.definitions import parse
from project.schema.autogenerate.text import dotted
from project.schema.finding import Section
from project.schema.pieces import abridged
from project.schema.snapshot import Item, Snapshot

#: More columns than these that stay as they are say nothing of a table.
CONTEXT = 8

#: Characters shown of a default or of what a column is computed from.
LONG = 24


def diagram(before: Snapshot, after: Snapshot) -> Section:
    """Collect the columns of the tables that change.

    A column is described by its type and what it demands, and, after commas, ``PK`` where it is
    part of the primary key and ``→ table`` for each foreign key.
    """
    was, is_now = dict(_described(before)), dict(_described(after))
    described = {**was, **is_now}
    changed = {name[:2] for name in described if was.get(name) != is_now.get(name)}
    rows: list[tuple[str, ...]] = []
    for table in sorted(changed):
        names = [name for name in described if name[:2] == table]
        same = {name for name in names if was.get(name) == is_now.get(name)}
        left_out = same if len(same) > CONTEXT else set()
        label = dotted(table)
        rows += [
            (label, name[2], was.get(name, ""), is_now.get(name, ""))
            for name in names
            if name not in left_out
        ]
        if left_out:
            rows.append((label, f"… {len(left_out)} others", "as before", "as before"))
    columns = ("table", "column", "before", "after")
    return Section("Tables, before and after", "diagram", columns, tuple(rows))


def _described(snapshot: Snapshot) -> Iterator[tuple[tuple[str, ...], str]]:
    keys: dict[tuple[str, ...], list[str]] = {}
    for item in sorted(snapshot.of_kind("constraint"), key=lambda item: item.key.name):
        for column, said in _keys(item):
            keys.setdefault((*item.key.name[:2], column), []).append(said)
    for item in snapshot.of_kind("column"):
        *table, column = item.key.name
        roles = sorted(set(keys.get((*table, column), ())))
        yield item.key.name, ", ".join([_column(item), *roles])


def _column(item: Item) -> str:
    attributes = item.attributes
    type_ = str(attributes["type"]).removeprefix("public.")
    words = [type_]
    if not attributes["nullable"]:
        words.append("NOT NULL")
    if attributes.get("generated"):
        words.append(f"GENERATED ({abridged(str(attributes['generated']), LONG)})")
    elif attributes.get("identity"):
        words.append("IDENTITY")
    elif attributes.get("default") == "next number":
        words.append("SERIAL")
    elif attributes.get("default") is not None:
        default = str(attributes["default"]).replace("::public.", "::").removesuffix(f"::{type_}")
        words.append(f"DEFAULT {abridged(default, LONG)}")
    return " ".join(words)


def _keys(constraint: Item) -> Iterator[tuple[str, str]]:
    """Yield the columns of a key, and what they are in it."""
    key = parse(constraint)
    if key is not None and key.kind in {"primary", "foreign"}:
        role = "PK" if key.kind == "primary" else f"→ {dotted(key.referred)}"
        yield from ((column, role) for column in key.columns)
