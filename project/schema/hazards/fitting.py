"""Does a type hold every value of another?"""

import re

#: Kinds of types, each of whose values the later ones hold.
WIDER = (
    ("boolean", "integer"),
    ("smallint", "integer", "bigint", "numeric"),
    ("real", "double precision", "numeric"),
    ("date", "timestamp without time zone"),
    ("date", "timestamp with time zone"),
    ("json", "jsonb"),
    ("jsonb", "json"),
    ("timestamp without time zone", "timestamp with time zone", "date"),
    ("timestamp with time zone", "timestamp without time zone", "date"),
)


#: Types of texts; without a size they hold any.
STRINGS = ("text", "character varying", "character")

#: Types that round to fewer digits of a second, and refuse none.
ROUNDED = {
    *("timestamp without time zone", "timestamp with time zone", "interval"),
    *("time without time zone", "time with time zone"),
}


def fits(old: str, new: str) -> bool:
    """Whether no value of a type is refused by another."""
    if old.endswith("[]") and new.endswith("[]"):
        return fits(old.removesuffix("[]"), new.removesuffix("[]"))
    (one, old_size), (other, new_size) = _measured(old), _measured(new)
    if other in STRINGS and new_size is None:
        return True
    if one == other and one in ROUNDED:
        return True
    if one == other or (one in STRINGS and other in STRINGS):
        if one == "numeric" and old_size and new_size:
            return new_size[0] - new_size[1] >= old_size[0] - old_size[1]
        return new_size is None or (old_size is not None and new_size >= old_size)
    return (
        any(
            one in chain and other in chain and chain.index(one) < chain.index(other)
            for chain in WIDER
        )
        and new_size is None
    )


#: Bytes that an entry of a b-tree takes at most (a third of a page, "B-Tree Indexes").
ENTRY = 2704


def is_unlimited(type_: str) -> bool:
    """Whether a value may be too long for an entry of a b-tree, which is compressed at best."""
    name, size = _measured(type_)
    return name in (*STRINGS, "bytea", "jsonb") and (size is None or size[0] > ENTRY)


def _measured(type_: str) -> tuple[str, tuple[int, int] | None]:
    found = re.fullmatch(r"(.*?)\((\d+)(?:,(\d+))?\)(.*)", type_)
    if found is None:
        return type_, None
    return found[1] + found[4], (int(found[2]), int(found[3] or 0))


def is_unsized(type_: str) -> bool:
    """Whether a type has no limit of its own in parentheses."""
    return _measured(type_)[1] is None


#: As many digits are taken over into a numeric as any value of the type surely has, not all of it.
SURE_DIGITS = {
    "double precision": "0.30000000000000004 → 0.3",
    "real": "1.2345678 → 1.23457",
}


def rounded(old: str, new: str) -> str:
    """Return an example of a value that is rounded to another one without an error, or ""."""
    (one, old_size), (other, new_size) = _measured(old), _measured(new)
    if (one, other) == ("double precision", "real"):
        return "1.1 → 1.100000023841858, printed as 1.1"
    if one in SURE_DIGITS and other == "numeric" and new_size is None:
        return SURE_DIGITS[one]
    places = new_size[1] if new_size else 0
    if other == "numeric" and new_size:
        cut = one in ("real", "double precision") or (
            one == "numeric" and (old_size is None or old_size[1] > places)
        )
    else:
        broken = one in ("real", "double precision") or (
            one == "numeric" and (old_size is None or old_size[1] > 0)
        )
        cut = broken and other in ("smallint", "integer", "bigint")
    digit = "0" * places + "4"
    return f"0.{digit} → {'0.' + '0' * places if places else '0'}" if cut else ""
