"""A column that is to change its type by way of another one, and what is built on it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from project.schema.autogenerate.change import Hints, RefusedError
from project.schema.autogenerate.conversions import conversions
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.text import cut, dotted, quoted, shown
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.snapshot import Key

#: What the new column, and what is built on it, are called until the names change over.
SUFFIX = "_new"


@dataclass(frozen=True)
class Expansion:
    """A column, what makes its new value of the old one and back, and what is built on it."""

    column: Key
    forth: str
    back: str
    parts: tuple[Key, ...]  # indexes and constraints, as they are called in the end

    @property
    def new(self) -> Key:
        """The column of the new type, before it has the name."""
        return suffixed(self.column)

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
    """Tell which column is to be expanded: one that is declared, and whose change rewrites it.

    Raises:
        RefusedError: more is to be changed than it, or something is built on it that cannot be
            changed over.

    """
    before, after = bench.before.catalog, bench.after.catalog
    differing = bench.to_models(before)
    for key in sorted({d.key for d in differing if d.attribute in {"type", "collation"}}):
        if key.name not in declared.expand:
            continue
        [(_, forth)] = conversions(
            bench.trying,
            [d for d in differing if d.key == key],
            before,
            after,
            replace(declared.hints, plain=()),
        )
        if not forth.rewrites:
            continue
        turned = [replace(d, expected=d.found, found=d.expected) for d in differing if d.key == key]
        [(_, back)] = conversions(bench.models, turned, after, before, Hints())
        parts = tuple(sorted(_parts(key, bench)))
        strange = {d.key for d in differing} - {key, *parts}
        if strange:
            raise RefusedError(
                f"{shown(key.name)} is to be expanded, which takes three revisions of its own:"
                f" change nothing else with it ({', '.join(map(str, sorted(strange)))})."
            )
        return Expansion(
            key,
            forth.using or _cast(key, bench.after),
            back.using or _cast(key, bench.before),
            parts,
        )
    return None


def _cast(key: Key, side: Side) -> str:
    return f"{quoted(key.name[-1])}::{side.catalog.items[key].attributes['type']}"


def _parts(column: Key, bench: Workbench) -> Iterator[Key]:
    """Find what is built on the column and can be built on another one.

    Raises:
        RefusedError: something cannot.

    """
    for side in (bench.before, bench.after):
        attributes = side.catalog.items[column].attributes
        reason = next(
            (
                name
                for name in ("identity", "generated", "inherited", "sequence")
                if attributes.get(name)
            ),
            "a number of its own" if attributes.get("default") == "next number" else "",
        )
        table = side.catalog.items[Key("table", column.name[:2])]
        if table.attributes.get("partitioned by"):
            reason = "partitioned"
        if reason:
            raise inexpansible(column, f"it is {reason}")
        for key, built in side.built.items():
            itself = key in {column, Key("table", column.name[:2])}
            if column not in built or itself or key not in side.catalog.items:
                continue
            definition = str(side.catalog.items[key].attributes.get("definition", ""))
            own = key.kind in {"index", "constraint"} and key.name[:2] == column.name[:2]
            if not own or definition.startswith("PRIMARY KEY"):
                raise inexpansible(column, f"{key} is built on it")
            if side is bench.after:
                yield key


def inexpansible(column: Key, reason: str) -> RefusedError:
    """Say that a column cannot be expanded, and why."""
    return RefusedError(
        f"{shown(column.name)} cannot be expanded, for {reason}: leave out the hint, or write the"
        " sequence by hand."
    )


def suffixed(key: Key) -> Key:
    """Return what is to be called so in the end, as it is called until then."""
    return Key(key.kind, (*key.name[:-1], cut(f"{key.name[-1]}{SUFFIX}")))
