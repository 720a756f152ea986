"""Steps that are planned and run on a copy, again and again, until nothing differs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path as File

from project.schema.autogenerate import objects, renames
from project.schema.autogenerate.change import (
    Change,
    Hints,
    Path,
    RefusedError,
)
from project.schema.autogenerate.conversions import conversions
from project.schema.autogenerate.definitions import path
from project.schema.autogenerate.plan import plan
from project.schema.autogenerate.probing import constant, overlap, volatile
from project.schema.autogenerate.renames import Rename
from project.schema.autogenerate.script import body, module
from project.schema.autogenerate.step import Step
from project.schema.autogenerate.suspicions import Suspicion, suspicions
from project.schema.autogenerate.text import dotted, named, quoted, shown
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.catalog.dependencies import dependencies, grants
from project.schema.snapshot import MISSING, Difference, Key, Snapshot, Value, differences
from project.schema.snapshot import shown as value
from project.schema.source import SourceError

#: Rounds of planning and trying. The second mends what the first could not foresee: what a change
#: of type leaves in a default, the name of a sequence. More would be a plan that runs in a circle.
ROUNDS = 4


class Trial:
    """Steps that were planned and run on the copy, one after the other."""

    def __init__(self, bench: Workbench, folder: File, catalog: Snapshot) -> None:
        self.bench = bench
        self.folder = folder
        self.steps: list[Step] = []
        self.renamed: dict[Path, Path] = {}  # columns, by the name that they had
        self.stepped_aside = False  # whether something had to, for another one of its name
        self.granted: Mapping[Key, list[str]] = {}  # on what the steps before have dropped
        self._catalog: Snapshot | None = catalog  # as the copy is now

    def catalog(self) -> Snapshot:
        """Return the copy's catalog as it is."""
        if self._catalog is None:
            self._catalog = self.bench.catalog()
        return self._catalog

    def run(self, steps: Sequence[Step], hints: Hints | None = None) -> None:
        """Run steps, and note them.

        Args:
            steps: What to do.
            hints: By which they were planned.

        Raises:
            RefusedError: PostgreSQL refuses one.

        """
        file = self.folder / "trial.py"
        file.write_text(module(body(steps)))
        try:
            self.bench.source.run(self.bench.copy, file, "upgrade")
        except SourceError as error:
            raise RefusedError(self._refusal(error, hints or Hints())) from error
        self.steps += steps
        self._catalog = None

    def _refusal(self, error: SourceError, hints: Hints) -> str:
        """Say why PostgreSQL refuses a step; of a developer's words, which."""
        kind, _, reason = str(error).partition(": ")[2].partition(": ")
        statement = error.details.rpartition("[SQL: ")[2]
        for word, given in (("backfill", hints.backfill), ("using", hints.using)):
            for name, said in given.items():
                before = f"SET {quoted(name[-1])} = " if word == "backfill" else " USING "
                if f"{before}{said}" in statement and quoted(name[-1]) in statement:
                    called = "".join(
                        f" {old[-1]} is called {new[-1]} by then: write that."
                        for old, new in self.renamed.items()
                        if new[:2] == name[:2] and named(old[-1], said)
                    )
                    words = f'"{word}": "{said}" of {shown(name)}'
                    return f"PostgreSQL refuses {words}: {reason}{called}"
        return f"PostgreSQL refuses a step that was planned: {kind}: {reason}"

    def rename(self, rename: Rename, why: str = "") -> None:
        """Give something its new name; a schema that it moves to must be there.

        What goes, and has that name still, makes way.

        Args:
            rename: What, and its names.
            why: What a reader must know.

        """
        in_the_way = renames.in_the_way(rename, self.catalog())
        if in_the_way is not None:
            self.rename(renames.aside(in_the_way))
        view = self.catalog().items.get(Key("view", rename.new))
        if rename.kind == "table" and view is not None:
            self.run([*objects.dropped(view)])
        schema = Key("schema", rename.new[:1])
        moves = rename.kind == "table" and schema not in self.catalog().items
        made = [objects.schema(rename.new[0])] if moves else []
        self.stepped_aside |= rename == renames.aside(Key(rename.kind, rename.old))
        first, *others = renames.steps(rename)
        self.run([*made, replace(first, why=why), *others])
        if rename.kind == "column":
            self.renamed[rename.old] = rename.new
        if rename.kind == "table":
            self.run([*renames.of_sequences(rename, self.catalog(), self.bench.sequences())])

    def suspicions(self, side: Side, declared_new: Collection[Key]) -> set[Suspicion]:
        """Find what may be renamed, as the copy is now."""
        catalog = self.catalog()
        differing = self.bench.to_models(catalog)
        return set(suspicions(differing, catalog, side.catalog, declared_new))

    def differing(self, side: Side, *, back: bool) -> list[Difference]:
        """Tell what is still different; on the way back, also in print."""
        if back:
            return differences(side.catalog, self.catalog())
        return self.bench.to_models(self.catalog())

    def towards(self, side: Side, hints: Hints, *, back: bool) -> tuple[Step, ...]:
        """Plan and run until the copy is like a side.

        Raises:
            RefusedError: something stays different, or has no operation.

        """
        for _ in range(ROUNDS):
            differing = self.differing(side, back=back)
            if not differing:
                break
            same = renames.same_but_for_name(differing, self.catalog(), side.catalog)
            for rename in renames.in_turn(same):
                self.rename(rename)
            differing = self.differing(side, back=back) if same else differing
            if not differing:
                break
            self.run(plan(differing, self._change(differing, side, hints, back=back)), hints)
        else:
            differing = self.differing(side, back=back)
            if differing:
                raise RefusedError(
                    "These differences remain whatever is tried: "
                    + "; ".join(_said(difference) for difference in differing)
                )
        if self.stepped_aside and any(step.alone for step in self.steps):
            # Run again, it would take the one that has the name by then for the other.
            raise RefusedError(
                "Something takes the name of what has it now, which is done once and in one"
                " transaction, and what else is changed takes several: do either in a migration of"
                " its own."
            )
        return tuple(self.steps)

    def _change(
        self, differing: Collection[Difference], side: Side, hints: Hints, *, back: bool
    ) -> Change:
        return Change(
            before=self.catalog(),
            after=side.catalog,
            built_before=dependencies(self.bench.trying),
            built_after=side.built,
            sequences=self.bench.sequences(),
            statements=side.statements,
            grants={**self.granted, **grants(self.bench.trying)},
            hints=hints,
            back=back,
            volatile=set(
                volatile(
                    (self.bench.trying, self.bench.models),
                    _new_defaults(differing, side.catalog),
                )
            ),
            constant=set(constant(self.bench.models, _backfilled(differing, side.catalog, hints))),
            conversions=dict(
                conversions(self.bench.trying, differing, self.catalog(), side.catalog, hints)
            ),
            handed_over={*self._handed_over(differing, side)},
        )

    def _handed_over(self, differing: Collection[Difference], side: Side) -> Iterator[Key]:
        """Find partitions that go while others come, or get other bounds, that take their rows."""
        before, after = self.catalog().items, side.catalog.items
        tables = [d for d in differing if d.key.kind == "table"]
        gone = [d.key for d in tables if d.expected is MISSING and d.attribute is None]
        made = [d.key for d in tables if d.attribute in {None, "partition"} and d.key in after]
        for key in gone:
            parent = before[key].attributes.get("partition of")
            whole = Key("table", path(str(parent)))
            if parent is None or whole in gone or whole not in after:
                continue
            by, bounds = (
                str(before[owner].attributes[name])
                for owner, name in ((whole, "partitioned by"), (key, "partition"))
            )
            others = [
                str(after[other].attributes["partition"])
                for other in made
                if after[other].attributes.get("partition of") == parent
            ]
            table = dotted(whole.name)
            if any(overlap(self.bench.trying, table, by, bounds, other) for other in others):
                yield key


def _new_defaults(
    differing: Collection[Difference], after: Snapshot
) -> Iterator[tuple[Key, str, str]]:
    """Yield new columns that have a default, with their type and it."""
    for key, attributes in _new_columns(differing, after):
        default = attributes.get("default")
        if default is not None and default != "next number":
            yield key, str(attributes["type"]), str(default)


def _backfilled(
    differing: Collection[Difference], after: Snapshot, hints: Hints
) -> Iterator[tuple[Key, str, str]]:
    """Yield new columns whose rows get a value, with their type and it."""
    for key, attributes in _new_columns(differing, after):
        if key.name in hints.backfill:
            yield key, str(attributes["type"]), hints.backfill[key.name]


def _new_columns(
    differing: Collection[Difference], after: Snapshot
) -> Iterator[tuple[Key, Mapping[str, Value]]]:
    for difference in differing:
        if difference.found is MISSING and difference.key.kind == "column":
            yield difference.key, after.items[difference.key].attributes


def _said(difference: Difference) -> str:
    if difference.attribute is None:
        where = "the models" if difference.found is MISSING else "the migrations"
        return f"{difference.key} is only in {where}"
    return (
        f"{difference.attribute} of {difference.key}: {value(difference.expected)}"
        f" and not {value(difference.found)}"
    )
