"""The order of steps: each finds what it needs, and nothing is taken from under it."""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, Path
from project.schema.autogenerate.step import Step
from project.schema.autogenerate.text import named
from project.schema.catalog.dependencies import Dependencies
from project.schema.snapshot import Key

#: What goes and comes with its table.
PARTS = {"column", "constraint", "index", "trigger", "rule", "policy"}

#: Kinds that share the names of relations, and of types: what is dropped frees a name.
RELATIONS = {
    *("table", "view", "sequence", "index", "constraint"),
    *("composite type", "enum", "domain", "range"),
}


@dataclass(frozen=True)
class Action:
    """What happens to one object: "create", "drop" or "alter", step by step."""

    what: str
    key: Key
    steps: tuple[Step, ...]


def arranged(paths: Collection[Path], built: Dependencies) -> list[Path]:
    """Put tables after those they refer to, as far as they do not refer to each other."""
    needs: dict[Path, set[Path]] = {path: set() for path in paths}
    for key, others in built.items():
        if key.kind in PARTS | {"table"} and key.name[:2] in needs:
            needs[key.name[:2]] |= {
                other.name[:2]
                for other in others
                if other.kind in {"table", "column", "constraint"} and other.name[:2] in needs
            } - {key.name[:2]}
    for path in needs:
        # A foreign key of a whole to itself is one to its parts, too; they come after it.
        for whole in _wholes(path, built):
            needs.get(whole, set()).discard(path)
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


def _wholes(path: Path, built: Dependencies) -> Iterator[Path]:
    """Yield the table that a table is a part or a child of, and those of which that is one."""
    for whole in sorted(built.get(Key("table", path), ())):
        if whole.kind == "table":
            yield whole.name
            yield from _wholes(whole.name, built)


def ordered(actions: Sequence[Action], change: Change) -> list[Step]:
    """Put the steps of all actions into an order in which each finds what it needs."""
    order = _Order([*actions], change.built_before)
    made = arranged(order.tables("create"), change.built_after)
    for key, built in change.built_after.items():
        for other in built:
            # In a circle of tables, one foreign key is an action of its own.
            if not (_backwards(key, other, made) and ("create", key) not in order.numbers):
                order.before(order.provider(other), order.provider(key))
    gone = arranged(order.tables("drop"), change.built_before)
    for key, built in change.built_before.items():
        altering, dropping = (order.numbers.get((what, key)) for what in ("alter", "drop"))
        for other in built:
            # The snapshot leaves out what a partition has of its whole, which takes it along.
            along = key.kind == other.kind and key not in change.before.items
            if not along and not (_backwards(key, other, gone) and dropping is None):
                order.before(order.remover(key), order.remover(other))
            # What goes or changes is let go of first.
            order.before(altering, order.remover(other))
            order.before(dropping, order.numbers.get(("alter", other)))
            if other not in change.built_after.get(key, ()):
                order.before(altering, order.numbers.get(("alter", other)))
    order.by_whole()
    order.by_name()
    order.by_persistence(change)
    order.by_words(change)
    return _sorted(order)


def _backwards(key: Key, other: Key, order: Sequence[Path]) -> bool:
    """Tell whether a table in a circle is built on one that comes after it."""
    one, two = key.name[:2], other.name[:2]
    return one in order and two in order and order.index(two) > order.index(one)


def _foreign(table: Key, built: Dependencies) -> Iterator[tuple[Key, Collection[Key]]]:
    """Yield the constraints of a table and those that refer to it, with what they are built on."""
    for key, others in built.items():
        tables = {other.name[:2] for other in (key, *others)}
        if key.kind == "constraint" and table.name in tables:
            yield key, others


@dataclass
class _Order:
    """Which action comes before which others, by number."""

    actions: list[Action]
    built: Dependencies  # before
    numbers: dict[tuple[str, Key], int] = field(init=False)
    later: dict[int, set[int]] = field(init=False)  # once an object can be used
    ended: dict[int, set[int]] = field(init=False)  # once nothing more happens to it

    def __post_init__(self) -> None:
        self.numbers = {(a.what, a.key): number for number, a in enumerate(self.actions)}
        self.later = {number: set() for number in range(len(self.actions))}
        self.ended = {number: set() for number in range(len(self.actions))}

    def before(self, first: int | None, second: int | None) -> None:
        """Note that one comes before another; None is no action, and anywhere."""
        if first is not None and second is not None and first != second:
            self.later[first].add(second)

    def provider(self, key: Key) -> int | None:
        """Return the action after which an object is as it is to be."""
        for what in ("create", "alter"):
            if (what, key) in self.numbers:
                return self.numbers[what, key]
        if key.kind in {"column", "constraint", "index"}:
            return self.numbers.get(("create", Key("table", key.name[:2])))
        return None

    def remover(self, key: Key) -> int | None:
        """Return the action after which an object is gone."""
        number = self.numbers.get(("drop", key))
        if number is None and key.kind in PARTS:
            number = self.numbers.get(("drop", Key("table", key.name[:2])))
        if number is None and key.kind in {"constraint", "index"}:
            # It goes with its column.
            own = sorted(k for k in self.built.get(key, ()) if k.name[:2] == key.name[:2])
            found = (self.numbers.get(("drop", column)) for column in own)
            number = next((other for other in found if other is not None), None)
        return number

    def tables(self, what: str) -> set[Path]:
        """Return the tables that are created, or dropped."""
        return {key.name for verb, key in self.numbers if verb == what and key.kind == "table"}

    def by_whole(self) -> None:
        """Make a part after the whole, and what takes an object's place after it is gone."""
        for (what, key), number in self.numbers.items():
            if what == "create":
                for whole in ("table", "view", "domain"):
                    self.before(self.numbers.get(("create", Key(whole, key.name[:2]))), number)
            elif what == "drop":
                self.before(number, self.numbers.get(("create", key)))

    def by_persistence(self, change: Change) -> None:
        """Nothing that is logged refers to what is not: that becomes so last, and logged first."""
        for verb, table in self.numbers:
            if verb != "alter" or table.kind != "table":
                continue
            sides = change.before, change.after
            was, becomes = (side.items[table].attributes["persistence"] for side in sides)
            if was != becomes:
                self._by_persistence(table, change, lasts=becomes == "permanent")

    def _by_persistence(self, table: Key, change: Change, *, lasts: bool) -> None:
        number = self.numbers["alter", table]
        for key, others in _foreign(table, self.built):
            own = key.name[:2] == table.name
            self.before(self.remover(key), number)
            if own == lasts:  # as it is before, it would refer to what is not logged
                self.before(self.numbers.get(("alter", key)), number)
            for other in {Key("table", other.name[:2]) for other in others} - {table}:
                pair = number, self.numbers.get(("alter", other))
                if own:
                    self.before(*(reversed(pair) if lasts else pair))
        for key, _ in _foreign(table, change.built_after):
            maker = self.provider(key)
            if (key.name[:2] == table.name) != lasts or ("alter", key) not in self.numbers:
                self.before(number, maker)

    def by_words(self, change: Change) -> None:
        """Keep what a developer's words make new values of, until they have."""
        words = (change.hints.backfill, change.hints.using)
        for (verb, key), number in self.numbers.items():
            said = " ".join(given[key.name] for given in words if key.name in given)
            if verb == "drop" or key.kind != "column" or not said:
                continue
            for (what, other), dropping in self.numbers.items():
                goes = what == "drop" and other.kind in {"column", "table"} and other != key
                if goes and named(other.name[-1], said):
                    self.ended[number].add(dropping)
                    # A failed try must find it once more.
                    action = self.actions[dropping]
                    steps = (replace(step, rank=rank.LEAVE) for step in action.steps)
                    self.actions[dropping] = replace(action, steps=tuple(steps))

    def by_name(self) -> None:
        """Make a relation or a type after another one of its name, of whatever kind, is gone."""
        freed: dict[Path, list[int]] = {}
        for number, action in enumerate(self.actions):
            name = (action.key.name[0], action.key.name[-1])
            if action.what == "drop" and action.key.kind in RELATIONS:
                freed.setdefault(name, []).append(number)
        for number, action in enumerate(self.actions):
            name = (action.key.name[0], action.key.name[-1])
            if action.what == "create" and action.key.kind in RELATIONS:
                for other in freed.get(name, ()):
                    self.before(other, number)


def _sorted(order: _Order) -> list[Step]:
    """Sort by dependency, and by rank where there is none (Kahn's algorithm, with a heap)."""
    actions, queue = order.actions, _Queue(order.actions, order.later, order.ended)
    steps: list[Step] = []
    while (number := queue.next()) is not None:
        part = queue.part[number]
        steps.append(actions[number].steps[part])
        queue.part[number] = part + 1
        if _is_usable(actions[number], part):
            queue.release(number)
        queue.offer(number)
    return steps


class _Queue:
    """Actions whose turn it may be, by the rank of their next step."""

    def __init__(
        self,
        actions: Sequence[Action],
        later: Mapping[int, set[int]],
        ended: Mapping[int, set[int]],
    ) -> None:
        self.actions = actions
        self.later = later
        self.ended = ended
        self.part = [0] * len(actions)
        self.waiting = [0] * len(actions)
        for number in chain.from_iterable((*later.values(), *ended.values())):
            self.waiting[number] += 1
        self.pending = set(range(len(actions)))
        self.released: set[int] = set()
        self.heap: list[tuple[int, Key, str, int]] = []
        for number in range(len(actions)):
            if not self.waiting[number]:
                self._admit(number)

    def next(self) -> int | None:
        """Return the action whose next step it is; None when all are done."""
        while not self.heap and self.pending:
            # A circle: the trial tells whether the first by rank may go first.
            self._admit(
                min(self.pending, key=lambda n: (_rank(self.actions[n]), self.actions[n].key))
            )
        return heapq.heappop(self.heap)[-1] if self.heap else None

    def offer(self, number: int) -> None:
        """Queue the next step of an action; after the last one, those that waited for it."""
        action = self.actions[number]
        if self.part[number] < len(action.steps):
            step = action.steps[self.part[number]]
            heapq.heappush(self.heap, (step.rank, action.key, action.what, number))
        else:
            self.release(number)
            self._let_go(self.ended[number])

    def release(self, number: int) -> None:
        """Admit the actions that waited for nothing else."""
        if number not in self.released:
            self.released.add(number)
            self._let_go(self.later[number])

    def _let_go(self, waiting: Collection[int]) -> None:
        for following in sorted(waiting):
            self.waiting[following] -= 1
            if not self.waiting[following] and following in self.pending:
                self._admit(following)

    def _admit(self, number: int) -> None:
        if number in self.pending:
            self.pending.discard(number)
            self.offer(number)


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
