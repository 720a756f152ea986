"""A type changed without writing the table anew: expand, fill, contract, a revision each.

Asked for by ``info={"expand": True}`` on the column. The first revision adds a column of the new
type beside the old one, and a trigger by which each row that is written has its value in both. The
second fills the rows that were there, and builds on the new column what is built on the old one.
The third drops the old column and gives its name to the new one, in one short transaction.

Every revision is planned as any other is, from one catalog to the next. The states between the
first and the last are made on a database of their own, by the statements here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path as File

import psycopg
from psycopg import sql

from project.schema import rows
from project.schema.autogenerate import filling, rank, renames
from project.schema.autogenerate.change import Hints, Path, RefusedError
from project.schema.autogenerate.conversions import conversions
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.migration import Migration, proved
from project.schema.autogenerate.proposal import Proposal, Trial
from project.schema.autogenerate.renames import Rename
from project.schema.autogenerate.step import Step, call, execute
from project.schema.autogenerate.text import cut, dotted, in_schema, literal, quoted, shown
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.connections import connected
from project.schema.snapshot import Key

#: What the new column, and what is built on it, are called until the names change over.
SUFFIX = "_new"

#: What is said of each revision.
MESSAGES = ("expand", "fill", "contract")


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
        return _suffixed(self.column)

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
            raise _inexpansible(column, f"it is {reason}")
        for key, built in side.built.items():
            itself = key in {column, Key("table", column.name[:2])}
            if column not in built or itself or key not in side.catalog.items:
                continue
            definition = str(side.catalog.items[key].attributes.get("definition", ""))
            own = key.kind in {"index", "constraint"} and key.name[:2] == column.name[:2]
            if not own or definition.startswith("PRIMARY KEY"):
                raise _inexpansible(column, f"{key} is built on it")
            if side is bench.after:
                yield key


def _inexpansible(column: Key, reason: str) -> RefusedError:
    return RefusedError(
        f"{shown(column.name)} cannot be expanded, for {reason}: leave out the hint, or write the"
        " sequence by hand."
    )


def _suffixed(key: Key) -> Key:
    return Key(key.kind, (*key.name[:-1], cut(f"{key.name[-1]}{SUFFIX}")))


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
        between = stack.enter_context(connected(bench.another()))
        sides = [bench.before]
        for statements in (_expanded(expansion, bench), _filled(expansion, bench)):
            try:
                for statement in statements:
                    between.execute(statement.encode())
            except psycopg.Error as error:
                raise _inexpansible(expansion.column, str(error).splitlines()[0]) from error
            sides.append(Side.of(between, bench.leave_out))
        sides.append(bench.after)
        migrations = []
        for number, ways in enumerate(_ways(expansion, bench, declared)):
            models = bench.models if number == 2 else between  # noqa: PLR2004
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
    names = [(column, new), *((key, _suffixed(key)) for key in expansion.parts)]
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


def _expanded(expansion: Expansion, bench: Workbench) -> Iterator[str]:
    """Make the new column, and the trigger that gives each row its value."""
    table = dotted(expansion.column.name[:2])
    new = bench.after.catalog.items[expansion.column].attributes
    name = quoted(expansion.new.name[-1])
    collation = f" COLLATE {new['collation']}" if new.get("collation") else ""
    yield f"ALTER TABLE {table} ADD COLUMN {name} {new['type']}{collation}"
    yield (
        f"CREATE FUNCTION {expansion.program}() RETURNS trigger LANGUAGE plpgsql AS $expand$\n"
        f"BEGIN\n"
        f"    NEW.{name} := (SELECT {expansion.forth} FROM (SELECT NEW.*) AS row);\n"
        f"    RETURN NEW;\n"
        f"END $expand$"
    )
    yield (
        f"CREATE TRIGGER {expansion.trigger} BEFORE INSERT OR UPDATE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {expansion.program}()"
    )


def _filled(expansion: Expansion, bench: Workbench) -> Iterator[str]:
    """Promise of the new column what the models say, and build on it what they do."""
    table = dotted(expansion.column.name[:2])
    if not bench.after.catalog.items[expansion.column].attributes["nullable"]:
        yield f"ALTER TABLE {table} ALTER COLUMN {quoted(expansion.new.name[-1])} SET NOT NULL"
    # The server itself writes the definitions, of the models' table with the other names.
    with bench.models.transaction(force_rollback=True):
        for key in (expansion.column, *expansion.parts):
            new = _suffixed(key)
            for step in _renaming(key, new):
                bench.models.execute(step.encode())
        definitions = [*_definitions(expansion, bench)]
    yield from definitions


def _renaming(key: Key, new: Key) -> Iterator[str]:
    table, old, name = dotted(key.name[:2]), quoted(key.name[-1]), quoted(new.name[-1])
    if key.kind == "index":
        yield f"ALTER INDEX {dotted((key.name[0], key.name[-1]))} RENAME TO {name}"
    else:
        kind = "COLUMN" if key.kind == "column" else "CONSTRAINT"
        yield f"ALTER TABLE {table} RENAME {kind} {old} TO {name}"


def _definitions(expansion: Expansion, bench: Workbench) -> Iterator[str]:
    for key in expansion.parts:
        schema, table, name = _suffixed(key).name
        if key.kind == "index":
            query = sql.SQL("SELECT pg_get_indexdef({}::regclass)")
            row = bench.models.execute(query.format(dotted((schema, name)))).fetchone()
            yield str(row and row[0])
        else:
            query = sql.SQL(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE conrelid = {}::regclass AND conname = {}"
            )
            relation = dotted((schema, table))
            row = bench.models.execute(query.format(relation, name)).fetchone()
            yield f"ALTER TABLE {relation} ADD CONSTRAINT {quoted(name)} {row and row[0]}"
