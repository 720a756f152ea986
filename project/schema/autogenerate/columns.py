"""Operations on columns."""

import re
from collections.abc import Iterator, Mapping

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, MissingValueError, Path, RefusedError
from project.schema.autogenerate.standin import stand_in
from project.schema.autogenerate.step import Code, Step, call, execute
from project.schema.autogenerate.text import dotted, in_schema, literal, quoted, sql_text, string
from project.schema.autogenerate.types import expression
from project.schema.snapshot import Item, Key, Snapshot, Value

#: How a sequence counts, as the snapshot has it.
COUNTING = re.compile(
    r"(?P<type>\w+) from (?P<start>-?\d+) by (?P<increment>-?\d+)"
    r" within (?P<minvalue>-?\d+) (?P<maxvalue>-?\d+) cache (?P<cache>\d+)(?P<cycle> cycle)?"
)

#: The greatest number of each type, where a sequence ends unless told otherwise.
GREATEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}

STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "x": "EXTENDED", "m": "MAIN"}

COMPRESSION = {"p": "pglz", "l": "lz4"}

#: What ``ALTER COLUMN`` says of a column beyond what SQLAlchemy can: attribute → statement.
SETTINGS = ("storage", "compression", "statistics target", "parameters")

#: Rows updated in one transaction of a backfill, as blocks of the table; a block holds about a
#: hundred rows. A request that wants one of them waits for the transaction, some 20 ms for so many;
#: fewer would commit more often.
BLOCKS = 16

#: How often a backfill looks for rows that requests have moved behind its back. The second look
#: finds few, the third hardly any; what makes none of a value would go on for ever.
LOOKS = 5


def written(item: Item, snapshot: Snapshot, *, numbered: bool = False) -> str | None:
    """Write ``sa.Column(…)``.

    Args:
        item: The column.
        snapshot: Where its type is looked up.
        numbered: Whether SQLAlchemy would make the column ``serial`` by itself, as it does with an
            integer that is the primary key.

    Returns:
        None where SQLAlchemy has no expression for the column's type.

    """
    attributes = item.attributes
    type_ = expression(str(attributes["type"]), snapshot, _text(attributes.get("collation")))
    if type_ is None:
        return None
    arguments = [literal(item.key.name[-1]), type_]
    serial = attributes.get("default") == "next number"
    if attributes.get("identity"):
        arguments.append(_identity(attributes))
    if attributes.get("generated"):
        stored = attributes.get("generated when") == "stored"
        arguments.append(
            call("sa.Computed", sql_text(str(attributes["generated"])), persisted=stored)
        )
    default = attributes.get("default") if not serial else None
    return call(
        "sa.Column",
        *arguments,
        autoincrement=None if serial or not numbered or attributes.get("identity") else False,
        server_default=None if default is None else Code(f"sa.text({sql_text(str(default))})"),
        nullable=False if not attributes["nullable"] else None,
        comment=attributes.get("comment"),
    )


def counting(attributes: Mapping[str, Value], attribute: str = "numbered by") -> dict[str, str]:
    """Return how a sequence counts: type, start, increment, minvalue, maxvalue, cache, cycle."""
    found = COUNTING.fullmatch(str(attributes[attribute]))
    assert found is not None, attributes  # noqa: S101
    return {name: value or "" for name, value in found.groupdict().items()}


def is_serial(item: Item) -> bool:
    """Tell whether a column is just what ``SERIAL`` makes."""
    if item.attributes.get("default") != "next number" or item.attributes["nullable"]:
        return False
    counts = counting(item.attributes) if item.attributes.get("numbered by") else {}
    return (
        counts.get("type") == item.attributes["type"]
        and not _uncommon(counts)
        and item.attributes["type"] in GREATEST
    )


def _uncommon(counts: Mapping[str, str]) -> dict[str, int | bool]:
    """Return how a sequence counts, where it is not as any would."""
    falling = counts["increment"].startswith("-")
    greatest = GREATEST[counts["type"]]
    common = {
        "start": counts["maxvalue"] if falling else counts["minvalue"],
        "increment": "1",
        "minvalue": str(-greatest - 1 if falling else 1),
        "maxvalue": str(-1 if falling else greatest),
        "cache": "1",
    }
    found: dict[str, int | bool] = {
        name: int(counts[name]) for name, value in common.items() if counts[name] != value
    }
    return found | ({"cycle": True} if counts["cycle"] else {})


def _identity(attributes: Mapping[str, Value]) -> str:
    counts = counting(attributes)
    options: dict[str, int | bool] = {"always": True} if attributes["identity"] == "always" else {}
    return call("sa.Identity", **options, **_uncommon(counts))


def counted(counts: Mapping[str, str]) -> str:
    """Write how a sequence counts for ``CREATE SEQUENCE`` or ``ALTER SEQUENCE``, all of it."""
    return (
        f"AS {counts['type']} INCREMENT BY {counts['increment']} MINVALUE {counts['minvalue']}"
        f" MAXVALUE {counts['maxvalue']} START WITH {counts['start']} CACHE {counts['cache']}"
        f" {'CYCLE' if counts['cycle'] else 'NO CYCLE'}"
    )


def added(item: Item, change: Change) -> Iterator[Step]:
    """Add a column to a table that is there.

    Raises:
        RefusedError: the rows that are there would have no value.

    """
    table = item.key.name[:2]
    attributes = item.attributes
    online = change.online(table)
    existed = Key("table", table) in change.before.items
    bare = dict(attributes)
    later: list[Step] = []
    backfill = change.hints.backfill.get(item.key.name)
    default = _text(attributes.get("default"))
    required = not attributes["nullable"] and not attributes.get("generated")
    if existed and attributes.get("default") == "next number":
        yield from _numbered(item, change)
        return
    if online and item.key in change.volatile and backfill is None:
        # A volatile default would rewrite the table under a lock that stops everybody.
        backfill = default
        del bare["default"]
        later.append(_default(item.key, default, rank.ALTER_COLUMN))
    if existed and required and not attributes.get("identity") and backfill is None and not default:
        if change.back:
            yield from _neutral(item, change)
            return
        raise MissingValueError(
            item.key,
            f"{name(item.key)} is new and NOT NULL, and the rows that are there have no value for"
            f' it. Say which with info={{"backfill": "<SQL>"}} in the model, or give it a'
            " server_default.",
        )
    if existed and backfill is not None and required:
        bare["nullable"] = True
    yield _add(Item(item.key, bare), change, _why_added(item, online=online))
    yield from later
    if existed and backfill is not None:
        yield from filled(item.key, backfill, online=online)
        if required:
            yield from required_(item.key, online=online)
    for setting in SETTINGS:
        if attributes.get(setting) is not None:
            yield _setting(item.key, setting, None, attributes[setting])


def _add(item: Item, change: Change, why: str) -> Step:
    column = written(item, change.after)
    *schema, table, _ = item.key.name
    if column is None:
        sql = f"ALTER TABLE {dotted(item.key.name[:2])} ADD COLUMN {{}}{spelled(item)}"
        return execute(sql.format(""), rank.ADD_COLUMN, why=why, again=sql.format("IF NOT EXISTS "))
    arguments = (literal(table), column)
    return Step(
        call("op.add_column", *arguments, schema=in_schema(schema)),
        rank.ADD_COLUMN,
        why=why,
        again=call("op.add_column", *arguments, if_not_exists=True, schema=in_schema(schema)),
    )


def _why_added(item: Item, *, online: bool) -> str:
    stored = item.attributes.get("generated when") == "stored"
    if online and (stored or item.attributes.get("identity")):
        return "Rewrites the table while nobody can read it: PostgreSQL has no other way."
    return ""


def _neutral(item: Item, change: Change) -> Iterator[Step]:
    """Add a NOT NULL column again whose values are lost: each row gets one that fits."""
    yield _add(Item(item.key, {**item.attributes, "nullable": True}), change, "")
    online = change.online(item.key.name[:2])
    yield from filled(
        item.key, stand_in(item, change), online=online, why="The values are lost: these fit."
    )
    yield from required_(item.key, online=online)


def _numbered(item: Item, change: Change) -> Iterator[Step]:
    """Add a column with a sequence of its own, as ``SERIAL`` would be."""
    *path, column = item.key.name
    sequence = (path[0], f"{path[1]}_{column}_seq")
    yield execute(
        f"CREATE SEQUENCE {dotted(sequence)} {counted(counting(item.attributes))}",
        rank.ADD_COLUMN,
        again=f"CREATE SEQUENCE IF NOT EXISTS {dotted(sequence)}"
        f" {counted(counting(item.attributes))}",
    )
    default = f"nextval({string(dotted(sequence))}::regclass)"
    online = change.online(item.key.name[:2])
    bare = {**item.attributes, "nullable": True}
    del bare["default"]
    yield _add(Item(item.key, bare), change, "")
    yield _default(item.key, default, rank.ALTER_COLUMN)
    yield execute(
        f"ALTER SEQUENCE {dotted(sequence)} OWNED BY {dotted(item.key.name)}", rank.ALTER_COLUMN
    )
    yield from filled(item.key, default, online=online)
    if not item.attributes["nullable"]:
        yield from required_(item.key, online=online)


def dropped(key: Key, change: Change) -> Iterator[Step]:
    """Drop a column; its indexes and constraints go with it."""
    *schema, table, column = key.name
    arguments = (literal(table), literal(column))
    generated = change.before.items[key].attributes.get("generated")
    yield Step(
        call("op.drop_column", *arguments, schema=in_schema(schema)),
        rank.DROP_COLUMN,
        why=""
        if generated or change.back
        else f"loses: {name(key)}, which the models no longer have",
        again=call("op.drop_column", *arguments, if_exists=True, schema=in_schema(schema)),
    )


def altered(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Change a column in place."""
    differing = {
        attribute
        for attribute in before.attributes.keys() | after.attributes.keys()
        if before.attributes.get(attribute) != after.attributes.get(attribute)
    }
    old, new = before.attributes, after.attributes
    default = _text(new.get("default"))
    if differing & {"type", "collation"}:
        yield from _retyped(before, after, change)
        differing -= {"default"}
    if differing & {"identity", "default", "numbered by"}:
        if old.get("identity") or new.get("identity"):
            yield from _identified(before, after, change)
        elif "next number" in (old.get("default"), default):
            yield from _renumbered(before, after, change)
        elif "default" in differing:
            yield _default(after.key, default, rank.ALTER_COLUMN)
    if "nullable" in differing:
        yield from _nullability(after, change)
    for setting in SETTINGS:
        if setting in differing:
            yield _setting(after.key, setting, old.get(setting), new.get(setting))
    if "not null unvalidated" in differing and old.get("not null unvalidated"):
        yield from required_(after.key, online=True)
    if "comment" in differing:
        yield _alter(after.key, rank.COMMENT, comment=Code(literal(new.get("comment"))))


def _alter(key: Key, position: int, why: str = "", **named: object) -> Step:
    *schema, table, column = key.name
    arguments = (literal(table), literal(column))
    return Step(
        call("op.alter_column", *arguments, **named, schema=in_schema(schema)), position, why=why
    )


def _default(key: Key, default: str | None, position: int) -> Step:
    value = "None" if default is None else f"sa.text({sql_text(default)})"
    return _alter(key, position, server_default=Code(value))


def _retyped(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Change a type; the default, which may not fit the new one, goes first and comes back."""
    old, new = before.attributes, after.attributes
    using = change.hints.using.get(after.key.name) or conversion(before, after, change)
    default, following = _text(old.get("default")), _text(new.get("default"))
    moves = (
        default is not None
        and default != "next number"
        and (using is not None or default != following)
    )
    if moves:
        yield _default(after.key, None, rank.ALTER_COLUMN)
    collation = _text(new.get("collation"))
    type_ = expression(str(new["type"]), change.after, collation)
    why = ""
    if change.online(after.key.name[:2]) and _rewrites(str(old["type"]), str(new["type"]), using):
        why = "Rewrites the table while nobody can read it; docs: expand, backfill, contract."
    if collation is None and old.get("collation") is not None:
        type_ = None  # only SQL says that a column has its type's own collation again
    if type_ is None:
        sql = f"ALTER TABLE {dotted(after.key.name[:2])} ALTER COLUMN {quoted(after.key.name[-1])}"
        sql += f" TYPE {new['type']}" + (f" COLLATE {collation}" if collation else "")
        yield execute(sql + (f" USING {using}" if using else ""), rank.ALTER_COLUMN, why=why)
    else:
        yield _alter(
            after.key, rank.ALTER_COLUMN, why, type_=Code(type_), postgresql_using=_escaped(using)
        )
    if following is not None and following != "next number" and (moves or default is None):
        yield _default(after.key, following, rank.ALTER_COLUMN)


def _escaped(using: str | None) -> Code | None:
    return None if using is None else Code(literal(using))


def _rewrites(old: str, new: str, using: str | None) -> bool:
    """Tell whether a change of type writes every row anew, as far as the types say.

    A longer or unlimited ``varchar``, a wider ``numeric`` of the same scale and the way from
    ``varchar`` to ``text`` need no look at the rows (PostgreSQL, "ALTER TABLE", Notes).
    """
    if using is not None:
        return True
    lengths = [re.fullmatch(r"character varying(?:\((\d+)\))?|text", t) for t in (old, new)]
    if all(lengths):
        limits = [int(found[1] or 10**9) if found else 0 for found in lengths]
        return limits[1] < limits[0]
    scales = [re.fullmatch(r"numeric\((\d+),(-?\d+)\)", t) for t in (old, new)]
    if new == "numeric" and scales[0]:
        return False
    if scales[0] and scales[1]:
        return scales[0][2] != scales[1][2] or int(scales[1][1]) < int(scales[0][1])
    return True


def conversion(before: Item, after: Item, change: Change) -> str | None:
    """Write what makes the new value of the old one, where the server has no way of its own.

    It casts by itself within a family of types; between an enum and another, from text to anything
    that is not, and between one value and an array of it, it must be told how.
    """
    old, new = str(before.attributes["type"]), str(after.attributes["type"])
    column = quoted(after.key.name[-1])
    labels = change.hints.labels.get(after.key.name)
    if old == new and not labels:
        return None
    if labels:
        cases = " ".join(f"WHEN {string(o)} THEN {string(n)}" for o, n in labels.items())
        return f"(CASE {column}::text {cases} ELSE {column}::text END)::{new}"
    if new == f"{old}[]":
        return f"CASE WHEN {column} IS NOT NULL THEN ARRAY[{column}] END"
    if old == f"{new}[]":
        return f"{column}[1]"
    if new.endswith("[]") != old.endswith("[]"):
        array, one = (new, old) if new.endswith("[]") else (old, new)
        inner = conversion_of(one, array[:-2], column) or column
        if new.endswith("[]"):
            return f"CASE WHEN {column} IS NOT NULL THEN ARRAY[{inner}]::{new} END"
        return conversion_of(array[:-2], new, f"{column}[1]") or f"{column}[1]"
    return conversion_of(old, new, column)


def conversion_of(old: str, new: str, value: str) -> str | None:
    """Write a cast that the server does not do by itself; None where it does."""
    text = re.compile(r"text|character varying.*|character\(.*|public\.citext|name")
    numeric = re.compile(r"smallint|integer|bigint|numeric.*|real|double precision")
    if text.fullmatch(old) and text.fullmatch(new):
        return None
    if new in {"json", "jsonb"} and old not in {"json", "jsonb"}:
        return f"to_{new}({value})"
    if old in {"json", "jsonb"} and new not in {"json", "jsonb"}:
        bare = f"({value} #>> '{{}}')"
        return bare if text.fullmatch(new) else f"{bare}::{new}"
    if numeric.fullmatch(old) and numeric.fullmatch(new):
        return None
    family = {
        old.split("(", maxsplit=1)[0].split(" ", maxsplit=1)[0],
        new.split("(", maxsplit=1)[0].split(" ", maxsplit=1)[0],
    }
    if len(family) == 1 or family in ({"timestamp", "date"}, {"json", "jsonb"}):
        return None
    if old == "boolean" and numeric.fullmatch(new) and new != "integer":
        return f"{value}::integer::{new}"
    if new == "boolean" and numeric.fullmatch(old) and old != "integer":
        return f"{value}::integer::boolean"
    if text.fullmatch(new):
        return f"{value}::{new}"
    if "." in old and "." in new:
        return f"{value}::text::{new}"
    if old.endswith("[]"):
        return f"{value}::text[]::{new}"
    return f"{value}::{new}"


def _identified(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Make a column number its rows itself, or no longer, or otherwise."""
    old, new = before.attributes, after.attributes
    table, column = dotted(after.key.name[:2]), quoted(after.key.name[-1])
    alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
    if old.get("identity") and not new.get("identity"):
        yield execute(f"{alter} DROP IDENTITY", rank.ALTER_COLUMN)
        if new.get("default") == "next number":
            yield from _sequence_made(after, change)
        elif new.get("default") is not None:
            yield _default(after.key, str(new["default"]), rank.ALTER_COLUMN)
        return
    if not old.get("identity"):
        if old.get("default") is not None:
            yield _default(after.key, None, rank.ALTER_COLUMN)
        if old.get("default") == "next number":
            yield from _sequence_dropped(before, change)
        if old["nullable"]:
            yield from required_(after.key, online=change.online(after.key.name[:2]))
        options = {k: v for k, v in _uncommon(counting(new)).items() if k != "cycle"}
        words = {"start": "START WITH", "increment": "INCREMENT BY"}
        written_ = [f"{words.get(name, name.upper())} {v}" for name, v in options.items()]
        written_ += ["CYCLE"] if _uncommon(counting(new)).get("cycle") else []
        kind = "ALWAYS" if new["identity"] == "always" else "BY DEFAULT"
        listed = f" ({' '.join(written_)})" if written_ else ""
        yield execute(f"{alter} ADD GENERATED {kind} AS IDENTITY{listed}", rank.ALTER_COLUMN)
        yield _go_on(after.key)
        return
    changes = []
    if old["identity"] != new["identity"]:
        changes.append(f"SET GENERATED {'ALWAYS' if new['identity'] == 'always' else 'BY DEFAULT'}")
    was, becomes = counting(old), counting(new)
    if was["type"] != becomes["type"]:
        sequence = change.sequences[before.key]
        yield execute(f"ALTER SEQUENCE {dotted(sequence)} {counted(becomes)}", rank.ALTER_COLUMN)
    else:
        for name_, word in (
            *(("increment", "INCREMENT BY"), ("minvalue", "MINVALUE"), ("maxvalue", "MAXVALUE")),
            *(("start", "START WITH"), ("cache", "CACHE")),
        ):
            if was[name_] != becomes[name_]:
                changes.append(f"SET {word} {becomes[name_]}")
        if was["cycle"] != becomes["cycle"]:
            changes.append(f"SET {'CYCLE' if becomes['cycle'] else 'NO CYCLE'}")
    if changes:
        yield execute(f"{alter} {' '.join(changes)}", rank.ALTER_COLUMN)


def _go_on(key: Key) -> Step:
    """Let a new sequence go on after the rows that are there."""
    table, column = dotted(key.name[:2]), quoted(key.name[-1])
    return execute(
        f"SELECT setval(pg_get_serial_sequence({string(table)}, {string(key.name[-1])}),"
        f" coalesce(max({column}), 0) + 1, false) FROM {table}",
        rank.ALTER_COLUMN,
        why="The next number is one that no row has.",
    )


def _sequence_made(item: Item, change: Change) -> Iterator[Step]:
    """Give a column a sequence and its numbers as default."""
    *path, column = item.key.name
    sequence = dotted(change_name(item, change) or (path[0], f"{path[1]}_{column}_seq"))
    yield execute(
        f"CREATE SEQUENCE {sequence} {counted(counting(item.attributes))}", rank.ALTER_COLUMN
    )
    yield execute(f"ALTER SEQUENCE {sequence} OWNED BY {dotted(item.key.name)}", rank.ALTER_COLUMN)
    yield _default(item.key, f"nextval({string(sequence)}::regclass)", rank.ALTER_COLUMN)
    yield _go_on(item.key)


def change_name(item: Item, change: Change) -> Path | None:
    """Return the name that the column's sequence is to have, if the change knows it."""
    del item, change
    return None


def _sequence_dropped(item: Item, change: Change) -> Iterator[Step]:
    sequence = change.sequences.get(item.key)
    if sequence is not None:
        yield execute(f"DROP SEQUENCE {dotted(sequence)}", rank.ALTER_COLUMN)


def _renumbered(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Give a column a sequence of its own, take it away, or let it count otherwise."""
    old, new = before.attributes, after.attributes
    if old.get("default") == "next number" and new.get("default") == "next number":
        sequence = change.sequences.get(before.key)
        if sequence is None or not new.get("numbered by"):
            raise RefusedError(
                f"The default of {name(after.key)} is taken from another sequence; write that step."
            )
        yield execute(
            f"ALTER SEQUENCE {dotted(sequence)} {counted(counting(new))}", rank.ALTER_COLUMN
        )
    elif new.get("default") == "next number" and old.get("numbered by") is None:
        yield from _sequence_made(after, change)
    elif new.get("default") == "next number":
        sequence = dotted(change.sequences[before.key])
        yield _default(after.key, f"nextval({string(sequence)}::regclass)", rank.ALTER_COLUMN)
    else:
        yield _default(after.key, _text(new.get("default")), rank.ALTER_COLUMN)
        if new.get("numbered by") is None:
            yield from _sequence_dropped(before, change)


def _nullability(item: Item, change: Change) -> Iterator[Step]:
    """Change whether a column may be NULL.

    Raises:
        RefusedError: it becomes NOT NULL, and nothing says what becomes of the NULLs.

    """
    if item.attributes["nullable"]:
        yield _alter(item.key, rank.ALTER_COLUMN, nullable=True)
        return
    online = change.online(item.key.name[:2])
    backfill = change.hints.backfill.get(item.key.name)
    default = _text(item.attributes.get("default"))
    if backfill is None and default is not None and default != "next number":
        backfill = default
    if backfill is None and not item.attributes.get("identity") and not change.back:
        raise MissingValueError(
            item.key,
            f"{name(item.key)} becomes NOT NULL, and rows that are NULL would refuse. Say what they"
            ' become with info={"backfill": "<SQL>"} in the model.',
        )
    if backfill is not None:
        yield from filled(item.key, backfill, online=online)
    yield from required_(item.key, online=online)


def filled(key: Key, value: str, *, online: bool, why: str = "") -> Iterator[Step]:
    """Give a value to the rows that have none.

    Under traffic, in transactions of a thousand rows or two, so that none waits long for another; a
    procedure may commit where the whole is in no transaction (PostgreSQL, "Transaction
    Management" of PL/pgSQL).
    """
    table, column = dotted(key.name[:2]), quoted(key.name[-1])
    if not online:
        sql = f"UPDATE {table} SET {column} = {value} WHERE {column} IS NULL"
        yield execute(sql, rank.BACKFILL, why=why)
        return
    yield execute(
        f"""\
DO $$
DECLARE
    blocks bigint;
    changed bigint;
    missed bigint;
BEGIN
    FOR look IN 1..{LOOKS} LOOP
        blocks := pg_relation_size({string(table)}) / current_setting('block_size')::int;
        missed := 0;
        FOR block IN 0..blocks BY {BLOCKS} LOOP
            UPDATE {table} SET {column} = {value}
            WHERE ctid >= format('(%s,0)', block)::tid
                AND ctid < format('(%s,0)', block + {BLOCKS})::tid
                AND {column} IS NULL;
            GET DIAGNOSTICS changed = ROW_COUNT;
            missed := missed + changed;
            COMMIT;
        END LOOP;
        EXIT WHEN missed = 0;  -- none that requests have moved meanwhile
    END LOOP;
END $$""",
        rank.BACKFILL,
        alone=True,
        why="\n".join(filter(None, (why, "A thousand rows or two at a time, then COMMIT."))),
    )


def required_(key: Key, *, online: bool) -> Iterator[Step]:
    """Make a column NOT NULL; under traffic through a check, whose validation blocks nobody."""
    table, column = dotted(key.name[:2]), quoted(key.name[-1])
    if not online:
        yield _alter(key, rank.REQUIRE, nullable=False)
        return
    check = quoted(f"{key.name[-1]}_is_not_null"[:63])
    yield execute(
        f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}", rank.BACKFILL + 1, alone=True
    )
    yield execute(
        f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID",
        rank.BACKFILL + 1,
        alone=True,
        why="With a validated check, SET NOT NULL needs no look at the rows.",
    )
    yield execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}", rank.VALIDATE, alone=True)
    yield _alter(key, rank.REQUIRE, nullable=False)
    yield execute(f"ALTER TABLE {table} DROP CONSTRAINT {check}", rank.REQUIRE)


def _setting(key: Key, setting: str, old: Value, new: Value) -> Step:
    alter = f"ALTER TABLE {dotted(key.name[:2])} ALTER COLUMN {quoted(key.name[-1])}"
    if setting == "storage":
        sql = f"{alter} SET STORAGE {STORAGE.get(str(new), 'DEFAULT')}"
    elif setting == "compression":
        sql = f"{alter} SET COMPRESSION {COMPRESSION.get(str(new), 'default')}"
    elif setting == "statistics target":
        sql = f"{alter} SET STATISTICS {-1 if new is None else new}"
    else:
        return execute(f"{alter} {options(old, new)}", rank.ALTER_COLUMN)
    return execute(sql, rank.ALTER_COLUMN)


def options(old: Value, new: Value, prefix: str = "") -> str:
    """Write ``SET (…)`` and ``RESET (…)`` for parameters given as ``name=value``."""
    was = dict(str(o).split("=", 1) for o in old) if isinstance(old, tuple) else {}
    becomes = dict(str(o).split("=", 1) for o in new) if isinstance(new, tuple) else {}
    gone = ", ".join(prefix + name for name in sorted(was.keys() - becomes.keys()))
    if gone:
        # One statement does one of both; what is still different is seen on the next look.
        return f"RESET ({gone})"
    return f"SET ({', '.join(f'{prefix}{name} = {becomes[name]}' for name in sorted(becomes))})"


def spelled(item: Item) -> str:
    """Write a column in SQL, for types that SQLAlchemy has no expression for."""
    attributes = item.attributes
    parts = [quoted(item.key.name[-1]), str(attributes["type"])]
    if attributes.get("collation"):
        parts.append(f"COLLATE {attributes['collation']}")
    if attributes.get("default") is not None:
        parts.append(f"DEFAULT {attributes['default']}")
    if attributes.get("generated"):
        when = str(attributes["generated when"]).upper()
        parts.append(f"GENERATED ALWAYS AS ({attributes['generated']}) {when}")
    if attributes.get("identity"):
        kind = "ALWAYS" if attributes["identity"] == "always" else "BY DEFAULT"
        parts.append(f"GENERATED {kind} AS IDENTITY")
    if not attributes["nullable"]:
        parts.append("NOT NULL")
    return " ".join(parts)


def name(key: Key) -> str:
    """Name a column for a person: ``account.email``."""
    return ".".join(key.name[1:] if key.name[0] == "public" else key.name)


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
