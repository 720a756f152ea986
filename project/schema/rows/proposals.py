"""Rows to be tried: the first of a kind, and another after the server refused one."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum
from random import Random

from project.schema.rows.hints import hints
from project.schema.rows.tables import Column, ForeignKey, Name, Table
from project.schema.rows.values import extremes, ordinary


class Word(Enum):
    """A word of SQL in the place of a value."""

    DEFAULT = "DEFAULT"


#: Leaves a column to its default.
DEFAULT = Word.DEFAULT

#: What is written into a column.
Value = str | None | Word

#: What is written into a table; columns that are not in it are the server's to fill.
Row = dict[str, Value]

#: One parent's key, in the order of the foreign key's columns.
Key = tuple[str, ...]

#: The keys that each foreign key may refer to, by its name.
Keys = Mapping[str, Sequence[Key]]

#: Rows of a kind of their own; the ones between, up to the last, hold the extreme values.
WITH_NULLS, WITH_DEFAULTS, FIRST_EXTREME, LAST_EXTREME = 1, 2, 3, 7

#: And two that hold NULL where the other does not.
WITH_SOME_NULLS = (8, 9)

#: Until which draw, from 0 to 1, a column that is proposed anew gets what.
HINT, NULL, LEFT, EXTREME = 0.5, 0.65, 0.72, 0.82

#: Ordinary values to choose from when one was refused.
MANY = 1000

#: How many values are proposed for a column that came later than its row.
LATER = 12


def first(table: Table, number: int, seed: int, keys: Keys) -> Row:
    """Propose a row.

    Args:
        table: Where it goes.
        number: Of the row in its table, from 0: the first ones are all ordinary, all NULL that may
            be, all defaults, then the extremes in turn, then NULL in every other column, and
            in those between. Where nothing is to be unique, that of the defaults repeats the first
            one: a migration may want values to be.
        seed: Shifts which extremes meet in a row.
        keys: What its foreign keys may refer to.

    """

    def choose(foreign_key: ForeignKey, options: Sequence[Key]) -> Key | None:
        if number == WITH_NULLS:
            return None
        repeats = number == WITH_DEFAULTS and table.unique.isdisjoint(foreign_key.columns)
        return options[0 if repeats else number % len(options)]

    row: Row = {
        column.name: _styled(table, column, number, seed, unique=column.name in table.unique)
        for column in table.columns
        if not column.generated and (not column.serves or column.name in table.referring)
    }
    return row | _references(table, keys, choose)


def again(table: Table, row: Row, suspects: Collection[str], keys: Keys, random: Random) -> Row:
    """Propose a row in place of one that was refused, with other values in the suspect columns."""

    def choose(_: ForeignKey, options: Sequence[Key]) -> Key | None:
        return None if random.random() < NULL - HINT else random.choice(options)

    # Values of the same number are alike, which is what some rules ask for (``lower(a) = b``).
    shared = random.choice([None, random.randrange(MANY)])
    other = {
        name: _drawn(table, table.by_name[name], shared, random) if name in suspects else value
        for name, value in row.items()
    }
    if table.referring.isdisjoint(suspects):
        return other
    return other | _references(table, keys, choose)


def later(  # noqa: PLR0913
    table: Table, column: Column, number: int, *, seed: int, options: Sequence[Key], random: Random
) -> Iterator[str]:
    """Propose values for a column of a row that has been there before it.

    Args:
        table: Where the row is.
        column: Which holds nothing yet.
        number: Of the row in its table, from 0; as with others, one keeps its NULLs.
        seed: As for :func:`first`.
        options: What it may refer to, if it is a reference.
        random: Draws what is proposed when the first was refused.

    """
    if number == WITH_NULLS:
        return
    if column.name in table.referring:
        if options:
            yield options[number % len(options)][0]
        return
    first_of_all = _styled(table, column, number, seed, unique=True)
    drawn = (_drawn(table, column, None, random) for _ in range(LATER))
    yield from (value for value in (first_of_all, *drawn) if isinstance(value, str))


def _styled(table: Table, column: Column, number: int, seed: int, *, unique: bool) -> Value:
    if column.sequence:
        return _ordinary(column, number)
    if column.nullable and (
        number == WITH_NULLS or (number in WITH_SOME_NULLS and (number + column.position) % 2)
    ):
        return None
    if number == WITH_DEFAULTS and is_constant(column.default):
        return DEFAULT
    if column.type.base.kind == "e":
        # Every label in turn; the row of NULLs has passed none over.
        return _ordinary(column, number - (column.nullable and number > WITH_NULLS))
    if number == WITH_DEFAULTS and not unique:
        return _ordinary(column, 0)
    if FIRST_EXTREME <= number <= LAST_EXTREME and (ends := _ends(table, column)):
        return ends[(number + column.position + seed) % len(ends)]
    return _ordinary(column, number)


def _ordinary(column: Column, number: int) -> Value:
    value = ordinary(column.type, number)
    return DEFAULT if value is None and column.default else value


def _drawn(table: Table, column: Column, number: int | None, random: Random) -> Value:
    draw = random.random()
    if number is None:
        number = random.randrange(MANY)
    if column.sequence:
        return _ordinary(column, number)
    if draw < HINT:
        found = [
            hint
            for check in table.checks
            if column.name in check.columns
            for hint in hints(column.type, check.expression, number)
        ]
        if found:
            return random.choice(found)
    elif draw < NULL and column.nullable:
        return None
    elif draw < LEFT and is_constant(column.default):
        return DEFAULT
    elif draw < EXTREME and (ends := _ends(table, column)):
        return random.choice(ends)
    return _ordinary(column, number)


def _ends(table: Table, column: Column) -> list[str]:
    """Return the extremes; where there is a check no NaN, which passes ``> 0`` by accident."""
    ends = extremes(column.type)
    if any(column.name in check.columns for check in table.checks):
        return [end for end in ends if end != "NaN"]
    return ends


def is_constant(default: str | None) -> bool:
    """Whether a default is the same each time: a function's may be the clock's or a draw."""
    return default is not None and "(" not in default and not default.startswith("CURRENT_")


def _references(
    table: Table, keys: Keys, choose: Callable[[ForeignKey, Sequence[Key]], Key | None]
) -> Row:
    """Choose the rows to refer to; two references that share a column agree on it."""
    chosen: Row = {}
    for foreign_key in table.foreign_keys:
        columns = foreign_key.columns
        if any(table.by_name[name].generated for name in columns):
            continue
        options = [
            key
            for key in keys[foreign_key.name]
            if all(
                chosen.get(name, value) == value for name, value in zip(columns, key, strict=True)
            )
        ]
        key = choose(foreign_key, options) if options else None
        if key is None and options and not foreign_key.optional:
            key = options[0]
        if key is not None:
            chosen |= zip(columns, key, strict=True)
        else:
            for name in columns:
                if table.by_name[name].nullable:
                    chosen.setdefault(name, None)
    return chosen


def link(
    batch: Mapping[Name, Table],
    rows: Mapping[Name, Row],
    links: Collection[tuple[Name, ForeignKey]],
    random: Random,
) -> None:
    """Let new rows refer to each other.

    A key that is copied around a circle arrives where it came from; as many rounds as there are
    references bring it everywhere.

    Args:
        batch: The tables that get a row each.
        rows: These rows; they are changed.
        links: The references among them, with the table that refers.
        random: Draws keys that the server would have given.

    """
    for _ in links:
        for name, key in links:
            table, parent = batch[key.parent_root], rows[key.parent_root]
            for column, source in zip(key.columns, key.parent_columns, strict=True):
                if not isinstance(parent.get(source), str):
                    parent[source] = ordinary(table.by_name[source].type, random.randrange(MANY))
                rows[name][column] = parent[source]
