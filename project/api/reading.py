"""Statements that read: PostgreSQL renders the rows, those within them included."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

from project.api.collection import Collection, Collections, View
from project.api.filters import key_is, key_slots, where
from project.api.pages import Following, after, following, order_by, place_of_row
from project.api.query import Query, Shown, read_parameters, read_query, together
from project.api.rendering import Change, change_of
from project.api.statement import (
    Fragment,
    Statement,
    Template,
    format_sql,
    identifier,
    join_sql,
    number,
    value,
)

#: What stands between the rows of an array.
BETWEEN = Fragment("E',\\n'")


def page(collections: Collections, query: Query, size: int) -> Statement:
    """Return the statement for a page: its body, the number of its rows, the place of its last.

    All is one row of the result, so that a page costs Python the same whatever it holds.
    """
    return format_sql(
        "SELECT coalesce(string_agg(row_to_json(s.*)::text, {}), ''), count(*), {}"
        " FROM {}, LATERAL ({}) s",
        *(BETWEEN, place_of_row(query, size)),
        *(_rows(query, after(query), size), columns(collections, query)),
    ).statement()


class Question(NamedTuple):
    """What a request asks, and the statement that answers it."""

    query: Query
    size: int
    statement: Statement
    change: Change | None
    following: Following


@functools.lru_cache(maxsize=1024)
def page_asked(view: View, text: str) -> Question:
    """Read what the query string of a request asks for, and make the statement for a page of it.

    Both follow from the text and who asks, so the last ones are kept: what is asked again and
    again, as most things are, is read once.
    """
    parameters = read_parameters(text)
    query = read_query(view.collections, view.collection, view.asker, parameters)
    resource = view.collection.resource
    size = min(resource.page_size if query.limit is None else query.limit, resource.largest_page)
    statement = page(view.collections, query, size)
    return Question(query, size, statement, change_of(query), following(query, parameters))


def lines(collections: Collections, query: Query) -> Statement:
    """Return the statement for all rows, each as a JSON object on a line of its own."""
    # A value of type json keeps its line breaks, which within JSON may as well be spaces.
    return format_sql(
        r"SELECT translate(row_to_json(s.*)::text, E'\n\r', '  ') FROM {}, LATERAL ({}) s",
        _rows(query, after(query), query.limit),
        columns(collections, query),
    ).statement()


def table(collections: Collections, query: Query) -> Statement:
    """Return the statement for all rows, column by column."""
    return format_sql(
        "SELECT s.* FROM {}, LATERAL ({}) s",
        _rows(query, after(query), query.limit),
        columns(collections, query),
    ).statement()


def count(query: Query) -> Statement:
    """Return the statement for the number of rows on all pages."""
    return format_sql("SELECT count(*) FROM {}", _matching(query, [])).statement()


def estimate(query: Query) -> Statement:
    """Return the statement whose plan has the number of rows that PostgreSQL expects."""
    return format_sql("EXPLAIN (FORMAT JSON) SELECT FROM {}", _matching(query, [])).statement()


class RowQuestion(NamedTuple):
    """What a request asks of one row, and the statement that answers it, but for the key."""

    query: Query
    template: Template
    change: Change | None


@functools.lru_cache(maxsize=1024)
def row_asked(view: View, text: str) -> RowQuestion:
    """Read what the query string of a request asks for of one row: as :func:`page_asked`."""
    query = read_query(view.collections, view.collection, view.asker, read_parameters(text))
    plain_tag = tag(query.collection, query.alias) if query.whole else None
    shown = format_sql(
        "SELECT row_to_json(s.*)::text, {} FROM {} {}, LATERAL ({}) s",
        *(plain_tag or hashed("s"), query.collection.table, identifier(query.alias)),
        columns(view.collections, query),
    )
    conditions = [*key_is(query.collection.key, query.alias), *query.conditions]
    template = format_sql("{}{}", shown, where(conditions)).template()
    return RowQuestion(query, template, change_of(query))


def one(asked: RowQuestion, key: Sequence[str]) -> Statement:
    """Return the statement for one row: its body, and its entity tag."""
    return asked.template.filled(key_slots(key))


def tag(collection: Collection, alias: str) -> Fragment | None:
    """Return the entity tag of a row that counts its changes, or None."""
    if collection.version is None:
        return None
    return format_sql("""'"' || {} || '"'""", collection.version.within(alias))


def hashed(alias: str) -> Fragment:
    """Return the entity tag of a row that does not: a hash of what is shown of it.

    It stands for nothing secret; 128 of its bits are enough that two rows never share one.
    """
    shown = "convert_to(row_to_json({}.*)::text, 'UTF8')"
    return format_sql(
        f"""'"' || left(encode(sha256({shown}), 'hex'), 32) || '"'""", identifier(alias)
    )


def columns(collections: Collections, query: Query) -> Fragment:
    """Return a query for what is shown of one row: columns, and rows of other collections."""
    shown = [_shown(show, query.alias) for show in query.shown]
    for label, relation, inner in query.embedded:
        rows = _many if relation.many else _single
        met = together(query.alias, relation, inner.alias)
        shown.append(format_sql("({}) AS {}", rows(collections, inner, met), identifier(label)))
    return format_sql("SELECT {}", join_sql(", ", shown))


def _shown(shown: Shown, alias: str) -> Fragment:
    column = shown.path.within(alias)
    cast = format_sql("{}" + (f"::{shown.cast}" if shown.cast else ""), column)
    return format_sql("{} AS {}", cast, identifier(shown.label))


def _single(collections: Collections, query: Query, met: Sequence[Fragment]) -> Fragment:
    return format_sql(
        "SELECT row_to_json(s.*) FROM {}, LATERAL ({}) s",
        _rows(query, met, 1),
        columns(collections, query),
    )


def _many(collections: Collections, query: Query, met: Sequence[Fragment]) -> Fragment:
    most = query.collection.resource.largest_page
    return format_sql(
        "SELECT coalesce(json_agg(row_to_json(s.*)), '[]') FROM {}, LATERAL ({}) s",
        _rows(query, met, min(query.limit or most, most) if query.limit != 0 else 0),
        columns(collections, query),
    )


def _rows(query: Query, conditions: Sequence[Fragment], limit: int | None) -> Fragment:
    """Return the rows of a page, in order, before anything of them is rendered."""
    alias = identifier(query.alias)
    bounds = format_sql(" LIMIT {}", number(limit)) if limit is not None else Fragment("")
    if query.offset:
        bounds = format_sql("{} OFFSET {}", bounds, value(query.offset, "bigint"))
    return format_sql(
        "(SELECT {}.* FROM {}{}{}) {}",
        *(alias, _matching(query, conditions), order_by(query), bounds, alias),
    )


def _matching(query: Query, conditions: Sequence[Fragment]) -> Fragment:
    table = format_sql("{} {}", query.collection.table, identifier(query.alias))
    return format_sql("{}{}", table, where([*conditions, *query.conditions]))
