"""Keyset pages: a page begins after the last row of the one before, whatever was inserted since."""

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from project.api.faults import bad_parameter
from project.api.query import Ordering, Parameters, Query
from project.api.statement import Fragment, format_sql, given_value, join_sql, number


def order_by(query: Query) -> Fragment:
    """Return the clause."""
    return format_sql(" ORDER BY {}", join_sql(", ", [_step(query.alias, o) for o in query.order]))


def _step(alias: str, ordering: Ordering) -> Fragment:
    # Nothing is said that is PostgreSQL's default, so that an index of that order fits.
    way = " DESC" if ordering.descending else ""
    if ordering.path.nullable and ordering.nulls_first != ordering.descending:
        way += " NULLS FIRST" if ordering.nulls_first else " NULLS LAST"
    return format_sql("{}" + way, ordering.path.within(alias))


def place_of_row(query: Query, row: int) -> Fragment:
    """Return the place of one of the rows that are aggregated, as :meth:`Following.after` takes it.

    It is null where there are fewer rows. Numbering them with a window function took twice as
    long.
    """
    values = [
        format_sql("(array_agg({}::text))[{}]", o.path.within(query.alias), number(row))
        for o in query.order
    ]
    return format_sql("json_build_array({})::text", join_sql(", ", values))


class Following(NamedTuple):
    """Where the pages after one are: all of their addresses but the place at which each begins."""

    address: str
    signature: bytes

    def after(self, values: bytes) -> str:
        """Return the address of the page after a row; clients need not understand its place."""
        place = base64.urlsafe_b64encode(b"[%b,%b]" % (self.signature, values))
        return f"{self.address}cursor={place.decode().rstrip('=')}"


def following(query: Query, parameters: Parameters) -> Following:
    """Return where the pages after that of a query are, given its parameters."""
    kept = [(name, text) for name, text in parameters if name not in {"cursor", "offset"}]
    address = f"{query.collection.address}?{urlencode([*kept, ('', '')])[:-1]}"
    return Following(address, msgspec.json.encode(_signature(query)))


def after(query: Query) -> list[Fragment]:
    """Return the condition that rows come after the query's cursor.

    Raises:
        FaultError: the cursor is none of ours, or belongs to another order.

    """
    if query.cursor is None:
        return []
    return [_beyond(query.alias, query.order, _decode(query, query.cursor))]


def _signature(query: Query) -> str:
    return ",".join(f"{o.path.name}.{o.descending:d}{o.nulls_first:d}" for o in query.order)


def _decode(query: Query, cursor: str) -> list[str | None]:
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        signature, values = msgspec.json.decode(content, type=tuple[str, list[str | None]])
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
        raise bad_parameter("cursor", "It is not from a Link header of this service.") from None
    if signature != _signature(query) or len(values) != len(query.order):
        raise bad_parameter("cursor", "It belongs to another order of rows; begin anew.")
    if any("\0" in value for value in values if value is not None):
        raise bad_parameter("cursor", "It holds the character NUL.")
    return values


def _beyond(alias: str, order: Sequence[Ordering], values: Sequence[str | None]) -> Fragment:
    """Compare rows with a place.

    A comparison of whole rows, which an index answers, where all steps go one way and none may be
    null; else the first step decides, and the others where it is equal.
    """
    if len({o.descending for o in order}) == 1 and not any(o.path.nullable for o in order):
        sign = "<" if order[0].descending else ">"
        columns = join_sql(", ", [o.path.within(alias) for o in order])
        place = join_sql(", ", [_value(o, v) for o, v in zip(order, values, strict=True)])
        return format_sql("({}) " + sign + " ({})", columns, place)
    first, *rest = order
    beyond = _strictly(alias, first, values[0])
    if not rest:
        return beyond
    equal = format_sql(
        "{} IS NOT DISTINCT FROM {}", first.path.within(alias), _value(first, values[0])
    )
    return format_sql("({} OR ({} AND {}))", beyond, equal, _beyond(alias, rest, values[1:]))


def _strictly(alias: str, ordering: Ordering, value: str | None) -> Fragment:
    column = ordering.path.within(alias)
    if value is None:
        return format_sql("{} IS NOT NULL", column) if ordering.nulls_first else _never()
    sign = "<" if ordering.descending else ">"
    further = format_sql("{} " + sign + " {}", column, _value(ordering, value))
    if not ordering.path.nullable or ordering.nulls_first:
        return further
    return format_sql("({} OR {} IS NULL)", further, column)


def _never() -> Fragment:
    return Fragment("false")


def _value(ordering: Ordering, value: str | None) -> Fragment:
    if value is None:
        return Fragment("NULL")
    return given_value("cursor", value, ordering.path.type)
