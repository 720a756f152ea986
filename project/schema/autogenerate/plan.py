"""From one catalog to another: which operations, and in which order.

What differs becomes actions on objects: create, drop, alter. What PostgreSQL cannot change in place
is dropped and created, and so is what is built on it. An action comes after those that make what it
needs and before those that drop what it still stands on; among the rest, in the order that a reader
expects (:mod:`rank`).
"""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from project.schema.autogenerate import columns, constraints, enums, others, rank, tables
from project.schema.autogenerate.change import Change, Path
from project.schema.autogenerate.step import Step
from project.schema.catalog.dependencies import Dependencies
from project.schema.snapshot import MISSING, Difference, Item, Key

#: What goes and comes with its table.
PARTS = {"column", "constraint", "index", "trigger", "rule", "policy"}

#: What can be dropped and made anew without losing rows.
PROGRAMS = {"view", "policy", "rule", "trigger", "function"}

#: Kinds that share the names of relations, and of types: what is dropped frees a name.
RELATIONS = {"table", "view", "sequence", "index", "composite type", "enum", "domain", "range"}


@dataclass(frozen=True)
class Action:
    """What happens to one object: "create", "drop" or "alter", step by step."""

    what: str
    key: Key
    steps: tuple[Step, ...]


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
    alters: dict[Key, set[str]] = {}
    for difference in differences:
        if difference.attribute is not None:
            alters.setdefault(difference.key, set()).add(difference.attribute)
    return _ordered(_actions(creates, drops, alters, change), change)


def _actions(
    creates: set[Key], drops: set[Key], alters: Mapping[Key, set[str]], change: Change
) -> list[Action]:
    actions: list[Action] = []
    anew: set[Key] = set()
    touched: set[Key] = set()
    rebuilt = {key for key in alters if key.kind == "enum" and enums.is_rebuilt(key, change)}
    for key, attributes in alters.items():
        before, after = change.before.items[key], change.after.items[key]
        # What differs in print only is left as it is.
        alike = {k: v for k, v in after.attributes.items() if k not in attributes}
        alike |= {k: v for k, v in before.attributes.items() if k in attributes}
        steps = _altered(replace(before, attributes=alike), after, change)
        if key in rebuilt:
            touched |= {key, *enums.columns_of(key, change.before)}
        elif steps is None:
            anew.add(key)
        else:
            actions.append(Action("alter", key, tuple(steps)))
            if key.kind == "column" and attributes & {"type", "collation"}:
                touched.add(key)
    anew |= _built_on(touched | anew | drops, drops | creates, rebuilt, change)
    actions = [action for action in actions if action.key not in anew]
    for key in sorted(rebuilt):
        actions.append(Action("alter", key, tuple(enums.rebuilt(key, change))))
    creates, drops = creates | anew, drops | anew
    # A new table brings what belongs to it; one that goes takes it along.
    gone = {key.name for key in drops if key.kind in {"table", "view"}}
    made = {key.name for key in creates if key.kind == "table"}
    for key in sorted(drops):
        if not _goes_along(key, drops, gone, change):
            steps = _dropped(change.before.items[key], change)
            actions.append(Action("drop", key, tuple(steps)))
    order = _table_order(made, change)
    for key in sorted(creates):
        if key.kind in {"column", "constraint", "index"} and key.name[:2] in made:
            continue
        actions.append(Action("create", key, tuple(_created(key, order, change))))
    actions += _late_foreign_keys(order, change)
    actions += _cyclic_foreign_keys(gone, change)
    return actions


def _altered(before: Item, after: Item, change: Change) -> list[Step] | None:
    kind = after.key.kind
    if kind == "table":
        return list(tables.altered(before, after))
    if kind == "column":
        was, becomes = before.attributes, after.attributes
        expressions = (was.get("generated"), becomes.get("generated"))
        if expressions != (None, None) and any(
            was.get(name) != becomes.get(name) for name in ("generated", "generated when", "type")
        ):
            return None  # it is computed again: no value is lost
        if was.get("inherited") != becomes.get("inherited"):
            return []
        return list(columns.altered(before, after, change))
    if kind == "constraint":
        found = constraints.altered(before, after, change)
        return None if found is None else list(found)
    if kind == "index":
        found = constraints.index_altered(before, after, change)
        return None if found is None else list(found)
    return others.altered(before, after, change)


def _dropped(item: Item, change: Change) -> Iterator[Step]:
    kind = item.key.kind
    if kind == "table":
        return tables.dropped(item, change)
    if kind == "column":
        return columns.dropped(item.key, change)
    if kind == "constraint":
        return constraints.dropped(item, change)
    if kind == "index":
        return constraints.index_dropped(item, change)
    return others.dropped(item)


def _created(key: Key, order: Sequence[Path], change: Change) -> Iterator[Step]:
    item = change.after.items[key]
    if key.kind == "table":
        yield from _table_created(item, order, change)
    elif key.kind == "column":
        if not item.attributes.get("inherited"):
            yield from columns.added(item, change)
    elif key.kind == "constraint":
        if not item.attributes.get("inherited"):
            yield from constraints.added(item, change)
    elif key.kind == "index":
        yield from constraints.index_added(item, change)
    else:
        yield from others.created(item, change)


def _parts(path: Path, kind: str, change: Change) -> list[Item]:
    """Return the parts of a table as it is after; columns in their order."""
    return [
        item
        for key, item in change.after.items.items()
        if key.kind == kind and key.name[:2] == path
    ]


def _table_created(item: Item, order: Sequence[Path], change: Change) -> Iterator[Step]:
    path = item.key.name
    inline = sorted(_parts(path, "constraint", change), key=_constraint_order)
    late = {id(c) for c in inline if _is_late(c, order) or constraints.inline(c) is None}
    inline = [c for c in inline if not c.attributes.get("inherited")]
    whole = [c for c in inline if id(c) not in late]
    partition = bool(item.attributes.get("partition of"))
    yield from tables.created(item, _parts(path, "column", change), whole, change)
    for constraint in inline:
        beside = constraints.inline(constraint) is None and not _is_late(constraint, order)
        if beside and not partition:
            yield from _ranked(constraints.added(constraint, change))
        elif constraint.attributes.get("comment") and id(constraint) not in late:
            yield constraints.commented(constraint)
    for index in sorted(_parts(path, "index", change), key=lambda index: index.key):
        yield from _ranked(constraints.index_added(index, change))


def _ranked(steps: Iterator[Step]) -> Iterator[Step]:
    """Keep what belongs to a new table next to it."""
    return (replace(step, rank=min(step.rank, rank.CREATE_TABLE)) for step in steps)


def _constraint_order(item: Item) -> tuple[int, Key]:
    kinds = ("PRIMARY KEY", "FOREIGN KEY", "UNIQUE", "CHECK")
    definition = str(item.attributes["definition"])
    return next((n for n, k in enumerate(kinds) if definition.startswith(k)), 4), item.key


def _is_late(item: Item, order: Sequence[Path]) -> bool:
    """Tell whether a foreign key refers to a table that is made after its own."""
    constraint = constraints.parse(str(item.attributes["definition"]))
    if constraint is None or constraint.referred not in order:
        return False
    return order.index(constraint.referred) > order.index(item.key.name[:2])


def _late_foreign_keys(order: Sequence[Path], change: Change) -> Iterator[Action]:
    for path in order:
        for item in _parts(path, "constraint", change):
            if _is_late(item, order) and not item.attributes.get("inherited"):
                yield Action("create", item.key, tuple(constraints.added(item, change)))


def _cyclic_foreign_keys(gone: Collection[Path], change: Change) -> Iterator[Action]:
    """Drop foreign keys by name where tables that go refer to each other in a circle."""
    listed = {path for path in gone if Key("table", path) in change.before.items}
    order = _arranged(listed, change.built_before)
    for key, item in change.before.items.items():
        if key.kind != "constraint" or key.name[:2] not in listed:
            continue
        constraint = constraints.parse(str(item.attributes["definition"]))
        if constraint is None or constraint.referred not in listed:
            continue
        if order.index(constraint.referred) > order.index(key.name[:2]):
            yield Action("drop", key, tuple(constraints.dropped(item, change)))


def _table_order(made: Collection[Path], change: Change) -> list[Path]:
    return _arranged(made, change.built_after)


def _arranged(paths: Collection[Path], built: Dependencies) -> list[Path]:
    """Put tables after those they refer to, as far as they do not refer to each other."""
    needs: dict[Path, set[Path]] = {path: set() for path in paths}
    for key, others_ in built.items():
        if key.kind in {"constraint", "column", "table", "index"} and key.name[:2] in needs:
            needs[key.name[:2]] |= {
                other.name[:2]
                for other in others_
                if other.kind in {"table", "column", "constraint"} and other.name[:2] in needs
            } - {key.name[:2]}
    order: list[Path] = []
    visiting: set[Path] = set()

    def visit(path: Path) -> None:
        if path in visiting:
            return
        visiting.add(path)
        for other in sorted(needs[path]):
            visit(other)
        order.append(path)

    for path in sorted(needs):
        visit(path)
    return order


def _built_on(
    touched: Collection[Key], known: Collection[Key], rebuilt: Collection[Key], change: Change
) -> set[Key]:
    """Find what must be dropped and made anew because of what it is built on."""
    found: set[Key] = set()
    left = list(touched)
    while left:
        key = left.pop()
        for dependent, built in change.built_before.items():
            if key not in built or dependent in found or dependent in known:
                continue
            stays = dependent in change.after.items and dependent in change.before.items
            if stays and _must_go(dependent, key, rebuilt, change):
                found.add(dependent)
                left.append(dependent)
    return found


def _must_go(dependent: Key, key: Key, rebuilt: Collection[Key], change: Change) -> bool:
    if dependent.kind in PROGRAMS:
        # A trigger depends on its table and its columns; only those that it names count.
        return not (dependent.kind in {"policy", "rule", "trigger"} and key.kind == "table")
    item = change.before.items[dependent]
    if dependent.kind == "column":
        return key.kind in {"column", "function"} and bool(item.attributes.get("generated"))
    if dependent.kind in {"constraint", "index"}:
        if key.kind == "enum" and key in rebuilt:
            return True
        definition = str(item.attributes.get("definition"))
        # Dropped with the column; with what a foreign key refers to, it goes first.
        replaced = key in change.before.items and key in change.after.items
        return replaced and (
            (key.kind in {"column", "function"} and key not in _retyped(change, rebuilt))
            or (key.kind == "constraint" and definition.startswith("FOREIGN KEY"))
        )
    return (
        dependent.kind == "statistics"
        and key.kind == "column"
        and key not in _retyped(change, rebuilt)
    )


def _retyped(change: Change, rebuilt: Collection[Key]) -> set[Key]:
    """Return the columns that stay: PostgreSQL rebuilds their indexes and checks by itself."""
    del rebuilt
    return {
        key
        for key, item in change.before.items.items()
        if key.kind == "column" and not item.attributes.get("generated")
    }


def _goes_along(key: Key, drops: Collection[Key], gone: Collection[Path], change: Change) -> bool:
    if key.kind in PARTS and key.name[:2] in gone:
        return True
    if key.kind == "domain constraint":
        return Key("domain", key.name[:2]) in drops
    if key.kind == "sequence":
        owner = change.before.items[key].attributes.get("owned by")
        return owner is not None and any(
            str(owner) in {".".join(k.name), ".".join(k.name[1:])} or k.name == _owner_table(owner)
            for k in drops
            if k.kind in {"table", "column"}
        )
    if key.kind in {"index", "constraint"}:
        built = change.built_before.get(key, frozenset())
        return any(
            part in drops and part.name[:2] == key.name[:2] and part.kind == "column"
            for part in built
        )
    return False


def _owner_table(owner: object) -> Path:
    return constraints.path(str(owner))[:-1]


def _ordered(actions: Sequence[Action], change: Change) -> list[Step]:
    """Put steps into an order in which each finds what it needs."""
    by_key: dict[tuple[str, Key], int] = {
        (action.what, action.key): number for number, action in enumerate(actions)
    }
    later: dict[int, set[int]] = {number: set() for number in range(len(actions))}

    def goes_before(first: int | None, second: int | None) -> None:
        if first is not None and second is not None and first != second:
            later[first].add(second)

    def provider(key: Key) -> int | None:
        for what in ("create", "alter"):
            if (what, key) in by_key:
                return by_key[what, key]
        if key.kind in {"column", "constraint", "index"}:
            return by_key.get(("create", Key("table", key.name[:2])))
        return None

    def remover(key: Key) -> int | None:
        number = by_key.get(("drop", key))
        if number is None and key.kind in PARTS:
            number = by_key.get(("drop", Key("table", key.name[:2])))
        return number

    order = _table_order({k.name for w, k in by_key if w == "create" and k.kind == "table"}, change)
    _by_name(actions, goes_before)
    for key, built in change.built_after.items():
        mine = provider(key)
        for other in built:
            backwards = (
                key.name[:2] in order
                and other.name[:2] in order
                and (order.index(other.name[:2]) > order.index(key.name[:2]))
            )
            if not (backwards and mine == provider(key) and ("create", key) not in by_key):
                goes_before(provider(other), mine)
    gone = _arranged(
        {k.name for w, k in by_key if w == "drop" and k.kind == "table"}, change.built_before
    )
    for key, built in change.built_before.items():
        mine = remover(key)
        altering = by_key.get(("alter", key))
        for other in built:
            backwards = (
                key.name[:2] in gone
                and other.name[:2] in gone
                and (gone.index(other.name[:2]) > gone.index(key.name[:2]))
            )
            if not (backwards and ("drop", key) not in by_key):
                goes_before(mine, remover(other))
            # What goes or changes is let go of first.
            goes_before(altering, by_key.get(("drop", other)))
            goes_before(by_key.get(("drop", key)), by_key.get(("alter", other)))
    for (what, key), number in by_key.items():
        if what == "drop":
            goes_before(number, by_key.get(("create", key)))
        if key.kind in PARTS | {"domain constraint"}:
            whole = "domain" if key.kind == "domain constraint" else "table"
            if what == "create":
                goes_before(by_key.get(("create", Key(whole, key.name[:2]))), number)
                goes_before(by_key.get(("create", Key("view", key.name[:2]))), number)
    return _sorted(actions, later)


def _by_name(actions: Sequence[Action], goes_before: object) -> None:
    """What is dropped frees its name before another object takes it."""
    assert callable(goes_before)  # noqa: S101
    freed: dict[Path, int] = {}
    for number, action in enumerate(actions):
        if action.what == "drop" and action.key.kind in RELATIONS:
            freed[(action.key.name[0], action.key.name[-1])] = number
    for number, action in enumerate(actions):
        if action.what == "create" and action.key.kind in RELATIONS:
            goes_before(freed.get((action.key.name[0], action.key.name[-1])), number)


def _sorted(actions: Sequence[Action], later: Mapping[int, set[int]]) -> list[Step]:
    """Sort by dependency, and by rank where there is none (Kahn's algorithm, with a heap)."""
    waiting = [0] * len(actions)
    for following in later.values():
        for number in following:
            waiting[number] += 1
    steps: list[Step] = []
    ready: list[tuple[int, Key, str, int, int]] = []
    pending = set(range(len(actions)))
    released: set[int] = set()

    def offer(number: int, part: int) -> None:
        action = actions[number]
        if part < len(action.steps):
            entry = (action.steps[part].rank, action.key, action.what, number, part)
            heapq.heappush(ready, entry)
        else:
            release(number)

    def release(number: int) -> None:
        if number in released:
            return
        released.add(number)
        for following in sorted(later[number]):
            waiting[following] -= 1
            if not waiting[following] and following in pending:
                pending.discard(following)
                offer(following, 0)

    for number in sorted(pending):
        if not waiting[number] and number in pending:
            pending.discard(number)
            offer(number, 0)
    while ready or pending:
        if not ready:
            # A circle: the proof will tell whether the first by rank may go first.
            number = min(pending, key=lambda n: (_rank(actions[n]), actions[n].key))
            pending.discard(number)
            offer(number, 0)
            continue
        _, _, _, number, part = heapq.heappop(ready)
        steps.append(actions[number].steps[part])
        if _is_usable(actions[number], part):
            release(number)
        offer(number, part + 1)
    return steps


def _is_usable(action: Action, part: int) -> bool:
    """Tell whether others may build on an object before its last step: on a column, once added."""
    following = action.steps[part + 1 : part + 2]
    return (
        action.key.kind == "column"
        and action.what == "create"
        and bool(following)
        and following[0].rank > rank.ADD_COLUMN
    )


def _rank(action: Action) -> int:
    return min((step.rank for step in action.steps), default=0)
