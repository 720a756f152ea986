"""Renames: declared in a model, seen in what is the same but for its name, or asked for.

A model declares one in ``info``: ``mapped_column(…, info={"renamed_from": "mail"})``, likewise on a
table, a constraint and an index; on a column of an enum, ``info={"values_renamed_from": {"new":
"old"}}``. ``info={"renamed_from": None}`` says that something is new though it looks renamed.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from textwrap import indent

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Path, differing
from project.schema.autogenerate.definitions import parse
from project.schema.autogenerate.step import Once, Step, call, executed
from project.schema.autogenerate.text import cut, dotted, in_schema, literal, quoted, string
from project.schema.snapshot import MISSING, Difference, Item, Key, Snapshot

#: How many of their columns two tables share, from 0 to 1, if one may be the other renamed.
ALIKE = 0.5

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
        return f"{self.kind} {_said(self.old)} to {_said(self.new)}"


def _said(path: Path) -> str:
    return ".".join(path[1:] if path[0] == "public" else path)


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
        here, there = _columns(was, old), _columns(becomes, new)
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


@dataclass(frozen=True)
class Suspicion:
    """A drop and an add that look like one rename."""

    rename: Rename

    @property
    def question(self) -> str:
        """Ask a person."""
        return (
            f"Is {self.rename.kind} {_said(self.rename.new)} the former {_said(self.rename.old)}?"
        )

    @property
    def hint(self) -> str:
        """Say what to write into the model."""
        old = self.rename.old
        was = old[-1] if self.rename.old[:-1] == self.rename.new[:-1] else ".".join(old)
        return (
            f"{self.rename.kind} {_said(self.rename.new)} looks like the former {_said(old)}:"
            f' give it info={{"renamed_from": {literal(was)}}} if it is,'
            ' info={"renamed_from": None} if it is new'
        )


def suspicions(
    differences: Iterable[Difference],
    old: Snapshot,
    new: Snapshot,
    declared_new: Collection[Key],
) -> list[Suspicion]:
    """Find what may be renamed: tables that share columns, columns of one table and one type."""
    differing = list(differences)
    gone = [d.key for d in differing if d.expected is MISSING]
    made = [d.key for d in differing if d.found is MISSING and d.key not in declared_new]
    found = [
        Suspicion(Rename("table", was.name, becomes.name))
        for was, becomes in _paired(
            [key for key in gone if key.kind == "table"],
            # A partition is declared in SQL, where there is no place for a hint.
            [
                key
                for key in made
                if key.kind == "table" and not new.items[key].attributes.get("partition of")
            ],
            lambda was, becomes: _shared(was, becomes, old, new),
        )
    ]
    whole = {key.name for key in (*gone, *made) if key.kind == "table"}
    # What is inherited is what becomes of the parent's.
    parts, others = (
        [
            key
            for key in listed
            if key.kind == "column"
            and key.name[:2] not in whole
            and not side.items[key].attributes.get("inherited")
        ]
        for listed, side in ((gone, old), (made, new))
    )
    for table, group in groupby(sorted(parts), key=lambda key: key.name[:2]):
        mine = [key for key in others if key.name[:2] == table]
        found += [
            Suspicion(Rename("column", was.name, becomes.name))
            for was, becomes in _paired(
                list(group), mine, lambda was, becomes: _likeness(was, becomes, old, new)
            )
        ]
    return found


def _paired(
    gone: Collection[Key], made: Collection[Key], likeness: object
) -> Iterator[tuple[Key, Key]]:
    """Pair what is most alike first; each stands in one pair at most."""
    assert callable(likeness)  # noqa: S101
    rated = sorted(
        ((likeness(was, becomes), was, becomes) for was in gone for becomes in made),
        key=lambda rating: (-rating[0], rating[1:]),
    )
    taken: set[Key] = set()
    for rating, was, becomes in rated:
        if rating and not {was, becomes} & taken:
            taken |= {was, becomes}
            yield was, becomes


def _columns(table: Key, snapshot: Snapshot) -> Counter[tuple[str, object]]:
    """Return the columns' names and types."""
    return Counter(
        (key.name[-1], item.attributes["type"])
        for key, item in snapshot.items.items()
        if key.kind == "column" and key.name[:2] == table.name
    )


def _referred(table: Key, snapshot: Snapshot) -> dict[str, str]:
    """Return to which table a column refers, for those that refer to one alone."""
    keys = [
        parse(item) for item in snapshot.of_kind("constraint") if item.key.name[:2] == table.name
    ]
    return {
        key.columns[0]: f"of {'.'.join(key.referred)}"
        for key in keys
        if key is not None and key.kind == "foreign" and len(key.columns) == 1
    }


def _shared(was: Key, becomes: Key, old: Snapshot, new: Snapshot) -> float:
    """Rate how much of two tables is the same: columns by their names, or by what they refer to.

    In a table that joins two others, only the latter stays where one of those has another name.
    """
    here, there = _columns(was, old), _columns(becomes, new)
    most = max(here.total(), there.total())
    if not most:
        return 0.0
    referring = [
        Counter((names.get(name, name), type_) for name, type_ in columns)
        for names, columns in ((_referred(was, old), here), (_referred(becomes, new), there))
    ]
    share = max((here & there).total(), (referring[0] & referring[1]).total()) / most
    return share + _names(was, becomes) / 100 if share > ALIKE else 0.0


def _likeness(was: Key, becomes: Key, old: Snapshot, new: Snapshot) -> float:
    one, other = old.items[was].attributes, new.items[becomes].attributes
    same = one["type"] == other["type"] and bool(one.get("generated")) == bool(
        other.get("generated")
    )
    return 0.01 + _names(was, becomes) if same else 0.0


def _names(was: Key, becomes: Key) -> float:
    return SequenceMatcher(None, was.name[-1], becomes.name[-1]).ratio()
