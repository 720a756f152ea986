"""New tables, with what belongs to them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from project.schema.autogenerate import constraints, indexes, rank, tables
from project.schema.autogenerate.change import Change, Path
from project.schema.autogenerate.definitions import parse
from project.schema.autogenerate.step import Step
from project.schema.snapshot import Item, Key


def table(item: Item, order: Sequence[Path], change: Change) -> Iterator[Step]:
    """Create a table with its constraints and indexes.

    Args:
        item: The table.
        order: All new tables, in the order in which they are made.
        change: What the table is part of.

    """
    path = item.key.name
    own = [
        constraint
        for constraint in sorted(_parts(path, "constraint", change), key=_constraint_order)
        if not constraint.attributes.get("inherited") and not _is_late(constraint, order, change)
    ]
    inline = [constraint for constraint in own if constraints.inline(constraint) is not None]
    yield from tables.created(item, _parts(path, "column", change), inline, change)
    for constraint in own:
        if constraint not in inline:
            yield from _ranked(constraints.added(constraint, change))
        else:
            yield from indexes.set_up(constraint)
    for index in sorted(_parts(path, "index", change), key=lambda index: index.key):
        yield from _ranked(indexes.added(index, change))


def _parts(path: Path, kind: str, change: Change) -> list[Item]:
    """Return the parts of a table as it is after; columns in their order."""
    return [item for item in change.after.of_kind(kind) if item.key.name[:2] == path]


def _ranked(steps: Iterator[Step]) -> Iterator[Step]:
    """Keep what belongs to a new table next to it."""
    return (replace(step, rank=min(step.rank, rank.CREATE_TABLE)) for step in steps)


def _constraint_order(item: Item) -> tuple[int, Key]:
    kinds = ("PRIMARY KEY", "FOREIGN KEY", "UNIQUE", "CHECK")
    definition = str(item.attributes["definition"])
    return next((n for n, k in enumerate(kinds) if definition.startswith(k)), 4), item.key


def _is_late(item: Item, order: Sequence[Path], change: Change) -> bool:
    """Tell whether a foreign key refers to a table that is made after its own, or to a new key.

    A key that is made beside running requests is made anew when a failed migration is run again;
    a foreign key that came with its table could not let go of it and come back.
    """
    found = parse(item)
    if found is None or found.kind != "foreign":
        return False
    if found.referred not in order:
        return change.concurrent(found.referred) and any(
            key.kind == "constraint" and constraints.is_made(key, change)
            for key in change.built_after.get(item.key, ())
        )
    return order.index(found.referred) > order.index(item.key.name[:2])


def late(order: Sequence[Path], change: Change) -> Iterator[Item]:
    """Yield the foreign keys of new tables that wait for another one, or for its key."""
    for path in order:
        for item in _parts(path, "constraint", change):
            if _is_late(item, order, change) and not item.attributes.get("inherited"):
                yield item
