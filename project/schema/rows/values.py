"""Values for a column of any type, as the text that PostgreSQL reads.

Two kinds: ordinary ones, which are told apart by a number, and the extreme ones of a type, on which
a migration stumbles that was tried on ordinary rows only.
"""

import string
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Literal

from project.schema.rows.simple import (
    EXTREMES,
    FOREIGN,
    IN_ORDER,
    LONG,
    LONGEST,
    ORDINARY,
    QUOTED,
)

#: The last moment of a second, as far as PostgreSQL counts.
MICROSECONDS = "999999"

#: Behind the point, as many of these as there are digits.
FRACTION = "263471852"

#: How types differ in what makes a value of them, in the letters of ``pg_type.typtype``: base,
#: composite, domain, enum, range, multirange; and array, which PostgreSQL counts as base types.
Kind = Literal["b", "c", "d", "e", "r", "m", "array"]


@dataclass(frozen=True)
class Type:
    """A type as a column has it: with the length, precision or scale that the column declares."""

    name: str  # "int4", "varchar", of pg_type
    kind: Kind = "b"
    category: str = "U"  # of pg_type: "S" is a kind of text
    modifier: int = -1  # atttypmod
    delimiter: str = ","  # between elements of an array of it
    labels: tuple[str, ...] = ()
    beneath: "Type | None" = None  # of an array, range, multirange or domain
    fields: tuple["Type", ...] = ()
    not_null: bool = False  # a domain's
    #: Values that the server took; None where it takes whatever its kind or its base suggests.
    samples: tuple[str, ...] | None = None

    @property
    def base(self) -> "Type":
        """The type beneath all domains."""
        return self.beneath.base if self.kind == "d" and self.beneath else self

    @property
    def length(self) -> int | None:
        """The declared length in characters, where there is one."""
        if self.name in {"varchar", "bpchar"} and self.modifier >= 0:
            return self.modifier - 4  # the modifier counts a header
        return {"name": 63, "char": 1}.get(self.name)


def ordinary(type_: Type, number: int) -> str | None:
    """Return an ordinary value; other numbers give other values as far as the type has them.

    For types in an order a greater number gives a greater value, until they wrap around.

    Returns:
        None where no value of the type is known.

    """
    if type_.samples is not None:
        return type_.samples[number % len(type_.samples)] if type_.samples else None
    match type_.kind, type_.beneath:
        case "array", Type() as element:
            return _array(element, [ordinary(element, number)])
        case "e", _:
            return type_.labels[number % len(type_.labels)] if type_.labels else None
        case "c", _:
            return _composite([ordinary(field, number) for field in type_.fields])
        case "r", Type() as bound:
            return _range(bound, number)
        case "m", Type() as range_:
            return f"{{{ordinary(range_, number)}}}"
        case "d", Type() as base:
            return ordinary(base, number)
    return _ordinary(type_, number)


def extremes(type_: Type) -> list[str]:
    """Return the values at the ends of a type, the empty ones and the ones that need quoting."""
    if type_.samples is not None:
        return list(type_.samples[-5:])
    match type_.kind, type_.beneath:
        case "array", Type() as element:
            return _array_extremes(element)
        case "e", _:
            return list(type_.labels)
        case "c", _:
            return _composite_extremes(type_.fields)
        case "r", Type() as bound:
            value = _quote(ordinary(bound, 1))
            return ["empty", "(,)", f"[{value},)", f"(,{value}]", f"[{value},{value}]"]
        case "m", Type() as range_:
            return ["{}", "{(,)}", f"{{{ordinary(range_, 0)},{ordinary(range_, 1)}}}"]
        case "d", Type() as base:
            return extremes(base)
    return _extremes(type_)


def is_known(type_: Type) -> bool:
    """Whether a base type's values are known here; those of other texts are taken for text."""
    return type_.category == "S" or type_.name in {*ORDINARY, "numeric", "bit", "varbit"}


def word(number: int, length: int | None = None) -> str:
    """Return a word in lower case, of at most so many characters."""
    text = f"word{number + 1}"
    return text if length is None or len(text) <= length else sized(number, length)


def sized(number: int, length: int) -> str:
    """Return a text of exactly so many letters and digits."""
    digits = string.ascii_lowercase + string.digits
    text = ""
    while number and len(text) < length:
        number, digit = divmod(number, len(digits))
        text = digits[digit] + text
    return text.rjust(length, "a")


def _ordinary(type_: Type, number: int) -> str:
    if type_.name == "numeric":
        return _numeric(type_, number + 1)
    if type_.name in {"bit", "varbit"}:
        width = type_.modifier if type_.modifier > 0 else 16
        return f"{(number + 1) % 2**width:0{width}b}"
    if type_.name in ORDINARY:
        return ORDINARY[type_.name](number)
    return word(number, type_.length)


def _extremes(type_: Type) -> list[str]:
    if type_.name == "numeric":
        return _numeric_extremes(type_)
    if type_.name in {"bit", "varbit"}:
        width = type_.modifier if type_.modifier > 0 else 64
        ends = ["0" * width, "1" * width]
        return ends if type_.name == "bit" else ["", *ends]
    if type_.name in EXTREMES:
        # A precision rounds, and rounding up from the last microsecond leaves the type's range.
        digits = type_.modifier if 0 <= type_.modifier <= len(MICROSECONDS) else len(MICROSECONDS)
        last = f".{MICROSECONDS[:digits]}" if digits else ""
        return [value.replace(f".{MICROSECONDS}", last) for value in EXTREMES[type_.name]]
    if type_.name in ORDINARY:
        return [ORDINARY[type_.name](0)]
    length = type_.length
    longest = "x" * (LONG if length is None else min(length, LONGEST))
    return [text[:length] for text in ("", longest, FOREIGN, QUOTED, " two\n\tlines ")]


def _array_extremes(element: Type) -> list[str]:
    # Of one dimension: text[] would take more, but array_append() and ANY are written for a list.
    return ["{}", "{NULL}", _array(element, [*extremes(element), None])]


def _composite_extremes(fields: tuple[Type, ...]) -> list[str]:
    ends: list[list[str | None]] = [[*extremes(field), None] for field in fields]
    most = max(map(len, ends), default=0)
    return [
        # Two fields of one type hold different values, or nobody would see that they were swapped.
        _composite([values[-1 - (turn + place) % len(values)] for place, values in enumerate(ends)])
        for turn in range(most)
    ]


def _scale(type_: Type) -> tuple[int, int] | None:
    """Return digits and digits after the point (may be negative), where they are declared."""
    if type_.modifier < 0:
        return None
    packed = type_.modifier - 4
    return packed >> 16, ((packed & 0x7FF) ^ 0x400) - 0x400


def _numeric(type_: Type, number: int) -> str:
    declared = _scale(type_)
    # Every other number has a fraction, or nobody would see what a migration rounds.
    fraction = "" if number % 2 else FRACTION
    if declared is None:
        return f"{number}.{fraction}" if fraction else str(number)
    digits, scale = declared
    steps = number * 10 ** max(scale, 0) + int(fraction[: max(scale, 0)] or 0)
    return _shifted(steps if steps < 10**digits else number % 10**digits, scale)


def _numeric_extremes(type_: Type) -> list[str]:
    declared = _scale(type_)
    if declared is None:
        return ["9" * 40 + ".123456789", "-" + "9" * 40, "0", "0.001", "NaN"]
    digits, scale = declared
    most = _shifted(10**digits - 1, scale)
    # The smallest amount is what is rounded to nothing, or up to one.
    return [most, "-" + most, "0", _shifted(1, scale), "NaN"]


def _shifted(steps: int, scale: int) -> str:
    with localcontext() as context:
        context.prec = 2000
        return f"{Decimal(steps).scaleb(-scale):f}"


def _quote(value: str | None) -> str:
    """Quote a part of an array, a composite or a range; all three read it alike."""
    if value is None:
        return ""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(element: Type, values: list[str | None]) -> str:
    parts = ["NULL" if value is None else _quote(value) for value in values]
    return "{" + element.delimiter.join(parts) + "}"


def _composite(values: list[str | None]) -> str:
    return "(" + ",".join(_quote(value) for value in values) + ")"


def _range(bound: Type, number: int) -> str:
    """Return a range that shares nothing with those of other numbers."""
    lower = ordinary(bound, 4 * number)
    if bound.name in IN_ORDER:
        return f"[{_quote(lower)},{_quote(ordinary(bound, 4 * number + 2))})"
    return f"[{_quote(lower)},{_quote(lower)}]"
