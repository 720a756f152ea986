"""Renames: declared in a model, seen in what is the same but for its name, or asked for.

A model declares one in ``info``: ``mapped_column(…, info={"renamed_from": "mail"})``, likewise on a
table, a constraint and an index; on a column of an enum, ``info={"values_renamed_from": {"new":
"old"}}``. ``info={"renamed_from": None}`` says that something is new though it looks renamed.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import indent

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Path, differing
from project.schema.autogenerate.step import Once, Step, call, executed
from project.schema.autogenerate.text import cut, dotted, in_schema, literal, quoted, shown, string
from project.schema.snapshot import MISSING, Difference, Item, Key, Snapshot

#: Types that ``ALTER TYPE`` renames.
TYPES = {"enum", "range", "composite type"}


@dataclass(frozen=True)
class Rename:
    """An object, or a label of an enum, and its names before and after."""

    kind: str  # "table", "column", "constraint", "index", "enum", "label"
    old: Path
    new: Path

    def back(self) -> "Rename":
        """Return the way back; of a column, within the table as it is then called."""
        return Rename(self.kind, self.new, self.old)

    def __str__(self) -> str:
        return f"{self.kind} {shown(self.old)} to {shown(self.new)}"


def steps(rename: Rename) -> Iterator[Step]:
    """Write a rename."""
    old, new = rename.old, rename.new
    if rename.kind == "table":
        yield from _table(old, new)
    elif rename.kind == "column":
        *schema, table, column = old
        becomes = f"RENAME COLUMN {quoted(column)} TO {quoted(new[-1])}"
        there = f"attrelid = to_regclass({string(dotted(old[:2]))}) AND NOT attisdropped"
        yield Step(
            call(
                "op.alter_column",
                literal(table),
                literal(column),
                new_column_name=new[-1],
                schema=in_schema(schema),
            ),
            rank.RENAME,
            again=_once(
                f"SELECT FROM pg_attribute WHERE {there} AND attname",
                (column, new[-1]),
                f"ALTER TABLE {dotted(old[:2])} {becomes}",
            ),
        )
    elif rename.kind == "constraint":
        becomes = f"RENAME CONSTRAINT {quoted(old[-1])} TO {quoted(new[-1])}"
        sql = f"ALTER TABLE {dotted(old[:2])} {becomes}"
        where = f"conrelid = to_regclass({string(dotted(old[:2]))}) AND conname"
        again = _once(f"SELECT FROM pg_constraint WHERE {where}", (old[-1], new[-1]), sql)
        yield Step(executed(sql), rank.RENAME, again=again)
    elif rename.kind == "index":
        sql = f"ALTER INDEX {dotted((old[0], old[-1]))} RENAME TO {quoted(new[-1])}"
        where = f"relnamespace = {string(quoted(old[0]))}::regnamespace AND relname"
        again = _once(f"SELECT FROM pg_class WHERE {where}", (old[-1], new[-1]), sql)
        yield Step(executed(sql), rank.RENAME, again=again)
    elif rename.kind == "label":
        sql = f"ALTER TYPE {dotted(old[:-1])} RENAME VALUE {string(old[-1])} TO {string(new[-1])}"
        where = f"enumtypid = {string(dotted(old[:-1]))}::regtype AND enumlabel"
        again = _once(f"SELECT FROM pg_enum WHERE {where}", (old[-1], new[-1]), sql)
        yield Step(executed(sql), rank.RENAME, again=again)
    else:
        sql = f"ALTER TYPE {dotted(old)} RENAME TO {quoted(new[-1])}"
        there = f"SELECT WHERE to_regtype({string(dotted(old))}) IS NOT NULL"
        again = Once(there, (sql,))
        yield Step(executed(sql), rank.RENAME, again=again)


def _table(old: Path, new: Path) -> Iterator[Step]:
    if old[0] != new[0]:
        sql = f"ALTER TABLE {dotted(old)} SET SCHEMA {quoted(new[0])}"
        # A new schema is made before.
        yield Step(executed(sql), rank.RENAME, again=Once(_there(old), (sql,)))
    if old[-1] != new[-1]:
        moved = (new[0], old[-1])
        sql = f"ALTER TABLE {dotted(moved)} RENAME TO {quoted(new[-1])}"
        schema = in_schema(new[:-1])
        yield Step(
            call("op.rename_table", literal(old[-1]), literal(new[-1]), schema=schema),
            rank.RENAME,
            again=Once(_there(moved), (sql,)),
        )


def _there(table: Path) -> str:
    return f"SELECT WHERE to_regclass({string(dotted(table))}) IS NOT NULL"


def of_sequences(
    rename: Rename, catalog: Snapshot, sequences: Mapping[Key, Path]
) -> Iterator[Step]:
    """Let the sequences of a partitioned table follow its name: their parts' defaults say them.

    Args:
        rename: Of the table, which was done.
        catalog: As it is since.
        sequences: Which belongs to which column.

    """
    if not catalog.items[Key("table", rename.new)].attributes.get("partitioned by"):
        return
    for column, (schema, name) in sorted(sequences.items()):
        old, new = (cut(f"{table[-1]}_{column.name[-1]}_seq") for table in (rename.old, rename.new))
        if column.name[:2] == rename.new and name == old != new:
            sql = f"ALTER SEQUENCE {dotted((schema, old))} RENAME TO {quoted(new)}"
            yield Step(executed(sql), rank.RENAME, again=Once(_there((schema, old)), (sql,)))


def _once(query: str, names: tuple[str, str], statement: str) -> Once:
    """Rename what still has its old name, and not what has that name since: knows no IF EXISTS.

    Args:
        query: It finds something of the name that follows ``=``.
        names: The old one and the new one.
        statement: What renames.

    """
    old, new = (f"{query} = {string(name)}" for name in names)
    return Once(f"{old}\nAND NOT EXISTS (\n{indent(new, '    ')}\n)", (statement,))


def in_turn(renames: Iterable[Rename]) -> Iterator[Rename]:
    """Put renames into an order in which each new name is free; in a circle, one steps aside."""
    left = list(renames)
    while left:
        taken = {_place(rename.kind, rename.old) for rename in left}
        free = next((r for r in left if _place(r.kind, r.new) not in taken), None)
        if free is None:
            first = left.pop(0)
            away = aside(Key(first.kind, first.old))
            yield away
            left.append(Rename(first.kind, away.new, first.new))
        else:
            left.remove(free)
            yield free


def aside(key: Key) -> Rename:
    """Let something make way for another one of its name."""
    return Rename(key.kind, key.name, (*key.name[:-1], cut(f"{key.name[-1]}_aside")))


def in_the_way(rename: Rename, catalog: Snapshot) -> Key | None:
    """Find what has the new name; of an index, in its whole schema."""
    if rename.kind not in {"index", "constraint"}:
        key = Key(rename.kind, rename.new)
        return key if key in catalog.items else None
    if not _has_index(Key(rename.kind, rename.old), catalog):
        key = Key("constraint", rename.new)
        return key if key in catalog.items else None
    return next(
        (
            item.key
            for kind in ("index", "constraint")
            for item in catalog.of_kind(kind)
            if _place(kind, item.key.name) == _place(rename.kind, rename.new)
            and _has_index(item.key, catalog)
        ),
        None,
    )


def _has_index(key: Key, catalog: Snapshot) -> bool:
    definition = str(catalog.items[key].attributes["definition"])
    return key.kind == "index" or not definition.startswith(("CHECK", "FOREIGN KEY", "NOT NULL"))


def _place(kind: str, path: Path) -> Path:
    """Return in what a name must be the only one; an index's in its schema."""
    if kind in {"index", "constraint"}:
        return "index", path[0], path[-1]
    return kind, *path


def apart(was: Key, becomes: Key, old: Snapshot, new: Snapshot) -> int:
    """Count in how much something differs from what it may become."""
    if was.kind == "table":
        here, there = columns_of(was, old), columns_of(becomes, new)
        return ((here - there) + (there - here)).total()
    return len(differing(old.items[was], new.items[becomes]))


def same_but_for_name(
    differences: Collection[Difference], old: Snapshot, new: Snapshot
) -> list[Rename]:
    """Find constraints, indexes and enums that are what they were, under another name."""
    found = []
    gone = [old.items[d.key] for d in differences if d.expected is MISSING]
    made = [new.items[d.key] for d in differences if d.found is MISSING]
    for item in sorted(made, key=lambda item: item.key):
        if item.key.kind not in {"constraint", "index", *TYPES}:
            continue
        for other in sorted(gone, key=lambda other: other.key):
            if _is_same(item, other):
                gone.remove(other)
                found.append(Rename(item.key.kind, other.key.name, item.key.name))
                break
    return found


def _is_same(item: Item, other: Item) -> bool:
    return (
        item.key.kind == other.key.kind
        and item.key.name[:-1] == other.key.name[:-1]
        and item.attributes == other.attributes
        and not item.attributes.get("inherited")  # it is renamed with the parent's
    )


def columns_of(table: Key, snapshot: Snapshot) -> Counter[tuple[str, object]]:
    """Return the columns' names and types."""
    return Counter(
        (key.name[-1], item.attributes["type"])
        for key, item in snapshot.items.items()
        if key.kind == "column" and key.name[:2] == table.name
    )
