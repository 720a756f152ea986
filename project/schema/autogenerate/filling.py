"""Columns that become NOT NULL: a value for the rows that are there, and the promise itself."""

from collections.abc import Iterator

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, Manner, MissingValueError
from project.schema.autogenerate.standin import stand_in
from project.schema.autogenerate.step import Step, alter_column, alter_table, execute
from project.schema.autogenerate.text import cut, dotted, quoted, shown, string
from project.schema.snapshot import Item, Key

#: Rows updated in one transaction of a backfill, as blocks of the table; a block holds about a
#: hundred rows. A request that wants one of them waits for the transaction, some 20 ms for so many;
#: fewer would commit more often.
BLOCKS = 16

#: How often a backfill looks for rows that requests have moved behind its back. The second look
#: finds few, the third hardly any; what makes none of a value would go on for ever.
LOOKS = 5


def nullability(item: Item, change: Change) -> Iterator[Step]:
    """Change whether a column may be NULL.

    Raises:
        MissingValueError: it becomes NOT NULL, and nothing says what becomes of the NULLs.

    """
    if item.attributes["nullable"]:
        yield alter_column(item.key, rank.ALTER_COLUMN, nullable=True)
        return
    value = change.hints.backfill.get(item.key.name)
    default = item.attributes.get("default")
    if value is None and default not in {None, "next number"}:
        value = str(default)
    if value is None and not change.back:
        raise MissingValueError(
            item.key,
            f"{shown(item.key.name)} becomes NOT NULL, and rows that are NULL would refuse. Say"
            ' what they become with info={"backfill": "<SQL>"} in the model.',
        )
    yield from required(item.key, value, change.manner(item.key.name))


def lost(item: Item, change: Change) -> Iterator[Step]:
    """Make a column NOT NULL again whose values are lost: each row gets one that fits.

    Raises:
        RefusedError: no value would fit.

    """
    value = stand_in(item, change)
    why = "The values are lost: these fit."
    yield from required(item.key, value, change.manner(item.key.name), why=why)


def required(key: Key, value: str | None, manner: Manner, *, why: str = "") -> Iterator[Step]:
    """Make a column NOT NULL; under traffic through a check, whose validation blocks nobody.

    Args:
        key: The column.
        value: What rows get that have none; None if all have one.
        manner: How rows are written.
        why: Where the value comes from.

    """
    if manner == "at once":
        if value is not None:
            yield from filled(key, value, manner, why=why)
        yield alter_column(key, rank.REQUIRE, nullable=False)
        return
    if value is not None:
        yield from filled(key, value, manner, why=why)
    check = quoted(cut(f"{key.name[-1]}_is_not_null"))
    drop = f"DROP CONSTRAINT IF EXISTS {check}"
    yield alter_table(
        key,
        f"{drop}, ADD CONSTRAINT {check} CHECK ({quoted(key.name[-1])} IS NOT NULL) NOT VALID",
        rank.BACKFILL + 1,
        alone=True,
        why="With a check that is validated, SET NOT NULL need not look at the rows.",
    )
    if value is not None:
        yield execute(
            _update(key, value), rank.BACKFILL + 1, alone=True, why="Rows that came meanwhile."
        )
    yield alter_table(key, f"VALIDATE CONSTRAINT {check}", rank.VALIDATE, alone=True)
    yield alter_column(key, rank.REQUIRE, nullable=False)
    yield alter_table(key, drop, rank.REQUIRE)


def _update(key: Key, value: str) -> str:
    table, column = dotted(key.name[:2]), quoted(key.name[-1])
    return f"UPDATE {table} SET {column} = {value} WHERE {column} IS NULL"


def filled(
    key: Key, value: str, manner: Manner, *, why: str = "", among: str = ""
) -> Iterator[Step]:
    """Give a value to the rows that have none.

    Under traffic, in transactions of a thousand rows or two, so that none waits long for another; a
    block may commit where the whole is in no transaction (PostgreSQL, "Transaction Management" of
    PL/pgSQL).

    Args:
        key: The column.
        value: SQL, of other columns of the row.
        manner: How rows are written.
        why: Where the value comes from.
        among: A condition of rows that have a value to get; all have one without it.

    """
    also = f" AND {among}" if among else ""
    if manner == "at once":
        yield execute(_update(key, value) + also, rank.BACKFILL, why=why)
        return
    table, column = dotted(key.name[:2]), quoted(key.name[-1])
    size = f"pg_relation_size({string(table)})"
    if manner == "in parts":
        largest = "SELECT max(pg_relation_size(relid)) FROM pg_partition_tree"
        size = f"({largest}({string(table)}))"
    yield execute(
        f"""\
DO $$
DECLARE
    blocks bigint;
    changed bigint;
    missed bigint;
BEGIN
    FOR look IN 1..{LOOKS} LOOP
        blocks := {size} / current_setting('block_size')::int;
        missed := 0;
        FOR block IN 0..blocks BY {BLOCKS} LOOP
            UPDATE {table} SET {column} = {value}
            WHERE ctid >= format('(%s,0)', block)::tid
                AND ctid < format('(%s,0)', block + {BLOCKS})::tid
                AND {column} IS NULL{also};
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
