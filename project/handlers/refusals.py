"""What PostgreSQL's refusal of a statement means to the client, by its SQLSTATE.

The classes are those of PostgreSQL, appendix A. Nothing that PostgreSQL wrote is passed on: its
words may hold statements, and values of rows that the client must not see.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import cast

import psycopg
import sqlalchemy as sa

from project.api.collection import Collection
from project.api.faults import Fault, pointer
from project.api.statement import Given, Statement
from project.handlers.problems import Problem, unavailable
from project.models import IdempotencyKey

#: What a second request of the same name collides with.
ONCE = cast("sa.Table", IdempotencyKey.__table__).primary_key.name

Run = Callable[[Statement], Awaitable[object]]

#: A value that is none of its type, a pattern or a search that cannot be read, an operator that a
#: type lacks: of a statement made here, only values of the client's can be the cause.
UNREADABLE = ("22", "42601", "42704", "42804", "42846", "42883", "42P18", "0A000", "54")

#: Violations of integrity (class 23), and what to say.
INTEGRITY = {
    "23502": (422, "null", "A value is missing that must not be null."),
    "23514": (422, "check", "The row breaks a rule of the resource."),
    "23505": (409, "unique", "There is such a row already."),
    "23P01": (409, "unique", "The row is in conflict with another."),
    "23503": (409, "reference", "A row that is referred to is missing, or is still needed."),
    "23001": (409, "reference", "The row is still needed, or must not change."),
}

#: Whoever asks again a moment later may have more luck.
AGAIN = {
    "40001": ("contention", "Others were changing the same rows; ask again."),
    "40P01": ("contention", "Others were changing the same rows; ask again."),
    "55P03": ("contention", "Others hold the row; ask again."),
    "25006": ("unreachable", "The database takes no changes at present."),
}


def is_unreadable(error: psycopg.Error) -> bool:
    """Say whether a value of the client's is to blame."""
    state = error.sqlstate or ""
    return state.startswith(UNREADABLE) or (state == "" and isinstance(error, psycopg.DataError))


async def culprits(given: Iterable[Given], run: Run) -> list[Given]:
    """Find the values that PostgreSQL does not take, by asking for each alone."""
    guilty = []
    for one in given:
        try:
            await run(one.probe())
        except psycopg.errors.IntegrityError:
            guilty.append(one)  # of a domain, whose rule it breaks
        except psycopg.Error as error:
            if not is_unreadable(error):
                raise
            guilty.append(one)
    return guilty


def faults_of(guilty: Iterable[Given], given: Iterable[Given]) -> list[Fault]:
    """Say of each value what it is not, once for each place.

    Where each alone is of its type (a pattern, say, that is none), any of them may be the cause.
    """
    sure = [one.blame() for one in guilty]
    return list(dict.fromkeys(sure or [one.suspect() for one in given]))


class OnceError(Exception):
    """A request of that name was carried out already."""


def refusal(error: psycopg.Error, collection: Collection, *, many: bool = False) -> Problem | None:
    """Return what a refused change means, or None for what the caller must know better.

    Of many rows PostgreSQL does not say which it was; the columns are named without one.
    """
    state = error.sqlstate or ""
    if state in AGAIN:
        return unavailable(*AGAIN[state])
    if state in INTEGRITY:
        status, kind, detail = INTEGRITY[state]
        columns = _columns(error, collection)
        if many and columns:
            detail, columns = f"{detail} It is about {', '.join(columns)}.", []
        faults = tuple(Fault(detail, pointer=pointer(column)).member() for column in columns)
        return Problem(status, detail, f"urn:project:problem:{kind}", kind.capitalize(), (), faults)
    if state.startswith("P0"):
        return Problem(422, "A rule of the database refuses the change.")
    return None


def _columns(error: psycopg.Error, collection: Collection) -> list[str]:
    """Return the columns at fault that the client knows."""
    named = error.diag.column_name
    constraint = collection.checks.get(error.diag.constraint_name or "", ())
    return [name for name in ([named] if named else constraint) if name in collection.columns]
