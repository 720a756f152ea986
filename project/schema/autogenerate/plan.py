"""From one catalog to another: which operations, and in which order.

What differs becomes actions on objects: create, drop, alter. What PostgreSQL cannot change in place
is dropped and created, and so is what is built on it. An action comes after those that make what it
needs and before those that drop what it still stands on (:mod:`order`); among the rest, in the
order that a reader expects (:mod:`rank`).
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from project.schema.autogenerate import (
    columns,
    constraints,
    creation,
    indexes,
    objects,
    rebuilding,
    redefining,
    tables,
    types,
)
from project.schema.autogenerate.change import Change, Path, differing
from project.schema.autogenerate.definitions import parse, path
from project.schema.autogenerate.order import PARTS, Action, arranged, ordered
from project.schema.autogenerate.step import Step
from project.schema.autogenerate.text import literal
from project.schema.snapshot import MISSING, Difference, Item, Key, Snapshot

#: What can be dropped and made anew without losing rows.
PROGRAMS = {"view", "policy", "rule", "trigger", "function"}

#: What changes objects of a kind in place; None where they must be made anew.
ALTERERS: Mapping[str, Callable[[Item, Item, Change], Iterable[Step] | None]] = {
    "table": tables.altered,
    "column": columns.altered,
    "constraint": redefining.altered,
    "index": indexes.altered,
}


def plan(differences: Collection[Difference], change: Change) -> list[Step]:
    """Write the operations that make what differs alike.

    Args:
        differences: With the catalog after as what is expected, and the one before as found.
        change: The two catalogs.

    Raises:
        RefusedError: PostgreSQL, or this package, has no operation for one of them.

    """
    creates = {d.key for d in differences if d.found is MISSING}
    drops = {d.key for d in differences if d.expected is MISSING}
    altered = _alterations(differences, change)
    anew = altered.anew | _built_on(altered.touched | altered.anew | drops, drops | creates, change)
    actions = [action for action in altered.actions if action.key not in anew]
    actions += _drops(drops | anew, anew, change)
    actions += _creates(creates | anew, change)
    return ordered(actions, change)


@dataclass
class _Alterations:
    """What is changed in place, what must be made anew, and what others must let go of."""

    actions: list[Action] = field(default_factory=list)
    anew: set[Key] = field(default_factory=set)
    touched: set[Key] = field(default_factory=set)


def _alterations(differences: Collection[Difference], change: Change) -> _Alterations:
    found = _Alterations()
    alters: dict[Key, set[str]] = {}
    for difference in differences:
        if difference.attribute is not None:
            alters.setdefault(difference.key, set()).add(difference.attribute)
    for key, attributes in alters.items():
        before, after = change.before.items[key], change.after.items[key]
        # What differs in print only is left as it is.
        alike = {k: v for k, v in after.attributes.items() if k not in attributes}
        alike |= {k: v for k, v in before.attributes.items() if k in attributes}
        if rebuilding.is_rebuilt(key, change):
            found.touched |= {key, *rebuilding.columns_of(key, change.before)}
            found.actions.append(Action("alter", key, tuple(rebuilding.rebuilt(key, change))))
            continue
        alter = ALTERERS.get(key.kind, objects.altered)
        steps = alter(replace(before, attributes=alike), after, change)
        if steps is None:
            found.anew.add(key)
            continue
        found.actions.append(Action("alter", key, tuple(steps)))
        if key.kind == "column" and attributes & {"type", "collation"}:
            found.touched.add(key)
    return found


def _drops(drops: Collection[Key], anew: Collection[Key], change: Change) -> Iterator[Action]:
    gone = {key.name for key in drops if key.kind in {"table", "view"}}
    for key in sorted(drops):
        stays = key in anew and key.name[:2] not in gone and not _is_inherited(key, change)
        if stays or not _goes_along(key, drops, gone, change):
            steps = [*_defaults(key, None, change), *_dropped(change.before.items[key], change)]
            if steps and key not in anew and not change.back:
                steps[0] = _cautioned(steps[0], key)
            yield Action("drop", key, tuple(steps))
    yield from _circular(gone, change)


def _defaults(function: Key, snapshot: Snapshot | None, change: Change) -> Iterator[Step]:
    """Set the defaults in which a function stands that is made anew; none, before it goes."""
    if function.kind != "function" or function not in change.after.items:
        return
    for key, built in sorted(change.built_before.items()):
        both = key in change.before.items and key in change.after.items
        if key.kind != "column" or function not in built or not both:
            continue
        if not change.before.items[key].attributes.get("generated"):
            default = types.default(snapshot.items[key]) if snapshot else None
            yield columns.default_set(key, default)


def _cautioned(step: Step, key: Key) -> Step:
    """Tell a reader of a drop how to keep what perhaps nobody meant to go.

    What PostgreSQL has and models have no words for was made by hand, in a migration, and a table
    or a column may have been. It is not in the models, so it is dropped.
    """
    if key.kind in {"constraint", "index", "domain constraint", "schema", "enum"}:
        return step
    said = [] if step.why else ["Neither the models nor what is declared beside them say it."]
    pattern = literal(str(key).replace("[", "[[]"))
    keep = f'ignore = [{{ pattern = {pattern}, reason = "…" }}]'
    said.append(f"To keep it, in pyproject.toml, [tool.project.schema]:\n    {keep}")
    return replace(step, why="\n".join(filter(None, (step.why, *said))))


def _dropped(item: Item, change: Change) -> Iterator[Step]:
    kind = item.key.kind
    if kind == "table":
        return tables.dropped(item, change)
    if kind == "column":
        return columns.dropped(item.key, change)
    if kind == "constraint":
        return constraints.dropped(item, change)
    if kind == "index":
        return indexes.dropped(item, change)
    return objects.dropped(item)


def _goes_along(key: Key, drops: Collection[Key], gone: Collection[Path], change: Change) -> bool:
    """Tell whether an object goes with another one, as an index with its column."""
    if key.kind in PARTS and key.name[:2] in gone:
        return True
    if _is_inherited(key, change):
        return True
    if key.kind == "table":
        whole = change.before.items[key].attributes.get("partition of")
        return whole is not None and path(str(whole)) in gone
    if key.kind == "domain constraint":
        return Key("domain", key.name[:2]) in drops
    if key.kind == "sequence":
        owner = change.before.items[key].attributes.get("owned by")
        column = path(str(owner)) if owner is not None else ()
        return Key("column", column) in drops or Key("table", column[:2]) in drops
    if key.kind in {"index", "constraint"}:
        built = change.built_before.get(key, frozenset())
        return any(
            part in drops and part.name[:2] == key.name[:2] and part.kind == "column"
            for part in built
        )
    return False


def _is_inherited(key: Key, change: Change) -> bool:
    """Tell whether an object is a parent's, with which it goes and comes."""
    attributes = change.before.items[key].attributes
    return key.kind in {"column", "constraint"} and bool(attributes["inherited"])


def _circular(gone: Collection[Path], change: Change) -> Iterator[Action]:
    """Drop foreign keys by name where tables that go refer to each other in a circle."""
    listed = {table for table in gone if Key("table", table) in change.before.items}
    order = arranged(listed, change.built_before)
    for item in change.before.of_kind("constraint"):
        found = parse(item)
        if item.key.name[:2] not in listed or found is None or found.referred not in listed:
            continue
        if order.index(found.referred) > order.index(item.key.name[:2]):
            yield Action("drop", item.key, tuple(constraints.dropped(item, change)))


def _creates(creates: Collection[Key], change: Change) -> Iterator[Action]:
    """Create what is new; a new table brings what belongs to it."""
    made = {key.name for key in creates if key.kind == "table"}
    order = arranged(made, change.built_after)
    for key in sorted(creates):
        if key.kind in {"column", "constraint", "index"} and key.name[:2] in made:
            continue
        item = change.after.items[key]
        if key.kind == "table":
            steps = creation.table(item, order, change)
        elif item.attributes.get("inherited"):
            steps = iter(())  # it comes with the parent's
        elif key.kind == "column":
            steps = columns.added(item, change)
        elif key.kind == "constraint":
            steps = constraints.added(item, change)
        elif key.kind == "index":
            steps = indexes.added(item, change)
        else:
            steps = chain(
                objects.created(item, change),
                _defaults(key, change.after, change),
                objects.granted(key, change),
            )
        yield Action("create", key, tuple(steps))
    for item in creation.late(order, change):
        yield Action("create", item.key, tuple(constraints.added(item, change)))


def _built_on(touched: Collection[Key], known: Collection[Key], change: Change) -> set[Key]:
    """Find what must be dropped and made anew because of what it is built on."""
    found: set[Key] = set()
    left = list(touched)
    while left:
        key = left.pop()
        for dependent, built in change.built_before.items():
            if key not in built or dependent in found or dependent in known:
                continue
            stays = dependent in change.after.items and dependent in change.before.items
            if stays and _must_go(dependent, key, change):
                found.add(dependent)
                left.append(dependent)
    return found


def _must_go(dependent: Key, key: Key, change: Change) -> bool:
    """Tell whether PostgreSQL does not let go of an object for the sake of another."""
    if dependent.kind in PROGRAMS:
        # A trigger depends on its table and its columns; only those that it names count.
        return not (dependent.kind in {"policy", "rule", "trigger"} and key.kind == "table")
    item = change.before.items[dependent]
    if dependent.kind == "column":
        return key.kind in {"column", "function"} and bool(item.attributes.get("generated"))
    # Those of plain columns are rebuilt by PostgreSQL itself when a type changes.
    anew = key.kind == "function" or (
        key.kind == "column" and bool(change.before.items[key].attributes.get("generated"))
    )
    if dependent.kind in {"constraint", "index"}:
        replaced = key in change.before.items and key in change.after.items
        refers = str(item.attributes.get("definition")).startswith("FOREIGN KEY")
        otherwise = _is_compared_otherwise(key, change)
        if key.kind == "column" and (otherwise or _becomes_another_enum(key, change)):
            # It is compared with other operators; for a while a foreign key has none at all.
            changed = differing(item, change.after.items[dependent]) & {"definition"}
            return (refers and otherwise) or bool(changed)
        # A foreign key lets go of the key or the index that it was made for, for good or not.
        needed = refers and key.kind in {"constraint", "index"}
        return key.kind in rebuilding.KINDS or needed or (replaced and anew)
    return dependent.kind == "statistics" and anew


#: Types that PostgreSQL compares with each other by one index.
COMPARED = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "whole"),
    **dict.fromkeys(("text", "character varying"), "text"),
}


def _is_compared_otherwise(column: Key, change: Change) -> bool:
    """Tell whether a column's type becomes one that the old one does not compare with."""
    if column.kind != "column" or column not in change.after.items:
        return False
    found = set()
    for side in (change.before, change.after):
        type_ = re.sub(r"\(.*?\)", "", str(side.items[column].attributes["type"])).strip()
        found.add(COMPARED.get(type_, type_))
    return len(found) > 1


def _becomes_another_enum(column: Key, change: Change) -> bool:
    """Tell whether a column's type was an enum, or becomes one, or another."""
    found: list[tuple[str, bool]] = []
    for side in (change.before, change.after):
        if column in side.items:
            type_ = str(side.items[column].attributes["type"]).removesuffix("[]")
            found.append((type_, Key("enum", path(type_)) in side.items))
    return len(set(found)) > 1 and any(is_enum for _, is_enum in found)
