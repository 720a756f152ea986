"""Does a value come back from the type that it was changed to? The server casts it back."""

import re
from collections.abc import Sequence

import psycopg
from psycopg import sql

from project.schema.connections import Connection
from project.schema.hazards.fitting import STRINGS
from project.schema.rows import Rows

#: Of these a value may be written in several ways.
FLOATS = {"real", "double precision"}

INSTANTS = {"timestamp without time zone", "timestamp with time zone"}

#: The zone of the migration's session moves a clock by whole seconds, and loses nothing.
SAME_CLOCK = "SELECT extract(epoch FROM {}::timestamp - {}::timestamp) % 1 = 0"

#: Characters shown of a value.
LONG = 40


def not_cast_back(
    column: str, old: Rows, new: Rows, types: tuple[str, str], connection: Connection
) -> str:
    """Return an example of a value that the new type does not give back, "" if there is none."""
    before = [row[old.columns.index(column)] for row in old.rows]
    after = [row[new.columns.index(column)] for row in new.rows]
    if len(before) != len(after):
        return ""
    pairs = [(one, other) for one, other in zip(before, after, strict=True) if one is not None]
    if any(other is not None for _, other in pairs):
        # A cast that makes NULL of some values only is none: an UPDATE did that.
        pairs = [(one, other) for one, other in pairs if other is not None]
    if _is_wrapped(pairs):
        return ""
    for one, other in pairs:
        if one == other or _equal(one, other, types, connection):
            continue
        return f"{_shown(one)} → {_shown(other)}"
    return ""


def _shown(value: str | None) -> str:
    """Show a value, and of a long one how long it is."""
    if value is None or len(value) <= LONG:
        return repr(value)
    return f"{value[:LONG]!r}… ({len(value)} characters)"


#: Types whose values are written in several ways.
_SPELLED = ("numeric", "timestamptz", "interval", "uuid", "jsonb")


def is_same(one: str | None, other: str | None, connection: Connection) -> bool:
    """Whether two texts are one value of some type."""
    if one is None or other is None or one == other:
        return one == other
    return any(_means(one, other, type_, connection) for type_ in _SPELLED)


_ENUM = sql.SQL("SELECT typtype = 'e' FROM pg_type WHERE oid = {}::regtype")


def _equal(one: str, other: str | None, types: tuple[str, str], connection: Connection) -> bool:
    if other is None:
        return False
    if types == ("json", "jsonb"):
        return True  # spaces and the order of members mean nothing
    if types[1] == "bytea":
        return True  # the expression says how it is encoded, and only that can be taken back
    if set(types) == INSTANTS:
        query = sql.SQL(SAME_CLOCK).format(sql.Literal(other), sql.Literal(one))
    elif types[0].partition("(")[0] in STRINGS and _means(one, other, types[1], connection):
        return True
    else:
        same = (
            "SELECT {}::{}::{} = {}::{}"
            if types[0] in FLOATS
            else "SELECT {}::{}::{}::text = {}::{}::text"
        )
        query = sql.SQL(same).format(
            sql.Literal(other),
            *(sql.SQL(name) for name in reversed(types)),
            sql.Literal(one),
            sql.SQL(types[0]),
        )
    answer = _answer(query, connection)
    if answer is None and _answer(_ENUM.format(sql.Literal(types[0])), connection):
        return False  # a label, and no longer the same one
    # Without a way back for the server, there is none to lose anything on.
    return answer is not False


def _is_wrapped(pairs: Sequence[tuple[str, str | None]]) -> bool:
    """Whether what differed still does, and the old value is mostly seen within the new one.

    As of a text that becomes a string of JSON, or the one member of an array.
    """
    apart = len({other for _, other in pairs}) == len({one for one, _ in pairs})
    changed = [(one, other or "") for one, other in pairs if one != other]
    seen = sum(bool(one) and one in other for one, other in changed)
    return apart and seen * 2 > len(changed)


def _means(text: str, value: str, type_: str, connection: Connection) -> bool:
    """Whether a text was the same value all along, however it was written."""
    whole = re.sub(r"\(.*?\)", "", type_)  # which neither cuts nor rounds
    if whole in STRINGS:
        return False
    query = sql.SQL("SELECT {}::{} = {}::{}").format(
        sql.Literal(text), sql.SQL(whole), sql.Literal(value), sql.SQL(whole)
    )
    return bool(_answer(query, connection))


def _answer(query: sql.Composed, connection: Connection) -> bool | None:
    """Ask the server, in UTC; None if it refuses, or does not know."""
    try:
        with connection.transaction():
            connection.execute("SET LOCAL timezone = 'UTC'")
            found = connection.execute(query).fetchone()
    except psycopg.Error:
        return None
    return bool(found and found[0])
