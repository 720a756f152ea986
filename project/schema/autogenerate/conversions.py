"""Changes of a column's type: what makes the new values of the old ones, and what it costs."""

import re
from collections.abc import Collection, Iterator

import psycopg

from project.schema.autogenerate import rank, types
from project.schema.autogenerate.change import Change, Conversion, Hints, RefusedError, differing
from project.schema.autogenerate.probing import rewrites
from project.schema.autogenerate.step import Code, Once, Step, alter_column, execute, executed
from project.schema.autogenerate.text import dotted, literal, named, quoted, shown, string
from project.schema.snapshot import Difference, Item, Key, Snapshot

TEXT = re.compile(r"text|character varying.*|character\(.*|public\.citext|name")
NUMBER = re.compile(r"smallint|integer|bigint|numeric.*|real|double precision|money")
DOCUMENT = re.compile(r"jsonb?")
ZONES = re.compile(r"timestamp(?:\(\d\))? (with|without) time zone")

#: Types whose values are, or are read, by the session's time zone.
ZONED = re.compile(r"with time zone|^tstz")


def conversions(
    connection: psycopg.Connection,
    differences: Collection[Difference],
    before: Snapshot,
    after: Snapshot,
    hints: Hints,
) -> Iterator[tuple[Key, Conversion]]:
    """Find out how each change of a type is to be written.

    Args:
        connection: To a scratch database that is as before; in no transaction.
        differences: What is to change.
        before: The catalog of that database.
        after: The catalog in the end.
        hints: What the models say.

    """
    retyped = {
        difference.key
        for difference in differences
        if difference.key.kind == "column" and difference.attribute in {"type", "collation"}
    }
    for key in sorted(retyped):
        yield key, _conversion(connection, before.items[key], after.items[key], hints)


def _conversion(
    connection: psycopg.Connection, before: Item, after: Item, hints: Hints
) -> Conversion:
    given = hints.using.get(after.key.name)
    column = quoted(after.key.name[-1])
    type_ = _type(after)
    # Under any name but that of the table, for which an expression may ask.
    table = dotted(before.key.name[:2])
    create = f"CREATE TEMPORARY TABLE probe (LIKE {table if '.' in table else f'public.{table}'})"
    for using in [given] if given else _candidates(before, after, hints):
        words = f" USING {using}" if using else ""
        alter = f"ALTER TABLE probe ALTER COLUMN {column} TYPE {type_}{words}"
        rewritten = rewrites(connection, create, alter)
        if rewritten is not None:
            return Conversion(using, rewritten)
    old, new = (str(item.attributes["type"]) for item in (before, after))
    return Conversion(given or _through_text(old, new, column), rewrites=True)


def _type(item: Item) -> str:
    collation = item.attributes.get("collation")
    return f"{item.attributes['type']}{f' COLLATE {collation}' if collation else ''}"


def _candidates(before: Item, after: Item, hints: Hints) -> Iterator[str | None]:
    """Yield what may make the new value, the best first; None is the server's own cast."""
    old, new = (str(item.attributes["type"]) for item in (before, after))
    column = quoted(after.key.name[-1])
    labels = hints.labels.get(after.key.name)
    if labels:
        cases = " ".join(f"WHEN {string(o)} THEN {string(n)}" for o, n in labels.items())
        yield f"(CASE {column}::text {cases} ELSE {column}::text END)::{new}"
    if new.endswith("[]") and not old.endswith("[]"):
        # A NULL stays one, and does not become an array with a NULL in it.
        for element in _of_values(old, new[:-2], column):
            yield f"CASE WHEN {column} IS NOT NULL THEN ARRAY[{element or column}] END"
        yield f"CASE WHEN {column} IS NOT NULL THEN ARRAY[{column}::text]::{new} END"
    elif old.endswith("[]") and not new.endswith("[]") and not TEXT.fullmatch(new):
        for value in _of_values(old[:-2], new, f"{column}[1]"):
            yield value or f"{column}[1]"
    elif old.endswith("[]") and TEXT.fullmatch(new) and TEXT.fullmatch(old[:-2]):
        yield f"{column}[1]"
    yield from _of_values(old, new, column)


def _of_values(old: str, new: str, value: str) -> Iterator[str | None]:
    if DOCUMENT.fullmatch(new) and TEXT.fullmatch(old):
        yield f"CASE WHEN {value} IS JSON THEN {value}::{new} ELSE to_{new}({value}) END"
    if DOCUMENT.fullmatch(new) and not DOCUMENT.fullmatch(old):
        yield f"to_{new}({value})"
    if DOCUMENT.fullmatch(old) and not DOCUMENT.fullmatch(new):
        # A text without the quotes that it has in JSON.
        bare = f"({value} #>> '{{}}')"
        yield bare if TEXT.fullmatch(new) else f"{bare}::{new}"
    if NUMBER.fullmatch(old) and new == "boolean":
        yield f"{value} <> 0"
    if old == "boolean" and NUMBER.fullmatch(new):
        yield f"{value}::integer"
    if old.endswith("multirange") and old.replace("multirange", "range") == new:
        yield f"range_merge({value})"
    yield None
    yield f"{value}::{new}"
    yield _through_text(old, new, value)


def _through_text(old: str, new: str, value: str) -> str:
    """Cast what has no cast, and what the server cannot be asked for: the type is not there yet."""
    if new.endswith("[]") and not old.endswith("[]"):
        return f"CASE WHEN {value} IS NOT NULL THEN ARRAY[{value}::text]::{new} END"
    if old.endswith("[]") and not new.endswith("[]"):
        return f"{value}[1]::text::{new}"
    if TEXT.fullmatch(old):
        return f"{value}::{new}"
    return f"{value}::text[]::{new}" if old.endswith("[]") else f"{value}::text::{new}"


def retyped(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Change a type; a default that does not fit the new one goes first, and the new one comes."""
    found = change.conversions[after.key]
    if named(after.key.name[-1], change.partitioned(after.key.name)):
        raise RefusedError(
            f"The type of {shown(after.key.name)} cannot be changed in place, for its table is"
            " partitioned by it: make a new table, copy the rows and swap the names, in steps"
            " written by hand."
        )
    default, following = before.attributes.get("default"), after.attributes.get("default")
    own = {None, "next number"}
    moves = default not in own and (found.using is not None or default != following)
    if moves:
        yield alter_column(after.key, rank.ALTER_COLUMN, server_default=Code("None"))
    yield _altered(before, after, change, found)
    if following not in own and (moves or default is None):
        yield alter_column(after.key, rank.ALTER_COLUMN, server_default=types.default(after))


def _altered(before: Item, after: Item, change: Change, found: Conversion) -> Step:
    lines = []
    if found.rewrites and change.online(after.key.name[:2]):
        lines.append(
            "Rewrites the table while nobody can use it. For a large one, have the change written"
            ' in three revisions that do not: info={"expand": True} on the column.'
        )
    given = change.hints.using.get(after.key.name)
    zoned = {bool(ZONED.search(str(item.attributes["type"]))) for item in (before, after)}
    moved = len(zoned) > 1 and given is None
    if moved:
        plain = {ZONES.fullmatch(str(item.attributes["type"])) for item in (before, after)}
        free = "" if None in plain else "; then nothing is rewritten"
        lines.append(f"Moments without a zone are those of UTC{free}.")
    step = _statement(before, after, change, found.using)
    code = step.code
    if moved:
        code = f"{executed(_UTC)}\n{code}"
    again: str | Once = ""
    if found.using or _built_on(after.key, change):
        again = _once(before, after, found.using)
    if moved and isinstance(again, Once):
        again = Once(again.condition, (_UTC, *again.statements))
    return Step(code, rank.ALTER_COLUMN, why="\n".join(lines), again=again)


_UTC = "SET LOCAL TimeZone TO 'UTC'"


def _statement(before: Item, after: Item, change: Change, using: str | None) -> Step:
    collation = after.attributes.get("collation")
    type_ = types.expression(
        str(after.attributes["type"]), change.after, None if collation is None else str(collation)
    )
    # Only SQL says that a column has its type's own collation again; Alembic 1.20 takes a percent
    # sign in USING for a parameter.
    own = collation is None and before.attributes.get("collation") is not None
    if type_ is None or own or "%" in (using or ""):
        return execute(_sql(after, using), rank.ALTER_COLUMN)
    expressed = None if using is None else Code(literal(using))
    return alter_column(after.key, rank.ALTER_COLUMN, type_=Code(type_), postgresql_using=expressed)


def _sql(after: Item, using: str | None) -> str:
    table, column = dotted(after.key.name[:2]), quoted(after.key.name[-1])
    words = f" USING {using}" if using else ""
    return f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {_type(after)}{words}"


#: What PostgreSQL does not let a column change its type under.
HOLDING = {"column", "view", "policy", "rule", "trigger"}


def _built_on(column: Key, change: Change) -> bool:
    """Tell whether the migration itself builds on a column what then holds its type."""
    return any(
        column in built and key.kind in HOLDING and key not in change.before.items
        for key, built in change.built_after.items()
    )


def _once(before: Item, after: Item, using: str | None) -> str | Once:
    """Write a change that must not happen twice: its expression is one of the old type."""
    old = differing(before, after) & {"type"} and str(before.attributes["type"])
    if not old:
        return ""
    table, column = dotted(after.key.name[:2]), after.key.name[-1]
    is_old = f"atttypid = to_regtype({string(old)})"
    if _unmodified(old) == _unmodified(str(after.attributes["type"])):
        is_old = f"format_type(atttypid, atttypmod) = {string(old)}"
    there = f"""\
SELECT FROM pg_attribute WHERE attrelid = {string(table)}::regclass
AND attname = {string(column)} AND {is_old}"""
    return Once(there, (_sql(after, using),))


def _unmodified(type_: str) -> str:
    """Leave out length, precision and scale."""
    return re.sub(r"\(.*?\)", "", type_)
