"""A column changed while both releases use it: expand, fill, contract, a revision each.

Asked for by ``info={"expand": True}`` on a column that changes its type or its name. The first
revision adds a new column beside the old one, and a trigger by which each row that is written has
its value in both. The second fills the rows that were there, and builds on the new column what is
built on the old one. The third drops the old column, and the names change over, in one short
transaction.

Every revision is planned as any other is, from one catalog to the next. The states between the
first and the last are made on a database of their own (:mod:`between`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path as File

import psycopg

from project.schema import rows
from project.schema.autogenerate import between, columns, filling, numbering, objects, rank, renames
from project.schema.autogenerate.change import Hints, Manner, Path
from project.schema.autogenerate.expansion import Expansion, inexpansible, refers
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.migration import Migration, proved
from project.schema.autogenerate.proposal import Proposal
from project.schema.autogenerate.renames import Rename
from project.schema.autogenerate.step import Step, alter_table, call, execute, in_sql, set_column
from project.schema.autogenerate.text import dotted, in_schema, literal, quoted, shown, string
from project.schema.autogenerate.trial import Trial
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.catalog.dependencies import grants
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
    column, new, becomes = expansion.column, expansion.new, expansion.becomes
    old, other = quoted(column.name[-1]), quoted(new.name[-1])
    at_once = {column.name[:2], ("*",)} & set(declared.hints.plain)
    parts = bench.before.catalog.items[Key("table", column.name[:2])].attributes["partitioned by"]
    manner: Manner = "at once" if at_once else "in parts" if parts else "beside"
    named = f"SELECT {other} AS {quoted(becomes.name[-1])}"
    turned = f"(SELECT {expansion.back} FROM ({named}) AS old)"
    yield _Way(), _Way()
    # One that becomes NOT NULL is filled for that.
    filled = filling.filled(new, expansion.forth, manner, among=f"{old} IS NOT NULL")
    required = not bench.after.catalog.items[becomes].attributes["nullable"]
    yield _Way(() if required else tuple(filled), {new.name: expansion.forth}), _Way()
    restored = [*_given_back(expansion, bench)]
    required = not bench.before.catalog.items[column].attributes["nullable"]
    if not required:
        restored += filling.filled(column, turned, manner, among=f"{other} IS NOT NULL")
    contracted = [*_changed_over(expansion, bench)]
    yield _Way(contracted), _Way(restored, {column.name: turned})


def _names(expansion: Expansion) -> Iterator[Rename]:
    """Yield the renames at the end; the key gets its name when it becomes one."""
    for key in (expansion.becomes, *expansion.parts):
        interim = expansion.interim(key)
        if key not in {interim, expansion.primary}:
            yield Rename(key.kind, interim.name, key.name)


def _changed_over(expansion: Expansion, bench: Workbench) -> Iterator[Step]:
    """Let the old column go, and give the new one its names."""
    column, before = expansion.column, bench.before.catalog.items
    steps = [
        # First, as requests do: they lock what refers to the table before the table.
        *(_let_go(key, rank.DROP_FOREIGN_KEY) for key in expansion.referring),
        *chain.from_iterable(
            [_drop(key)] if key.kind == "column" else objects.dropped(before[key])
            for key in expansion.programs
        ),
        execute(
            f"DROP TRIGGER {expansion.trigger} ON {dotted(column.name[:2])}", rank.DROP_PROGRAM
        ),
        execute(f"DROP FUNCTION {expansion.program}()", rank.DROP_PROGRAM),
    ]
    why = "From here to the end nobody can use the table, for as long as names take."
    yield from [replace(steps[0], why=why), *steps[1:]]
    yield from _numbered(expansion, bench)
    yield _drop(column)
    for rename in _names(expansion):
        yield from renames.steps(rename)
    if expansion.primary is not None:
        name, index = (
            quoted(key.name[-1])
            for key in (expansion.primary, expansion.interim(expansion.primary))
        )
        words = f"ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {index}"
        yield alter_table(column, words, rank.ADD_CONSTRAINT)


def _let_go(key: Key, position: int) -> Step:
    name = quoted(key.name[-1])
    return alter_table(key, f"DROP CONSTRAINT IF EXISTS {name}", position)


def _numbered(expansion: Expansion, bench: Workbench) -> Iterator[Step]:
    """Let the new column go on with the numbers of the old one."""
    new = expansion.new
    before = bench.before.catalog.items[expansion.column]
    names = dotted(new.name[:2]), before.key.name[-1], new.name[-1]
    table, old, other = map(string, names)
    if before.attributes.get("default") == "next number":
        own = bench.sequences()[before.key]
        yield columns.default_set(new, in_sql(f"nextval({string(dotted(own))}::regclass)"))
        yield columns.default_set(before.key, None)
        words = f"OWNED BY {dotted(new.name)}"
        yield execute(f"ALTER SEQUENCE {dotted(own)} {words}", rank.ALTER_COLUMN)
    elif before.attributes.get("identity"):
        identity = numbering.identity(bench.after.catalog.items[expansion.becomes])
        yield set_column(new, f"ADD {identity}", rank.ALTER_COLUMN)
        yield execute(
            f"""\
SELECT setval(pg_get_serial_sequence({table}, {other}), last_value) FROM pg_sequences
WHERE format('%I.%I', schemaname, sequencename) = pg_get_serial_sequence({table}, {old})""",
            rank.ALTER_COLUMN,
            why="It goes on with the numbers of the old column.",
        )


def _given_back(expansion: Expansion, bench: Workbench) -> Iterator[Step]:
    """Give the names back to an old column that is there again, and promises nothing yet."""
    column, new, after = expansion.column, expansion.new, bench.after.catalog
    before = bench.before.catalog.items[column]
    gone = []
    if expansion.primary is not None:
        gone = [key for key in expansion.parts if refers(key, expansion.becomes, after)]
        gone.append(expansion.primary)
    for key in gone:
        yield _let_go(key, rank.RENAME)
    for rename in reversed([*_names(expansion)]):
        if Key(rename.kind, rename.new) not in gone:
            yield from renames.steps(rename.back())
    if before.attributes.get("identity"):
        yield set_column(new, "DROP IDENTITY IF EXISTS", rank.ALTER_COLUMN)
    yield _added(column, bench.before)
    if before.attributes.get("default") == "next number":
        own = dotted(bench.sequences()[column])
        yield execute(f"ALTER SEQUENCE {own} OWNED BY {dotted(column.name)}", rank.ALTER_COLUMN)
        yield columns.default_set(column, in_sql(f"nextval({string(own)}::regclass)"))
        yield columns.default_set(new, None)


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
    trial.granted = dict(grants(stage.trying))  # before it goes
    trial.run(there.first)
    upgrade = trial.towards(stage.after, _told(hints, there), back=False)
    back = Trial(stage, folder, trial.catalog())
    back.run(again.first)
    downgrade = back.towards(stage.before, _told(hints, again), back=True)
    return Proposal(tuple(first), upgrade, downgrade, "", (), ())


def _told(hints: Hints, way: _Way) -> Hints:
    return replace(hints, using={}, labels={}, backfill=way.backfill)
