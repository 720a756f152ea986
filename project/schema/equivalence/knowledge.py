"""What a server says of functions: which are one, which compare, which commute, which are steady.

Of those that come with it, whose numbers are below 16384, two with the same code are the same. Of
what a user or an extension has made only that is taken which is declared, and by which the planner
goes, too. Sources: PostgreSQL, "Operator Optimization Information", "Interfacing Extensions to
Indexes: Operator Classes and Operator Families", "Function Volatility Categories".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

#: Comparisons, numbered as B-trees do: less, less or equal, equal, greater or equal, greater.
#: UNEQUAL is not one of theirs.
UNEQUAL, EQUAL = 0, 3

#: Comparisons with the sides changed, and their contraries.
COMMUTED = {1: 5, 2: 4, 3: 3, 4: 2, 5: 1, UNEQUAL: UNEQUAL}
NEGATED = {1: 4, 2: 5, 3: UNEQUAL, 4: 1, 5: 2, UNEQUAL: 3}

#: The first number that no object of the server's own has.
FIRST = 16384

#: What somebody made is called in a tree.
MADE = re.compile(r":(?:op)?funcid \d{5}")

SAME = """
    SELECT oid, min(oid) OVER (PARTITION BY prosrc, prokind, prolang, proargtypes, prorettype,
        provariadic, proretset, proisstrict, provolatile, to_jsonb(aggregate) - 'aggfnoid')
    FROM pg_proc LEFT JOIN pg_aggregate AS aggregate ON aggfnoid = oid
    WHERE oid < 16384 AND (prolang = 12 OR aggfnoid IS NOT NULL)
"""
STEADY = "SELECT oid FROM pg_proc WHERE provolatile <> 'v' AND oid < %s"
COMPARISONS = """
    WITH found AS (
        SELECT o.oprcode, amopfamily, amopstrategy, negator.oprcode AS negator,
            amoplefttype = amoprighttype AS of_one_type
        FROM pg_amop JOIN pg_am ON pg_am.oid = amopmethod AND amname = 'btree'
        JOIN pg_operator AS o ON o.oid = amopopr
        LEFT JOIN pg_operator AS negator ON negator.oid = o.oprnegate
        WHERE o.oid < %s
    )
    SELECT oprcode::oid, amopfamily, amopstrategy, of_one_type FROM found
    UNION ALL SELECT negator::oid, amopfamily, 0, of_one_type FROM found
        WHERE amopstrategy = 3 AND negator IS NOT NULL
    ORDER BY 2 DESC
"""
COMMUTATORS = """
    SELECT o.oprcode::oid, other.oprcode::oid
    FROM pg_operator AS o JOIN pg_operator AS other ON other.oid = o.oprcom
    WHERE o.oid < %s AND o.oprcode <> 0 AND other.oprcode <> 0
"""
CASTS = """
    SELECT castfunc, source.amopfamily, provolatile = 'i'
    FROM pg_cast JOIN pg_proc ON pg_proc.oid = castfunc AND pronargs = 1 AND provolatile <> 'v'
    JOIN pg_amop AS source ON source.amoplefttype = castsource AND source.amoprighttype = castsource
    JOIN pg_amop AS target ON target.amoplefttype = casttarget AND target.amoprighttype = casttarget
        AND target.amopfamily = source.amopfamily AND target.amopstrategy = source.amopstrategy
    JOIN pg_am ON pg_am.oid = source.amopmethod AND amname = 'btree'
    WHERE castcontext = 'i' AND castfunc < 16384
        AND casttarget <> 'name'::regtype  -- a longer text is cut
"""


@dataclass(frozen=True)
class Knowledge:
    """What a server says of functions, by their numbers."""

    functions: Mapping[str, str]  # those of one code to the first of them
    steady: frozenset[str]  # not volatile
    comparisons: Mapping[str, tuple[str, int, bool]]  # family, kind, both sides of one type
    commutators: Mapping[str, str]
    casts: frozenset[tuple[str, str]]  # with the families that they do not leave
    stable_casts: frozenset[tuple[str, str]]  # likewise; what they yield depends on the time zone


_known: dict[int, Knowledge] = {}


def knowledge(connection: psycopg.Connection[Any], *trees: str | None) -> Knowledge:
    """Return what a server says of the functions in trees.

    Of its own it is asked once for each release. What somebody made has other numbers in each
    database, so it is asked each time.
    """
    if any(MADE.search(tree) for tree in trees if tree):
        return _read(connection, 2**32 - 1)
    release = connection.info.server_version
    if release not in _known:
        _known[release] = _read(connection, FIRST)
    return _known[release]


def _read(connection: psycopg.Connection[Any], end: int) -> Knowledge:
    def rows(query: str, *arguments: int) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode(), arguments or None).fetchall()

    first = {str(number): str(same) for number, same in rows(SAME)}

    def the(number: int) -> str:
        return first.get(str(number), str(number))

    casts = {immutable: set[tuple[str, str]]() for immutable in (True, False)}
    for function, family, immutable in rows(CASTS):
        casts[immutable].add((the(function), str(family)))
    return Knowledge(
        first,
        frozenset(str(number) for (number,) in rows(STEADY, end)),
        {the(f): (str(family), *how) for f, family, *how in rows(COMPARISONS, end)},
        {the(f): the(g) for f, g in rows(COMMUTATORS, end)},
        frozenset(casts[True]),
        frozenset(casts[False]),
    )
