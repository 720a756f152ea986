"""How a sequence counts, in the words of SQL and of SQLAlchemy."""

import re
from collections.abc import Mapping

from project.schema.snapshot import Value

#: How a sequence counts, as the snapshot has it.
COUNTING = re.compile(
    r"(?P<type>\w+) from (?P<start>-?\d+) by (?P<increment>-?\d+)"
    r" within (?P<minvalue>-?\d+) (?P<maxvalue>-?\d+) cache (?P<cache>\d+)(?P<cycle> cycle)?"
)

#: The greatest number of each type, where a sequence ends unless told otherwise.
GREATEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}

LEAST = {type_: -greatest - 1 for type_, greatest in GREATEST.items()}

#: What SQL calls each option.
WORDS = {
    "increment": "INCREMENT BY",
    "minvalue": "MINVALUE",
    "maxvalue": "MAXVALUE",
    "start": "START WITH",
    "cache": "CACHE",
}


def counting(attributes: Mapping[str, Value]) -> dict[str, str]:
    """Return how a column counts: type, start, increment, minvalue, maxvalue, cache, cycle."""
    found = COUNTING.fullmatch(str(attributes["numbered by"]))
    assert found is not None, attributes  # noqa: S101
    return {name: value or "" for name, value in found.groupdict().items()}


def counted(counts: Mapping[str, str]) -> str:
    """Write for ``CREATE SEQUENCE`` how one counts, where it is not as any would."""
    type_ = [f"AS {counts['type']}"] if counts["type"] != "bigint" else []
    return " ".join(["", *type_, *options(counts)])


def options(counts: Mapping[str, str]) -> list[str]:
    """Write what is uncommon in how a sequence counts."""
    given = uncommon(counts)
    cycle = ["CYCLE"] if given.pop("cycle", False) else []
    return [*(f"{WORDS[name]} {value}" for name, value in given.items()), *cycle]


def recounted(was: Mapping[str, str], becomes: Mapping[str, str]) -> str:
    """Write for ``ALTER SEQUENCE`` what is to be counted otherwise; nothing where nothing is."""
    words = [f"AS {becomes['type']}"] if was["type"] != becomes["type"] else []
    follows = retyped(was, becomes["type"])
    words += [f"{word} {becomes[n]}" for n, word in WORDS.items() if follows[n] != becomes[n]]
    if was["cycle"] != becomes["cycle"]:
        words.append("CYCLE" if becomes["cycle"] else "NO CYCLE")
    return " ".join(words) + restarted(was, becomes)


def retyped(counts: Mapping[str, str], type_: str) -> dict[str, str]:
    """Return how a sequence counts once it has another type.

    A limit that is the old type's own becomes the new one's ("ALTER SEQUENCE", AS).
    """
    follows = {**counts, "type": type_}
    for name, extreme in (("maxvalue", GREATEST), ("minvalue", LEAST)):
        if counts[name] == str(extreme[counts["type"]]):
            follows[name] = str(extreme[type_])
    return follows


def uncommon(counts: Mapping[str, str]) -> dict[str, int | bool]:
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


def restarted(was: Mapping[str, str], becomes: Mapping[str, str]) -> str:
    """Return what lets a sequence begin anew, where none of its numbers is allowed any more."""
    beyond = int(becomes["minvalue"]) > int(was["maxvalue"])
    below = int(becomes["maxvalue"]) < int(was["minvalue"])
    return " RESTART" if beyond or below else ""
