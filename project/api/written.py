"""What statements that write have in common: how they read rows, and show what became of them."""

import functools
from collections.abc import Sequence

import msgspec

from project.api.collection import Collection, View
from project.api.payload import Row
from project.api.query import Query, read_query
from project.api.reading import hashed, tag
from project.api.statement import Fragment, format_sql, identifier, join_sql

#: What follows from who asks for what is made once, for the views that were seen last.
remembered = functools.lru_cache(maxsize=1024)


@remembered
def whole(view: View) -> Query:
    """Return the question for a row as it is."""
    return read_query(view.collections, view.collection, view.asker, [])


def as_json(rows: Row | Sequence[Row]) -> str:
    """Write rows as the statements take them."""
    return msgspec.json.encode(rows).decode()


def records(
    function: str, collection: Collection, names: Sequence[str], rows: Fragment
) -> Fragment:
    """Have PostgreSQL read JSON as columns of their types."""
    typed = ", ".join(f"{identifier(n).text} {collection.every[n].type.sql}" for n in names)
    return format_sql(function + " AS given ({})", rows, Fragment(typed))


def shown_tag(collection: Collection, alias: str) -> Fragment:
    """Return the tag of a row that is shown whole, as `s`."""
    return tag(collection, alias) or hashed("s")


def place(collection: Collection, alias: str) -> Fragment:
    """Return the key of a row as a JSON array of texts."""
    texts = [format_sql("{}::text", column.within(alias)) for column in collection.key]
    return format_sql("json_build_array({})::text", join_sql(", ", texts))
