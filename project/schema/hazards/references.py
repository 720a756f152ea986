"""Foreign keys whose side that refers has no index."""

import re
from collections.abc import Iterator

from project.schema.autogenerate.definitions import parse_index
from project.schema.autogenerate.indexes import operation
from project.schema.autogenerate.text import cut, quoted
from project.schema.finding import Finding
from project.schema.hazards.codes import CODES
from project.schema.hazards.rewrites.catalogs import Catalogs, alone, folded
from project.schema.hazards.rewrites.constraints import by_parts, concurrently
from project.schema.snapshot import Item, Key, Snapshot

#: The condition of an index that serves to find who refers: NULL refers to nobody.
WHERE_THERE = re.compile(r" WHERE \(\w+ IS NOT NULL\)$")


def without_index(before: Snapshot, after: Snapshot) -> Iterator[Finding]:
    """Find new foreign keys whose columns no index begins with."""
    begins: dict[tuple[str, ...], list[list[str]]] = {}
    for item in after.items.values():
        definition = str(item.attributes.get("definition", ""))
        indexed = item.key.kind == "index" or definition.startswith(("PRIMARY KEY", "UNIQUE"))
        partial = " WHERE " in definition and not WHERE_THERE.search(definition)
        if indexed and not partial:
            begins.setdefault(item.key.name[:2], []).append(_columns(definition))
    for item in after.of_kind("constraint"):
        definition = str(item.attributes["definition"])
        if not definition.startswith("FOREIGN KEY") or was_there(item, before, after):
            continue
        columns = _columns(definition)
        found = begins.get(item.key.name[:2], [])
        if not any(set(each[: len(columns)]) == set(columns) for each in found):
            table = ".".join(item.key.name[:2]).removeprefix("public.")
            listed = ", ".join(columns)
            code = CODES["reference-without-index"]
            yield Finding(
                code.name,
                f"No index of {table} begins with {listed}: whoever deletes a row that it refers to"
                " reads all of it.",
                level=code.level,
                object=f"table {table}",
                found=definition,
                remedy=_index(item.key.name[:2], columns, before),
            )


def was_there(item: Item, before: Snapshot, after: Snapshot) -> bool:
    """Whether a part of a table is no new one: the table may be called otherwise now."""
    if item.key in before.items:
        return True
    return Key("table", item.key.name[:2]) not in before.items and any(
        old.key.name[-1] == item.key.name[-1]
        and Key("table", old.key.name[:2]) not in after.items
        and _refers(old) == _refers(item)
        for old in before.of_kind("constraint")
    )


def _refers(item: Item) -> str:
    """Return which columns refer to which; the table may have got another name, too."""
    return re.sub(r"REFERENCES [^(]*", "", str(item.attributes["definition"]))


def _index(table: tuple[str, ...], columns: list[str], before: Snapshot) -> str:
    """Write the index; beside everybody's work, where the table is not new."""
    known, catalogs = before.items.get(Key("table", table)), Catalogs(before, before)
    listed = ", ".join(map(quoted, columns))
    key = Key("index", (*table, cut(f"{table[-1]}_{'_'.join(columns)}_idx")))
    item = Item(key, {"definition": f"USING btree ({listed})", "unique": False})
    if known is None:
        index = parse_index(item)
        return operation(item, index, key.name[-1], online=False) if index else ""
    if known.attributes["partitioned by"]:
        return folded(by_parts(item, table, catalogs))
    return folded(alone(concurrently(item)))


def _columns(definition: str) -> list[str]:
    inside = re.search(r"\(([^()]*)\)", definition)
    return [part.strip().strip('"') for part in inside[1].split(",")] if inside else []
