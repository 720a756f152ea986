"""A migration is proved before it is saved: up, down and up again, with rows in the tables."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from project.schema import rows
from project.schema.autogenerate.change import Path as Name
from project.schema.autogenerate.change import UnprovedError
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.reviewing.observation import Observation
from project.schema.reviewing.observe import observe_file
from project.schema.snapshot import Difference, Key, differences, shown
from project.schema.source import SourceError

Seen = TypeVar("Seen")

#: Seed and number of the generated rows of each table.
SEED, ROWS = 1, 8

#: Classes of SQLSTATE with which rows refuse: a constraint that is new, and a type that they do not
#: fit. Whether any does in production, only the rows there can tell ("PostgreSQL Error Codes").
CONSTRAINTS, VALUES = "23", "22"
FOREIGN_KEY, UNIQUE = "23503", "23505"

#: What few columns hold, and no whole number can be.
NO_NUMBER = re.compile(r"cannot convert (?:NaN|infinity) to ")

#: How rows refuse that a column becomes NOT NULL, by itself or through a check.
NO_VALUE = re.compile(r'"\w+_is_not_null"|contains null values')

#: A statement that makes new values of old ones, as SQLAlchemy quotes what has failed.
CONVERSION = re.compile(
    r"\[SQL: (?:(?!\[SQL: ).)*\bALTER TABLE (\S+) ALTER COLUMN (\S+) TYPE ", re.DOTALL
)

#: What is part of one table. A change of anything else may reach rows anywhere.
PARTS = {"table", "column", "constraint", "index", "statistics"}

#: What lets a change of rows in one table reach those of another.
REACHING = {"trigger", "rule"}


@dataclass(frozen=True)
class Proof:
    """What was seen on the way.

    Attributes:
        losses: What is not there after up and down: "account.note, where 'a' becomes none".
        condition: What rows must not be like, in PostgreSQL's words; empty if any will do.
        seen: What the statements of the last upgrade locked and did.

    """

    losses: tuple[str, ...]
    condition: str
    seen: Observation


def prove(bench: Workbench, file: Path, *, reversible: bool, told: bool) -> Proof:
    """Run a migration up, down and up on the copy, with rows that satisfy the catalog before.

    There are rows in the tables that it changes, and in those that they refer to; in all tables, if
    it might reach them.

    If rows like these refuse a new constraint, it is proved with rows that satisfy the catalog
    after as well, and the condition is told.

    Args:
        bench: The databases; the copy is as before the migration.
        file: The migration.
        reversible: Whether it has a way back.
        told: Whether the developer has said how values are converted: then rows that the words do
            not fit are a condition, too.

    Raises:
        UnprovedError: what came out is not what the models make, or not what was there before.

    """
    left_out = {*bench.leave_out, *bystanders(bench.before, bench.after)}
    _fill(bench, left_out)
    before = _contents(bench, left_out)
    condition = ""
    # What is run last is observed.
    run = _run if reversible else _observe
    try:
        seen = run(bench, file)
    except SourceError as error:
        state = str(error.sqlstate)
        # What is computed of values, and how a developer's words do, depends on the rows.
        told = told or ("[SQL: " in error.details and not CONVERSION.search(error.details))
        known = state.startswith((CONSTRAINTS, VALUES) if told else CONSTRAINTS)
        if not known and not NO_NUMBER.match(_reason(error)):
            raise _failed("upgrade", error) from error
        condition = _reason(error)
        rows.clear(bench.trying, _named(bench.leave_out))
        # What the failed try had committed is done once more, as it will be in production.
        seen = _sure(run, bench, file)
        if reversible:
            _reached(bench.to_models(bench.catalog()), "upgrade", "the models")
            before = _with_rows_that_fit(bench, file, left_out)
    _reached(bench.to_models(bench.catalog()), "upgrade", "the models")
    losses: tuple[str, ...] = ()
    if reversible:
        _sure(_run_back, bench, file)
        restored = differences(bench.before.catalog, bench.catalog())
        _reached(restored, "downgrade", "what was there before")
        losses = tuple(_said(loss) for loss in rows.losses(before, _contents(bench, left_out)))
        seen = _sure(_observe, bench, file)
        _reached(bench.to_models(bench.catalog()), "second upgrade", "the models")
    assert seen is not None  # noqa: S101 - one way or the other, the last one was observed
    return Proof(losses, condition, seen)


def _with_rows_that_fit(bench: Workbench, file: Path, left_out: Collection[Name]) -> rows.Contents:
    """Make rows that satisfy both catalogs, by way of the later one; upgrade them, and return them.

    Args:
        bench: The databases; the copy is as after the migration, and empty.
        file: The migration.
        left_out: Tables without rows.

    """
    _fill(bench, left_out)
    try:
        _run_back(bench, file)
    except SourceError:
        rows.clear(bench.trying, _named(bench.leave_out))
        _sure(_run_back, bench, file)
    before = _contents(bench, left_out)
    _sure(_run, bench, file)
    return before


def bystanders(before: Side, after: Side) -> set[Name]:
    """Return the tables whose rows a change cannot reach; in a large database, nearly all.

    Args:
        before: The one state.
        after: The other one.

    """
    changed = [difference.key for difference in differences(after.catalog, before.catalog)]
    items = [*before.catalog.items, *after.catalog.items]
    if {key.kind for key in changed} - PARTS or {key.kind for key in items} & REACHING:
        return set()
    needs: dict[Name, set[Key]] = {}
    for side in (before, after):
        for key, built in side.built.items():
            if key.kind in PARTS:
                needs.setdefault(key.name[:2], set()).update(built)
    reached: set[Name] = set()
    left = {key.name[:2] for key in changed}
    while left:
        name = left.pop()
        reached.add(name)
        for key in needs.get(name, ()):
            if key.kind == "function":  # it may read any table
                return set()
            if key.kind in PARTS and key.name[:2] not in reached:
                left.add(key.name[:2])
    return {key.name for key in items if key.kind == "table"} - reached


def _fill(bench: Workbench, left_out: Collection[Name]) -> None:
    rows.fill(bench.trying, seed=SEED, rows=ROWS, leave_out=_named(left_out))


def _contents(bench: Workbench, left_out: Collection[Name]) -> rows.Contents:
    return rows.read(bench.trying, _named(left_out))


def _named(paths: Collection[Name]) -> set[tuple[str, str]]:
    return {(schema, table) for schema, table in paths}


def _run(bench: Workbench, file: Path) -> Observation | None:
    bench.source.run(bench.copy, file, "upgrade")
    return None


def _run_back(bench: Workbench, file: Path) -> None:
    bench.source.run(bench.copy, file, "downgrade")


def _observe(bench: Workbench, file: Path) -> Observation | None:
    seen = observe_file(bench.source, bench.copy, file)
    if seen.failure is not None:
        raise seen.failure
    return seen


def _sure(run: Callable[[Workbench, Path], Seen], bench: Workbench, file: Path) -> Seen:
    """Run what must not fail."""
    try:
        return run(bench, file)
    except SourceError as error:
        raise _failed("downgrade" if run is _run_back else "upgrade", error) from error


def _reason(error: SourceError) -> str:
    return str(error).partition(": ")[2].removeprefix(f"{error.kind}: ")


def _failed(function: str, error: SourceError) -> UnprovedError:
    reason, state = _reason(error), str(error.sqlstate)
    found = CONVERSION.search(error.details)
    hint = _hint(function, state, reason, ".".join(found.groups()) if found else "the column")
    lost = state.startswith((CONSTRAINTS, VALUES)) and function == "downgrade"
    return UnprovedError(
        f"With rows in the tables, its {function} fails: {reason}{hint}",
        back=reason if lost else "",
    )


def _hint(function: str, state: str, reason: str, column: str) -> str:
    """Say what to do about rows that refuse."""
    if function == "downgrade":
        if not state.startswith(VALUES):
            return ""
        return (
            f' With info={{"using": "<SQL>"}} on {column}, which says how the new values are made,'
            " it is written without a way back."
        )
    if state == FOREIGN_KEY:
        return " What they refer to is not there by then: add it, with its rows, before."
    if state == UNIQUE:
        return " The values that are made for it repeat."
    if NO_VALUE.search(reason):
        return " Its backfill makes NULL of some: give those a value, too, as coalesce(…) does."
    if state.startswith(VALUES):
        return (
            f' Say what becomes of rows that do not fit: info={{"using": "<SQL>"}} on {column},'
            ' for labels of an enum info={"values_replaced": {"old": "new"}}.'
        )
    return ""


def _reached(differing: list[Difference], step: str, what: str) -> None:
    if differing:
        listed = "; ".join(_differing(difference) for difference in differing)
        raise UnprovedError(f"After the {step} the database is not {what}: {listed}.")


def _differing(difference: Difference) -> str:
    what = f"{difference.attribute} of " if difference.attribute else ""
    return (
        f"{what}{difference.key} is {shown(difference.found)}"
        f" and should be {shown(difference.expected)}"
    )


def _said(loss: rows.Loss) -> str:
    name = ".".join(filter(None, (loss.schema, loss.table, loss.column))).removeprefix("public.")
    return f"{name}, as in {loss.example}" if loss.example else name


def declared(losses: Iterable[str]) -> str:
    """Write losses as the comments that ``roundtrip`` looks for."""
    return "".join(f"# loses: {' '.join(loss.split())}\n" for loss in losses)
