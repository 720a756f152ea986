"""A type changed without writing the table anew: expand, fill, contract, a revision each.

Asked for by ``info={"expand": True}`` on the column. The first revision adds a column of the new
type beside the old one, and a trigger by which each row that is written has its value in both. The
second fills the rows that were there, and builds on the new column what is built on the old one.
The third drops the old column and gives its name to the new one, in one short transaction.

Every revision is planned as any other is, from one catalog to the next. The states between the
first and the last are made on a database of their own (:mod:`between`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path as File

import psycopg

from project.schema import rows
from project.schema.autogenerate import between, filling, rank, renames
from project.schema.autogenerate.change import Hints, Path
from project.schema.autogenerate.expansion import Expansion, inexpansible, suffixed
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.migration import Migration, proved
from project.schema.autogenerate.proposal import Proposal, Trial
from project.schema.autogenerate.renames import Rename
from project.schema.autogenerate.step import Step, call, execute
from project.schema.autogenerate.text import dotted, in_schema, literal, quoted, shown
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.connections import connected
from project.schema.snapshot import Key

#: What is said of each revision.
MESSAGES = ("expand", "fill", "contract")


def sequence(
    bench: Workbench, declared: Declared, expansion: Expansion, folder: File
) -> tuple[Migration, ...]:
    """Plan the three revisions, and prove each of them.

    Args:
        bench: The databases.
        declared: What the models say in ``info``.
        expansion: What is to be done.
        folder: Where files may be written; `migration.py` is what was proved last, or was not.

    Raises:
        RefusedError: there is no operation for something.
        UnprovedError: one does not do what it should.
        SourceError: the worker ended.

    """
    with ExitStack() as stack:
        middle = stack.enter_context(connected(bench.another()))
        sides = [bench.before]
        for statements in (between.expanded(expansion, bench), between.filled(expansion, bench)):
            try:
                for statement in statements:
                    middle.execute(statement.encode())
            except psycopg.Error as error:
                raise inexpansible(expansion.column, str(error).splitlines()[0]) from error
            sides.append(Side.of(middle, bench.leave_out))
        sides.append(bench.after)
        migrations = []
        for number, ways in enumerate(_ways(expansion, bench, declared)):
            models = bench.models if number == 2 else middle  # noqa: PLR2004
            stage = replace(bench, before=sides[number], after=sides[number + 1], models=models)
            proposal = _planned(stage, declared.hints, ways, folder)
            made = proved(stage, declared, proposal, folder)
            said = f"{MESSAGES[number]} {shown(expansion.column.name)}"
            migrations.append(replace(made, message=said))
            rows.clear(bench.trying, {(name[0], name[1]) for name in bench.leave_out})
    return tuple(migrations)


@dataclass(frozen=True)
class _Way:
    """One way of a revision: what the planner would take for losses, and what it must be told."""

    first: Sequence[Step] = ()
    backfill: Mapping[Path, str] = field(default_factory=dict)


def _ways(
    expansion: Expansion, bench: Workbench, declared: Declared
) -> Iterator[tuple[_Way, _Way]]:
    """Yield of each revision the way there and the way back."""
    column, new = expansion.column, expansion.new
    table, given, other = dotted(column.name[:2]), quoted(column.name[-1]), quoted(new.name[-1])
    online = column.name[:2] not in declared.hints.plain and ("*",) not in declared.hints.plain
    turned = f"(SELECT {expansion.back} FROM (SELECT {other} AS {given}) AS old)"
    yield _Way(), _Way()
    # One that becomes NOT NULL is filled for that.
    filled = filling.filled(new, expansion.forth, online=online, among=f"{given} IS NOT NULL")
    required = not bench.after.catalog.items[column].attributes["nullable"]
    yield _Way(() if required else tuple(filled), {new.name: expansion.forth}), _Way()
    names = [(column, new), *((key, suffixed(key)) for key in expansion.parts)]
    renamed = [step for k, n in names for step in renames.steps(Rename(k.kind, n.name, k.name))]
    dropped = [
        execute(
            f"DROP TRIGGER {expansion.trigger} ON {table}",
            rank.DROP_PROGRAM,
            why="From here to the end nobody can use the table, for as long as names take.",
        ),
        execute(f"DROP FUNCTION {expansion.program}()", rank.DROP_PROGRAM),
        _drop(column),
    ]
    names.reverse()
    restored = [step for k, n in names for step in renames.steps(Rename(k.kind, k.name, n.name))]
    restored.append(_added(column, bench.before))
    required = not bench.before.catalog.items[column].attributes["nullable"]
    if not required:
        restored += filling.filled(column, turned, online=online, among=f"{other} IS NOT NULL")
    yield _Way([*dropped, *renamed]), _Way(restored, {column.name: turned})


def _added(column: Key, side: Side) -> Step:
    """Add the old column, which is to promise nothing yet."""
    attributes = side.catalog.items[column].attributes
    collation = f" COLLATE {attributes['collation']}" if attributes.get("collation") else ""
    words = f"{quoted(column.name[-1])} {attributes['type']}{collation}"
    add = f"ALTER TABLE {dotted(column.name[:2])} ADD COLUMN "
    return execute(add + words, rank.ADD_COLUMN, again=f"{add}IF NOT EXISTS {words}")


def _drop(column: Key) -> Step:
    *schema, table, name = column.name
    arguments = literal(table), literal(name)
    return Step(
        call("op.drop_column", *arguments, schema=in_schema(schema)),
        rank.DROP_COLUMN,
        again=call("op.drop_column", *arguments, if_exists=True, schema=in_schema(schema)),
    )


def _planned(stage: Workbench, hints: Hints, ways: tuple[_Way, _Way], folder: File) -> Proposal:
    there, again = ways
    first = stage.to_models(stage.before.catalog)
    trial = Trial(stage, folder, stage.before.catalog)
    trial.run(there.first)
    upgrade = trial.towards(stage.after, _told(hints, there), back=False)
    back = Trial(stage, folder, trial.catalog())
    back.run(again.first)
    downgrade = back.towards(stage.before, _told(hints, again), back=True)
    return Proposal(tuple(first), upgrade, downgrade, "", (), ())


def _told(hints: Hints, way: _Way) -> Hints:
    return replace(hints, using={}, labels={}, backfill=way.backfill)
