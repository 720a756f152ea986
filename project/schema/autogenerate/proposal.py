"""A migration in the making: what is renamed, the way to the models, and the way back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path as File

from project.schema.autogenerate import hints as hinting
from project.schema.autogenerate import renames
from project.schema.autogenerate.change import (
    MissingValueError,
    RefusedError,
)
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.renames import Rename
from project.schema.autogenerate.step import Step
from project.schema.autogenerate.suspicions import Suspicion
from project.schema.autogenerate.trial import Trial
from project.schema.autogenerate.workbench import Workbench
from project.schema.snapshot import Difference, Key, Snapshot

#: Asks a person, or raises if there is none: for an answer to a question.
Ask = Callable[[Suspicion], bool]
AskValue = Callable[[MissingValueError], str]


@dataclass(frozen=True)
class Proposal:
    """What a migration is to do, both ways.

    Attributes:
        differences: What the migrations lack, as seen first.
        upgrade: The steps towards the models.
        downgrade: The steps back; empty with `irreversible`.
        irreversible: Why there is no way back; empty where there is one.
        renamed: What has another name.
        notes: What the developer should know: hints that can be removed.

    """

    differences: tuple[Difference, ...]
    upgrade: tuple[Step, ...]
    downgrade: tuple[Step, ...]
    irreversible: str
    renamed: tuple[Rename, ...]
    notes: tuple[str, ...]

    @property
    def converts(self) -> bool:
        """Tell whether a column's type changes: rows may be there that do not fit the new one."""
        return any(difference.attribute in {"type", "values"} for difference in self.differences)


def propose(
    bench: Workbench, declared: Declared, folder: File, ask: Ask, ask_value: AskValue
) -> Proposal:
    """Plan a migration from what the migrations make to what the models make.

    The copy is changed and, unless there is no way back, left as it was.

    Args:
        bench: The databases.
        declared: What the models say in ``info``.
        folder: Where files may be written that are tried.
        ask: Whether what looks like a rename is one.
        ask_value: What rows get in a column that becomes NOT NULL.

    Raises:
        RefusedError: there is no operation for something.
        SourceError: PostgreSQL refuses a step.

    """
    first = bench.to_models(bench.before.catalog)
    pending, done = hinting.to_do(declared.renames, bench.before.catalog, bench.after.catalog)
    notes = tuple(map(hinting.removable, done))
    trial = Trial(bench, folder, bench.before.catalog)
    renamed = [*renames.in_turn(pending)]
    for rename in renamed:
        trial.rename(_as_it_is(rename, trial.catalog()), _breaks(rename, declared))
    asked: set[Suspicion] = set()
    # A table that was renamed may have columns that were.
    while suspected := trial.suspicions(bench.after, declared.new) - asked:
        for suspicion in sorted(suspected, key=lambda suspicion: suspicion.rename.new):
            if ask(suspicion):
                trial.rename(suspicion.rename, _breaks(suspicion.rename, declared))
                renamed.append(suspicion.rename)
        asked |= suspected
    hints = declared.hints
    while True:
        try:
            upgrade = trial.towards(bench.after, hints, back=False)
        except MissingValueError as missing:
            value = ask_value(missing)
            hints = replace(hints, backfill={**hints.backfill, missing.column.name: value})
        else:
            break
    downgrade: tuple[Step, ...] = ()
    irreversible = ""
    back = Trial(bench, folder, trial.catalog())
    try:
        for rename in reversed(renamed):
            back.rename(_as_it_is(rename.back(), back.catalog()))
        downgrade = back.towards(
            bench.before, replace(hints, backfill={}, using={}, labels={}), back=True
        )
    except RefusedError as refusal:
        irreversible = str(refusal)
    return Proposal(tuple(first), upgrade, downgrade, irreversible, tuple(renamed), notes)


def _breaks(rename: Rename, declared: Declared) -> str:
    """Say that a rename breaks the running release, and how to have one that does not."""
    kept = rename.new[:2] in declared.expand or rename.new in declared.expand
    small = {("*",), rename.new[:2]} & set(declared.hints.plain)
    if rename.kind not in {"table", "column"} or kept or small:
        return ""
    return (
        "The release that is running knows the old name. To have both for a while:\n"
        f'info={{"expand": True}} on the {rename.kind}.'
    )


def _as_it_is(rename: Rename, catalog: Snapshot) -> Rename:
    """Name the old object as it is called after the renames before it."""
    stands = rename.kind in {"table", "label", *renames.TYPES}
    if stands or Key(rename.kind, rename.old) in catalog.items:
        return rename
    return replace(rename, old=(*rename.new[:-1], rename.old[-1]))
