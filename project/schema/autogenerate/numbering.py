"""Columns that number their rows: identities, and sequences of their own as ``SERIAL`` has them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, Path, RefusedError, differing
from project.schema.autogenerate.counting import (
    GREATEST,
    WORDS,
    counted,
    counting,
    options,
    recounted,
    restarted,
    retyped,
    uncommon,
)
from project.schema.autogenerate.definitions import path
from project.schema.autogenerate.step import (
    Code,
    Once,
    Step,
    alter_column,
    execute,
    executed,
    set_column,
)
from project.schema.autogenerate.text import cut, dotted, quoted, sql_text, string
from project.schema.snapshot import Item, Key


def sequence_name(item: Item) -> Path:
    """Return what the sequence of a column is called, or is to be."""
    given = item.attributes.get("sequence")
    if given is not None:
        return path(str(given))
    schema, table, column = item.key.name
    return schema, f"{table}_{column}_seq"


def is_serial(item: Item) -> bool:
    """Tell whether a column is just what ``SERIAL`` makes."""
    if item.attributes.get("default") != "next number" or item.attributes["nullable"]:
        return False
    counts = counting(item.attributes) if item.attributes.get("numbered by") else {}
    return (
        counts.get("type") == item.attributes["type"]
        and not uncommon(counts)
        and item.attributes["type"] in GREATEST
    )


def kind(item: Item) -> str:
    """Return what SQL calls the kind of an identity."""
    return "ALWAYS" if item.attributes["identity"] == "always" else "BY DEFAULT"


def identity(item: Item) -> str:
    """Write an identity in SQL."""
    listed = " ".join(options(counting(item.attributes)))
    return f"GENERATED {kind(item)} AS IDENTITY{f' ({listed})' if listed else ''}"


def within(sequence: Path, was: Mapping[str, str], becomes: Mapping[str, str]) -> Iterator[Step]:
    """Let a sequence that has not come so far yet begin within its new limits."""
    if restarted(was, becomes):
        return
    falling = becomes["increment"].startswith("-")
    limit, beyond = ("maxvalue", ">") if falling else ("minvalue", "<")
    old, new = int(was[limit]), int(becomes[limit])
    if new < old if falling else new > old:
        yield execute(
            f"SELECT setval({string(dotted(sequence))}, {new}, false)"
            f" FROM {dotted(sequence)} WHERE last_value {beyond} {new}",
            rank.ALTER_COLUMN,
            why="A sequence that has not come so far begins within its new limits.",
        )


def altered(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Change how a column numbers its rows, or whether.

    Raises:
        RefusedError: it takes its numbers from another sequence that is not its own.

    """
    old, new = _source(before), _source(after)
    if old == new == "identity":
        yield from _recounted(before, after, change)
        return
    if old == new == "sequence":
        sequence = _own(before, change)
        if not after.attributes.get("numbered by"):
            raise RefusedError(f"{after.key} takes its numbers from another sequence.")
        was, becomes = counting(before.attributes), counting(after.attributes)
        yield from within(sequence, was, becomes)
        again = restarted(was, becomes)
        if words := recounted(was, becomes):
            yield execute(f"ALTER SEQUENCE {dotted(sequence)} {words}", rank.ALTER_COLUMN)
        if again:
            yield _go_on(after)
        return
    if old and new:
        yield _handed_over(before, after, change)
        return
    yield from _ended(before, after, change)
    if new == "identity":
        drop = Once(_where(after.key, "attidentity = ''"), (_identified(after),))
        yield execute(_identified(after), rank.ALTER_COLUMN, again=drop)
        yield _go_on(after)
    elif new == "sequence":
        yield from _begun(before, after, change)
    elif after.attributes.get("default") is not None:
        yield _default(after.key, str(after.attributes["default"]))


def _handed_over(before: Item, after: Item, change: Change) -> Step:
    """Let an identity go on with the numbers of a sequence, or the other way round."""
    table, column = dotted(after.key.name[:2]), quoted(after.key.name[-1])
    own, alter = _own(before, change), f"ALTER TABLE {table} ALTER COLUMN {column}"
    old, new = dotted((own[0], cut(f"{own[-1]}_old"))), dotted(sequence_name(after))
    aside = f"ALTER SEQUENCE {dotted(own)} RENAME TO {quoted(cut(f'{own[-1]}_old'))}"
    counts = counting(after.attributes)
    last, most = ("min", "least") if counts["increment"].startswith("-") else ("max", "greatest")
    where = string(table), string(after.key.name[-1])
    set_ = f"""\
setval({{}}, number) FROM (
    SELECT {most}(last_value, (SELECT {last}({column}) FROM {table})) AS number
    FROM {old} WHERE is_called OR EXISTS (SELECT FROM {table})
) AS last WHERE number BETWEEN {counts["minvalue"]} AND {counts["maxvalue"]}"""
    if _source(after) == "identity":
        set_ = set_.format(f"pg_get_serial_sequence({', '.join(where)})")
        statements = [
            f"{alter} DROP DEFAULT",
            f"ALTER SEQUENCE {dotted(own)} OWNED BY NONE",
            aside,
            _identified(after),
            f"SELECT {set_}",
            f"DROP SEQUENCE {old}",
        ]
    else:
        set_ = set_.format(string(new))
        statements = [
            aside,
            f"CREATE {_stored(after, change)}SEQUENCE {new}{counted(counts)}",
            f"SELECT {set_}",
            f"{alter} DROP IDENTITY",
            f"ALTER SEQUENCE {new} OWNED BY {dotted(after.key.name)}",
            f"{alter} SET DEFAULT nextval({string(new)}::regclass)",
        ]
    still = _where(after.key, f"attidentity {'=' if _source(after) == 'identity' else '<>'} ''")
    performed = [statement.replace(f"SELECT {set_}", f"PERFORM {set_}") for statement in statements]
    return Step(
        "\n".join(executed(statement) for statement in statements),
        rank.ALTER_COLUMN,
        why="It goes on with its numbers.",
        again=Once(still, tuple(performed)),
    )


def _source(item: Item) -> str:
    """Return where a column's numbers come from; empty if it has none of its own."""
    if item.attributes.get("identity"):
        return "identity"
    return "sequence" if item.attributes.get("default") == "next number" else ""


def _own(item: Item, change: Change) -> Path:
    found = change.sequences.get(item.key)
    if found is None:
        raise RefusedError(f"The default of {item.key} is taken from a sequence not its own.")
    return found


def _where(key: Key, condition: str) -> str:
    return (
        f"SELECT FROM pg_attribute WHERE attrelid = {string(dotted(key.name[:2]))}::regclass\n"
        f"AND attname = {string(key.name[-1])} AND {condition}"
    )


def _identified(item: Item) -> str:
    table, column = dotted(item.key.name[:2]), quoted(item.key.name[-1])
    return f"ALTER TABLE {table} ALTER COLUMN {column} ADD {identity(item)}"


def _default(key: Key, default: str | None) -> Step:
    text = "None" if default is None else f"sa.text({sql_text(default)})"
    return alter_column(key, rank.ALTER_COLUMN, server_default=Code(text))


def _recounted(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Change the options of an identity."""
    was, becomes = counting(before.attributes), counting(after.attributes)
    type_ = str(after.attributes["type"])
    if type_ != before.attributes["type"] and type_ in GREATEST:
        was = retyped(was, type_)  # a column's new type is its identity's, too
    words = []
    again = restarted(was, becomes)
    yield from within(_own(before, change), was, becomes)
    if before.attributes["identity"] != after.attributes["identity"]:
        words.append(f"SET GENERATED {kind(after)}")
    if was["type"] != becomes["type"]:
        # Only as a sequence can it get another type; its limits change with it.
        sequence = dotted(_own(before, change))
        alter = f"ALTER SEQUENCE {sequence} {recounted(was, becomes)}"
        yield execute(alter, rank.ALTER_COLUMN)
    else:
        words += [
            f"SET {word} {becomes[name]}"
            for name, word in WORDS.items()
            if was[name] != becomes[name]
        ]
        if was["cycle"] != becomes["cycle"]:
            words.append(f"SET {'CYCLE' if becomes['cycle'] else 'NO CYCLE'}")
    if words:
        restart = again if was["type"] == becomes["type"] else ""
        yield set_column(after.key, " ".join(words) + restart, rank.ALTER_COLUMN)
    if again:
        yield _go_on(after)


def _ended(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Take away what numbered the rows, or whatever else is the default."""
    if _source(before) == "identity":
        yield set_column(after.key, "DROP IDENTITY IF EXISTS", rank.ALTER_COLUMN)
    elif before.attributes.get("default") is not None:
        yield without_default(after)
    owned = _source(before) != "identity" and before.attributes.get("numbered by")
    if owned and (_source(after) == "identity" or not after.attributes.get("numbered by")):
        sequence = dotted(_own(before, change))
        drop = "DROP SEQUENCE {}" + sequence
        yield execute(drop.format(""), rank.ALTER_COLUMN, again=drop.format("IF EXISTS "))


def without_default(item: Item) -> Step:
    """Take a default away from a column that is to number its rows."""
    drop = _default(item.key, None)
    if _source(item) != "identity":
        return drop
    # It may be one since a failed try, and has no default then.
    table, column = dotted(item.key.name[:2]), quoted(item.key.name[-1])
    statement = f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT"
    return replace(drop, again=Once(_where(item.key, "attidentity = ''"), (statement,)))


def _begun(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Let a column take its numbers from a sequence, its own if it has one."""
    if _source(before) == "" and before.attributes.get("numbered by"):
        yield _default(after.key, f"nextval({string(dotted(_own(before, change)))}::regclass)")
        return
    yield from made(after, change)
    yield _go_on(after)


def _stored(item: Item, change: Change) -> str:
    """Return what SQL says before SEQUENCE of one that a crash empties, as it does its table."""
    table = change.after.items[Key("table", item.key.name[:2])]
    own = item.attributes.get("sequence persistence") or table.attributes["persistence"]
    return "UNLOGGED " if own == "unlogged" else ""


def made(item: Item, change: Change) -> Iterator[Step]:
    """Make a sequence for a column, which takes its numbers from it."""
    sequence = dotted(sequence_name(item))
    create = f"CREATE {_stored(item, change)}SEQUENCE {{}}{sequence}"
    create += counted(counting(item.attributes))
    again = create.format("IF NOT EXISTS ")
    yield execute(create.format(""), rank.ALTER_COLUMN, again=again)
    yield execute(f"ALTER SEQUENCE {sequence} OWNED BY {dotted(item.key.name)}", rank.ALTER_COLUMN)
    yield _default(item.key, f"nextval({string(sequence)}::regclass)")


def lent(item: Item, change: Change) -> tuple[list[Step], str, Step]:
    """Number rows that are there by a sequence, until the column is an identity.

    Args:
        item: The column; it was added without.
        change: What it is part of.

    Returns:
        What makes the sequence the column's default, a number of it as SQL, and what makes an
        identity of the column, which goes on with its numbers.

    """
    table, column = dotted(item.key.name[:2]), quoted(item.key.name[-1])
    schema, own = sequence_name(item)
    sequence = dotted((schema, cut(f"{own}_lent")))
    alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
    number = f"nextval({string(sequence)}::regclass)"
    still = _where(item.key, "attidentity = ''")
    create = f"CREATE {_stored(item, change)}SEQUENCE {{}}{sequence}"
    create += counted(counting(item.attributes))
    default = f"{alter} SET DEFAULT {number}"
    make = [
        execute(create.format(""), rank.ALTER_COLUMN, again=create.format("IF NOT EXISTS ")),
        execute(default, rank.ALTER_COLUMN, again=Once(still, (default,))),
    ]
    where = f"{string(table)}, {string(item.key.name[-1])}"
    go_on = f"setval(pg_get_serial_sequence({where}), last_value, is_called) FROM {sequence}"
    before, drop = (f"{alter} DROP DEFAULT", _identified(item)), f"DROP SEQUENCE {sequence}"
    last = Step(
        "\n".join(executed(statement) for statement in (*before, f"SELECT {go_on}", drop)),
        rank.REQUIRE + 1,
        why="It goes on with its numbers.",
        # Run again, the sequence is made again even where the column is an identity by now.
        again=f"{Once(still, (*before, f'PERFORM {go_on}')).code}\n"
        f"{executed(f'DROP SEQUENCE IF EXISTS {sequence}')}",
    )
    return make, number, last


def _go_on(item: Item) -> Step:
    """Let a new sequence go on after the rows that are there."""
    counts = counting(item.attributes)
    table, column = dotted(item.key.name[:2]), quoted(item.key.name[-1])
    last = f"{'min' if counts['increment'].startswith('-') else 'max'}({column})"
    return execute(
        f"""\
SELECT setval(pg_get_serial_sequence({string(table)}, {string(item.key.name[-1])}), {last})
FROM {table} HAVING {last} BETWEEN {counts["minvalue"]} AND {counts["maxvalue"]}""",
        rank.ALTER_COLUMN,
        why="It goes on after the rows that are there.",
    )


def sequence_altered(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Change what the sequence of a column is called, how it is stored, and its comment."""
    names = differing(before, after)
    if not (before.attributes.get("numbered by") and after.attributes.get("numbered by")):
        return
    if not names & {"sequence", "sequence persistence", "sequence comment"}:
        return
    old, new = _own(before, change), sequence_name(after)
    if "sequence" in names:
        if old[0] != new[0]:
            move = f"ALTER SEQUENCE {dotted(old)} SET SCHEMA {quoted(new[0])}"
            yield execute(move, rank.ALTER_COLUMN)
        if old[-1] != new[-1]:
            rename = f"ALTER SEQUENCE {dotted((new[0], old[-1]))} RENAME TO {quoted(new[-1])}"
            yield execute(rename, rank.ALTER_COLUMN)
    name = dotted(new if "sequence" in names else old)
    if "sequence persistence" in names:
        words = f"SET {_stored(after, change).strip() or 'LOGGED'}"
        yield execute(f"ALTER SEQUENCE {name} {words}", rank.ALTER_COLUMN)
    if "sequence comment" in names:
        comment = after.attributes.get("sequence comment")
        text = "NULL" if comment is None else string(str(comment))
        yield execute(f"COMMENT ON SEQUENCE {name} IS {text}", rank.COMMENT)
