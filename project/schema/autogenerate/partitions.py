"""Operations on partitions: made, detached and attached, and where their rows go then."""

import re
from collections.abc import Iterator, Mapping

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, Path
from project.schema.autogenerate.definitions import path
from project.schema.autogenerate.step import Once, Step, execute, executed
from project.schema.autogenerate.text import cut, dotted, quoted, string
from project.schema.pieces import split
from project.schema.snapshot import Item


def created(item: Item) -> Step:
    """Create a table as a partition of another one."""
    persistence = "UNLOGGED " if item.attributes["persistence"] == "unlogged" else ""
    by = item.attributes.get("partitioned by")
    parent = dotted(path(str(item.attributes["partition of"])))
    tail = f"{dotted(item.key.name)} PARTITION OF {parent} {item.attributes['partition']}"
    tail += f" PARTITION BY {by}" if by else ""
    again = f"CREATE {persistence}TABLE IF NOT EXISTS {tail}"
    return execute(f"CREATE {persistence}TABLE {tail}", rank.CREATE_TABLE, again=again)


def handed_over(item: Item, change: Change) -> Iterator[Step]:
    """Drop a partition once others have its rows."""
    name = dotted(item.key.name)
    whole = path(str(item.attributes["partition of"]))
    yield from _detached(dotted(whole), name, rank.DROP_TABLE)
    yield _moved(dotted(whole), name, _given(whole, change))


def _given(table: Path, change: Change) -> dict[str, str]:
    """Return the columns that are in a table before and after, and what makes each new value."""
    found = {}
    for key in sorted(change.before.items.keys() & change.after.items.keys()):
        if key.kind == "column" and key.name[:2] == table:
            was, becomes = (side.items[key].attributes for side in (change.before, change.after))
            name = quoted(key.name[-1])
            if was.get("generated") or becomes.get("generated"):
                continue
            found[name] = name
            if key in change.conversions:
                using = change.conversions[key].using
                found[name] = using or f"{name}::{becomes['type']}"
    return found


def _moved(whole: str, name: str, columns: Mapping[str, str]) -> Step:
    """Put the rows of a table into the partitions of another one, and drop it."""
    into, values = ", ".join(columns), ", ".join(columns.values())
    insert = f"INSERT INTO {whole} ({into}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {name}"
    drop = f"DROP TABLE {name}"
    there = f"SELECT WHERE to_regclass({string(name)}) IS NOT NULL"
    return Step(
        "\n".join(executed(statement) for statement in (insert, drop)),
        rank.ADD_CONSTRAINT,
        why="Its rows belong into other partitions. Triggers of rows see them as new ones.",
        again=Once(there, (insert, drop)),
    )


def _detached(parent: str, name: str, position: int) -> Iterator[Step]:
    detach = f"ALTER TABLE {parent} DETACH PARTITION {name}"
    yield execute(detach, position, again=Once(_part_of(parent, name), (detach,)))


def attached(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Make a table a partition, of another table or with other bounds, or none."""
    name = dotted(after.key.name)
    old = before.attributes.get("partition of")
    new = after.attributes.get("partition of")
    if old is not None:
        yield from _detached(dotted(path(str(old))), name, rank.DROP_TABLE)
    if new is None:
        return
    parent = dotted(path(str(new)))
    attach = f"ALTER TABLE {parent} ATTACH PARTITION {name} {after.attributes['partition']}"
    apart = f"SELECT WHERE NOT EXISTS ({_part_of(parent, name)})"
    if old != new or _all_fit(before, after):
        yield execute(attach, rank.ALTER_COLUMN, again=Once(apart, (attach,)))
        return
    aside = dotted((after.key.name[0], cut(f"{after.key.name[-1]}_moving")))
    statements = [f"CREATE TABLE {aside} AS TABLE {name}", f"TRUNCATE {name}", attach]
    yield Step(
        "\n".join(executed(statement) for statement in statements),
        rank.ALTER_COLUMN,
        again=Once(apart, tuple(statements)),
    )
    yield _moved(parent, aside, _given(path(str(new)), change))


def _all_fit(before: Item, after: Item) -> bool:
    """Tell whether rows within the old bounds are within the new ones: of lists, that is plain."""
    lists = [
        re.fullmatch(r"FOR VALUES IN \((.*)\)", str(item.attributes["partition"]))
        for item in (before, after)
    ]
    was, becomes = ({*split(found[1])} if found else set() for found in lists)
    return bool(was) and was <= becomes


def _part_of(parent: str, name: str) -> str:
    """Write a query that finds something if a table is a partition of another one."""
    inherits = f"inhparent = to_regclass({string(parent)}) AND inhrelid"
    return f"SELECT FROM pg_inherits WHERE {inherits} = to_regclass({string(name)})"
