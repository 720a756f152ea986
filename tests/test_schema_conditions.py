"""Two conditions are the same exactly if they tell the same of every row."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project.schema.equivalence.expressions import meanings

from .conftest import Databases, secret

Connection = psycopg.Connection[tuple[Any, ...]]

#: All that a condition below can ask has every answer in some row: `a` and `c` only stand beside 1.
ROWS = """
    CREATE TABLE t AS SELECT a, b, c FROM (VALUES (0), (1), (2), (NULL)) AS one (a),
        (VALUES (true), (false), (NULL)) AS two (b), (VALUES (0), (1), (2), (NULL)) AS three (c)
"""

OPERATORS = ["<", "<=", "=", ">=", ">", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
TESTS = ["TRUE", "FALSE", "UNKNOWN", "NOT TRUE", "NOT FALSE", "NOT NULL", "NULL"]
WORDS = ["AND", "OR", "=", "<>", "<", "IS DISTINCT FROM"]
OTHERS = ["b", "a IS NULL", "c IS NOT NULL", "1 < a", "c NOT IN (1, 1)", "true", "NULL::bool"]
LEAF = st.sampled_from([*(f"{c} {o} 1" for c in "ac" for o in OPERATORS), *OTHERS])


def larger(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.builds("(({}) {} ({}))".format, part, st.sampled_from(WORDS), part)
        | st.builds("(({}) IS {})".format, part, st.sampled_from(TESTS))
        | st.builds("(NOT ({}))".format, part)
        | st.builds("coalesce({}, {})".format, part, st.sampled_from(["true", "false"]))
    )


@pytest.fixture(scope="module")
def rows(scratch_server: sa.URL) -> Iterator[Connection]:
    made = Databases(scratch_server)
    with psycopg.connect(secret(made.make()), autocommit=True) as connection:
        connection.execute(ROWS.encode())
        yield connection
    made.drop()


@given(conditions=st.lists(st.recursive(LEAF, larger, max_leaves=5), min_size=6, max_size=12))
@settings(max_examples=24, suppress_health_check=[HealthCheck.too_slow])
def test_conditions_are_the_same_exactly_if_they_tell_the_same_of_every_row(
    rows: Connection, conditions: list[str]
) -> None:
    meant = [meanings(rows, condition, "FROM public.t") for condition in conditions]
    query = "SELECT {} FROM t ORDER BY a, b, c"
    told = [rows.execute(query.format(each).encode()).fetchall() for each in conditions]
    for one, other in combinations(range(len(conditions)), 2):
        same = bool(meant[one] & meant[other])
        assert same == (told[one] == told[other]), (conditions[one], conditions[other])
