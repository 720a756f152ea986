"""A column that is to become another one beside it, and what is built on it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from project.schema.autogenerate.change import Hints, RefusedError
from project.schema.autogenerate.conversions import conversions
from project.schema.autogenerate.definitions import parse
from project.schema.autogenerate.hints import Declared, to_do
from project.schema.autogenerate.text import cut, dotted, named, quoted, shown
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.snapshot import Difference, Item, Key, Snapshot

#: What the new column, and what is built on it, are called until the names change over.
SUFFIX = "_new"


@dataclass(frozen=True)
class Expansion:
    """A column that becomes another one, and what is built on it.

    Attributes:
        column: As it is called before.
        becomes: As it is called in the end; the same where only its type changes.
        forth: SQL that makes the new value of the old one.
        back: SQL that makes the old value of the new one.
        parts: Indexes and constraints of the new column, also those of other tables that refer to
            it, as they are called in the end; each comes after what it needs.
        primary: That of them which is the primary key, if the column is in it.
        referring: Foreign keys to the old column.
        programs: Views, policies, rules and triggers of the old column, each before what it is
            built on.
        taken: What has its name already.

    """

    column: Key
    becomes: Key
    forth: str
    back: str
    parts: tuple[Key, ...]
    primary: Key | None
    referring: tuple[Key, ...]
    programs: tuple[Key, ...]
    taken: Collection[Key]

    @property
    def new(self) -> Key:
        """The new column, as it is called beside the old one."""
        return self.interim(self.becomes)

    @property
    def renamed(self) -> bool:
        """Whether both releases write the column, each under another name."""
        return self.column != self.becomes

    def interim(self, key: Key) -> Key:
        """Return what is to be called so in the end, as it is called until then."""
        if key not in self.taken:
            return key
        return Key(key.kind, (*key.name[:-1], cut(f"{key.name[-1]}{SUFFIX}")))

    @property
    def program(self) -> str:
        """What the function of the trigger is called."""
        schema, table, column = self.column.name
        return dotted((schema, cut(f"{table}_{column}_expands")))

    @property
    def trigger(self) -> str:
        """What the trigger is called: it fires after others, in the order of names."""
        return quoted(cut(f"zz_{self.column.name[-1]}_expands"))


def wanted(bench: Workbench, declared: Declared) -> Expansion | None:
    """Tell which column is to be expanded: one that is declared, and rewritten or renamed.

    Raises:
        RefusedError: more is to be changed than it, or something is built on it that cannot be
            changed over.

    """
    before, after = bench.before.catalog, bench.after.catalog
    differing = bench.to_models(before)
    pending, _ = to_do(declared.renames, before, after)
    named = {rename.new: rename.old for rename in pending if rename.kind == "column"}
    changed = {d.key.name for d in differing if d.attribute in {"type", "collation"}}
    for path in sorted((changed | named.keys()) & set(declared.expand)):
        becomes, column = Key("column", path), Key("column", named.get(path, path))
        found = _values(column, becomes, differing, bench, declared)
        if found is None:
            continue
        forth, back = found
        parts = _parts(becomes, bench.after)
        taken = {*_parts(column, bench.before), column}
        programs = _programs(column, bench.before, renamed=column != becomes)
        remade = _programs(becomes, bench.after, renamed=column != becomes)
        itself = {becomes, *parts, *taken, *programs, *remade}
        strange = {d.key for d in differing} - itself
        _refuse_more({key for key in strange if not _is_of_part(key, bench)}, column, bench)
        items = after.items
        return Expansion(
            column,
            becomes,
            forth,
            back,
            tuple(sorted(parts, key=lambda key: (_is(key, "FOREIGN KEY", items), key))),
            next((key for key in parts if _is(key, "PRIMARY KEY", items)), None),
            tuple(key for key in sorted(taken) if refers(key, column, before)),
            tuple(programs),
            before.items.keys(),
        )
    return None


def _is_of_part(key: Key, bench: Workbench) -> bool:
    """Tell whether a column is one that a partition has of its whole."""
    item = bench.before.catalog.items.get(key) or bench.after.catalog.items[key]
    return key.kind == "column" and bool(item.attributes["inherited"])


def _refuse_more(strange: Collection[Key], column: Key, bench: Workbench) -> None:
    if not strange:
        return
    also = ", ".join(map(str, sorted(strange)))
    after = bench.after.catalog
    following = {
        Key("column", (*item.key.name[:2], name))
        for item in after.of_kind("constraint")
        if refers(item.key, column, after) and (found := parse(item))
        for name in found.columns
    }
    hint = ""
    if following & set(strange):
        hint = (
            " What refers to it takes its type from it, unless it has one of its own in the model."
            " Give it one, and expand it first."
        )
    raise RefusedError(
        f"{shown(column.name)} is to be expanded, which takes three revisions of its own: change"
        f" nothing else with it ({also}).{hint}"
    )


def _values(
    column: Key,
    becomes: Key,
    differing: Collection[Difference],
    bench: Workbench,
    declared: Declared,
) -> tuple[str, str] | None:
    """Return what makes the new value, and the old one again; None where nothing is in the way.

    Raises:
        RefusedError: it has another name and another type.

    """
    before, after = bench.before.catalog, bench.after.catalog
    if column != becomes:
        if becomes in before.items:
            raise inexpansible(column, f"{becomes} is there as well")
        old, new = before.items[column].attributes, after.items[becomes].attributes
        names = ("type", "collation", "nullable", "default")
        changed = ", ".join(name for name in names if old.get(name) != new.get(name))
        if changed:
            raise inexpansible(column, f"its {changed} changes with its name")
        if old["nullable"] and old.get("default") is not None:
            # Of a new row, which of both names was written?
            raise inexpansible(column, "it has a default and may be NULL all the same")
        return quoted(column.name[-1]), quoted(becomes.name[-1])
    own = [d for d in differing if d.key == column]
    told = replace(declared.hints, plain=())
    [(_, forth)] = conversions(bench.trying, own, before, after, told)
    if not forth.rewrites:
        return None
    turned = [replace(d, expected=d.found, found=d.expected) for d in own]
    [(_, back)] = conversions(bench.models, turned, after, before, Hints())
    return forth.using or _cast(column, bench.after), back.using or _cast(column, bench.before)


def _cast(key: Key, side: Side) -> str:
    return f"{quoted(key.name[-1])}::{side.catalog.items[key].attributes['type']}"


def _parts(column: Key, side: Side) -> set[Key]:
    """Find what is built on a column, and can be built on another one.

    Raises:
        RefusedError: something cannot.

    """
    items = side.catalog.items
    attributes = items[column].attributes
    if attributes.get("generated"):
        raise inexpansible(column, "it is computed, and so written for all rows as it is added")
    if attributes.get("inherited"):
        raise inexpansible(column, "it is inherited: expand that of the parent")
    by = items[Key("table", column.name[:2])].attributes.get("partitioned by")
    if named(column.name[-1], str(by or "")):
        raise inexpansible(column, "its table is partitioned by it")
    found = set()
    for key, built in side.built.items():
        itself = key in {column, Key("table", column.name[:2])}
        if column not in built or itself or key not in items or key.kind in PROGRAMS:
            continue
        if is_virtual(key, side.catalog):
            continue
        if reason := _unbuildable(key, column, side.catalog, parts=bool(by)):
            raise inexpansible(column, reason)
        found.add(key)
    return found


def _unbuildable(key: Key, column: Key, catalog: Snapshot, *, parts: bool) -> str:
    """Say why something cannot be built on another column beside requests; empty if it can."""
    if key.kind == "column":
        return (
            f"{key} is computed of it, and would be written for all rows: drop that before, and"
            " add it again after, in migrations of their own"
        )
    own = key.kind in {"index", "constraint"} and key.name[:2] == column.name[:2]
    if not own and not refers(key, column, catalog):
        return f"{key} is built on it"
    if catalog.items[key].attributes.get("inherited"):
        return f"{key} is one of a partition"
    if parts and not _is(key, "CHECK", catalog.items):
        return (
            f"its table is partitioned, on all of which PostgreSQL makes nothing like {key}"
            " beside requests"
        )
    return ""


def is_virtual(key: Key, catalog: Snapshot) -> bool:
    """Tell whether something is a column that is computed as it is read, and has no rows."""
    return key.kind == "column" and catalog.items[key].attributes.get("generated when") == "virtual"


#: What holds no rows, and is made anew when the names change over.
PROGRAMS = {"view", "policy", "rule", "trigger"}


def _programs(column: Key, side: Side, *, renamed: bool) -> list[Key]:
    """Find what is made of a column and has no rows, and of that again, each before its source.

    Args:
        column: The column.
        side: Where it is.
        renamed: Whether two releases write it under two names.

    Raises:
        RefusedError: something cannot be made anew in a moment, or would not see what is written.

    """
    order: list[Key] = []

    def visit(key: Key) -> None:
        for dependent, built in sorted(side.built.items()):
            if key not in built or dependent in order or dependent not in side.catalog.items:
                continue
            if dependent.kind in PROGRAMS or is_virtual(dependent, side.catalog):
                visit(dependent)
                order.append(dependent)
            elif is_virtual(key, side.catalog):
                raise inexpansible(column, f"{dependent} is built on {key}")
            elif key.kind == "view" and dependent.kind == "function":
                raise inexpansible(column, f"{dependent} is built on it")

    visit(column)
    for key in order:
        if side.catalog.items[key].attributes.get("materialised"):
            raise inexpansible(
                column,
                f"the materialised {key} is made of it, which takes as long as its query: drop that"
                " before, and make it again after, in migrations of their own",
            )
        if renamed and key.kind == "trigger":
            raise inexpansible(
                column,
                f"{key} names it, and would not see what the next release writes under the other"
                " name",
            )
    return order


def _is(key: Key, word: str, items: Mapping[Key, Item]) -> bool:
    return str(items[key].attributes.get("definition", "")).startswith(word)


def refers(key: Key, column: Key, catalog: Snapshot) -> bool:
    """Tell whether something is a foreign key to a column."""
    found = parse(catalog.items[key]) if key.kind == "constraint" else None
    return (
        found is not None
        and found.referred == column.name[:2]
        and column.name[-1] in found.referred_columns
    )


def inexpansible(column: Key, reason: str) -> RefusedError:
    """Say that a column cannot be expanded, and why."""
    return RefusedError(
        f"{shown(column.name)} cannot be expanded, for {reason}. Or leave out the hint, and have it"
        " done at once, or write the sequence by hand."
    )
