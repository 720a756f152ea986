"""What a server says of its own functions: which are one, which compare, which commute.

Only of those that come with it, whose numbers are below 16384; of what a user or an extension has
made, nothing is known. Sources: PostgreSQL, "Operator Optimization Information", "Interfacing
Extensions to Indexes: Operator Classes and Operator Families".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

#: Comparisons, numbered as B-trees do: less, less or equal, equal, greater or equal, greater.
#: UNEQUAL is not one of theirs.
UNEQUAL = 0

FUNCTIONS = """
    SELECT oid, min(oid) OVER (PARTITION BY prosrc, prokind, prolang, proargtypes, prorettype,
        provariadic, proretset, proisstrict, provolatile, to_jsonb(aggregate) - 'aggfnoid'),
        provolatile = 'v'
    FROM pg_proc LEFT JOIN pg_aggregate AS aggregate ON aggfnoid = oid
    WHERE oid < 16384 AND (prolang = 12 OR aggfnoid IS NOT NULL)
"""
COMPARISONS = """
    WITH found AS (
        SELECT o.oprcode, amopfamily, amopstrategy, negator.oprcode AS negator
        FROM pg_amop JOIN pg_am ON pg_am.oid = amopmethod AND amname = 'btree'
        JOIN pg_operator AS o ON o.oid = amopopr
        LEFT JOIN pg_operator AS negator ON negator.oid = o.oprnegate
        WHERE o.oid < 16384
    )
    SELECT oprcode::oid, amopfamily, amopstrategy FROM found
    UNION ALL SELECT negator::oid, amopfamily, 0 FROM found
        WHERE amopstrategy = 3 AND negator IS NOT NULL
    ORDER BY 2 DESC
"""
COMMUTATORS = """
    SELECT o.oprcode::oid, other.oprcode::oid
    FROM pg_operator AS o JOIN pg_operator AS other ON other.oid = o.oprcom
    WHERE o.oid < 16384 AND o.oprcode <> 0 AND other.oprcode <> 0
"""
CASTS = """
    SELECT castfunc, source.amopfamily
    FROM pg_cast JOIN pg_proc ON pg_proc.oid = castfunc AND pronargs = 1 AND provolatile = 'i'
    JOIN pg_amop AS source ON source.amoplefttype = castsource AND source.amoprighttype = castsource
    JOIN pg_amop AS target ON target.amoplefttype = casttarget AND target.amoprighttype = casttarget
        AND target.amopfamily = source.amopfamily AND target.amopstrategy = source.amopstrategy
    JOIN pg_am ON pg_am.oid = source.amopmethod AND amname = 'btree'
    WHERE castcontext = 'i' AND castfunc < 16384
        AND casttarget <> 'name'::regtype  -- a longer text is cut
"""


@dataclass(frozen=True)
class Knowledge:
    """What a release of PostgreSQL says of its own functions, by their numbers."""

    functions: Mapping[str, str]  # those of one code to the first of them
    volatile: frozenset[str]
    comparisons: Mapping[str, tuple[str, int]]  # to the family and the kind of comparison
    commutators: Mapping[str, str]
    casts: frozenset[tuple[str, str]]  # with the families that they do not leave


_known: dict[int, Knowledge] = {}


def knowledge(connection: psycopg.Connection[Any]) -> Knowledge:
    """Return what a server says of its functions; it is asked once for each release."""
    release = connection.info.server_version
    if release not in _known:
        functions, comparisons, commutators, casts = (
            connection.execute(query.encode()).fetchall()
            for query in (FUNCTIONS, COMPARISONS, COMMUTATORS, CASTS)
        )
        first = {str(number): str(one) for number, one, _ in functions}
        _known[release] = Knowledge(
            first,
            frozenset(str(number) for number, _, volatile in functions if volatile),
            {first.get(str(f), str(f)): (str(family), kind) for f, family, kind in comparisons},
            {first.get(str(f), str(f)): first.get(str(g), str(g)) for f, g in commutators},
            frozenset((first.get(str(f), str(f)), str(family)) for f, family in casts),
        )
    return _known[release]
