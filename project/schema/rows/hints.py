"""What a constraint's own text suggests: values that it names, or ones around them.

Nothing here understands SQL. A suggestion is a guess, tried on the server, and costs one statement
when it is wrong.
"""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from random import Random

from project.schema.rows.patterns import matching
from project.schema.rows.simple import LONGEST, document
from project.schema.rows.values import Type, ordinary, sized, word

LITERAL = re.compile(r"'((?:[^']|'')*)'")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")

#: ``~`` and ``~*`` take a regular expression, ``~~`` and ``~~*`` are LIKE and ILIKE.
PATTERN = re.compile(r"(?<!~)~\*? \(?'((?:[^']|'')*)'")
SIMILAR = re.compile(r"similar_to_escape\('((?:[^']|'')*)'")

#: Of the type json, one of each sort that ``jsonb_typeof`` tells apart.
SORTS = ("null", "true", "1", '"text"', "[]", "{}", "[1, 2]")

WHOLE = {"int2", "int4", "int8", "oid"}
NUMBERS = {*WHOLE, "numeric", "float4", "float8", "money"}
MOMENTS = {"date", "timestamp", "timestamptz"}


def hints(type_: Type, expression: str, number: int) -> list[str]:
    """Return values of a type that a constraint with this text may accept.

    Args:
        type_: Of the column.
        expression: As PostgreSQL prints it.
        number: Others give other values, where the text leaves a choice.

    """
    base = type_.base
    literals = [literal.replace("''", "'") for literal in LITERAL.findall(expression)]
    numbers = _numbers(expression, literals)
    if base.kind == "e":
        return [literal for literal in literals if literal in base.labels]
    if base.kind == "array" and base.beneath:
        return list(_arrays(base.beneath, expression, numbers, number))
    if base.name in NUMBERS:
        return list(_around(base, numbers, number))
    if base.name == "bytea":
        tails = ("5a" * (count - 1) for count in _counts(numbers) if count)
        return [f"\\x{number % 256:02x}{tail}" for tail in tails]
    if base.name in {"json", "jsonb"}:
        return list(_documents(literals, number))
    if base.name in MOMENTS:
        return list(_moments(literals, number))
    if base.category == "S":
        found = list(_texts(expression, literals, numbers, number))
        if "upper(" in expression:
            found += [text.upper() for text in (*found, word(number))]
        return [text for text in found if base.length is None or len(text) <= base.length]
    return literals


def _numbers(expression: str, literals: list[str]) -> list[Decimal]:
    """Return the numbers of a text, in order; it has negative ones in quotes."""
    found = [*NUMBER.findall(LITERAL.sub("", expression))]
    found += [literal for literal in literals if NUMBER.fullmatch(literal)]
    return sorted({Decimal(text) for text in found})


def _counts(numbers: list[Decimal]) -> list[int]:
    """Return numbers that could be a length, and their neighbours."""
    whole = {int(number) for number in numbers if 0 <= number <= LONGEST}
    return sorted({count + step for count in whole for step in (0, -1, 1) if count + step >= 0})


def _around(type_: Type, numbers: list[Decimal], number: int) -> Iterator[str]:
    for found in (*numbers, Decimal(0), Decimal(1)):
        for step in (0, 1, -1, number, -number):
            value = found + step
            if value == value.to_integral_value():
                yield f"{value.to_integral_value():f}"
            elif type_.name not in WHOLE:
                yield f"{value:f}"
    for lower, upper in pairwise(numbers):
        if type_.name in WHOLE:
            yield str(int(lower) + number % max(int(upper - lower) + 1, 1))
        else:
            yield f"{lower + (upper - lower) * (number % 100) / 100:f}"


def _arrays(element: Type, expression: str, numbers: list[Decimal], number: int) -> Iterator[str]:
    for count in _counts(numbers):
        values = (ordinary(element, number + turn) for turn in range(min(count, 100)))
        yield _braced(element, [value for value in values if value is not None])
    for value in hints(element, expression, number):
        yield _braced(element, [value])


def _braced(element: Type, values: list[str]) -> str:
    quoted = ('"' + re.sub(r'(["\\])', r"\\\1", value) + '"' for value in values)
    return "{" + element.delimiter.join(quoted) + "}"


def _documents(literals: list[str], number: int) -> Iterator[str]:
    yield from SORTS
    for literal in literals:
        yield document(literal)
        yield document({literal: number})
        yield document({literal: word(number)})
        yield document({literal: []})
    yield document(dict.fromkeys(literals, number))
    yield document(dict.fromkeys(literals, word(number)))
    for key, value in pairwise(literals):
        yield document({key: value})


def _moments(literals: list[str], number: int) -> Iterator[str]:
    for literal in literals:
        yield literal
        if not re.match(r"\d{4}-\d\d-\d\d", literal):
            continue
        try:
            day = dt.date.fromisoformat(literal[:10])
        except ValueError:  # the thirtieth of February, in a text for people
            continue
        for step in (1, -1, number % 28, -number % 28):
            moved = day.toordinal() + step
            if 0 < moved <= dt.date.max.toordinal():
                yield dt.date.fromordinal(moved).isoformat() + literal[10:]


def _texts(
    expression: str, literals: list[str], numbers: list[Decimal], number: int
) -> Iterator[str]:
    random = Random(number)  # noqa: S311 - to vary, not to hide
    yield from literals
    for literal in literals:
        if "%" in literal or "_" in literal:  # as of LIKE
            yield literal.replace("%", word(number)).replace("_", "a")
    for pattern in (*PATTERN.findall(expression), *SIMILAR.findall(expression)):
        for _ in range(3):
            yield matching(pattern.replace("''", "'"), random)
    if "length(" in expression:
        yield from (sized(number, count) for count in _counts(numbers))
    if "@" in expression:
        yield f"{word(number)}@example.com"
    if "http" in expression or "://" in expression:
        yield f"https://example.com/{word(number)}"
