"""Changes as events: read from the audit, shown as rows are shown, in the form of an event stream.

A row of the audit holds a row of the table as it was, before and after. Made a row of that table
again (``jsonb_populate_record``), it is met by the very conditions and shown by the very columns
that a page of the table has, so that no event can tell more than a page would.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from project.api.collection import View
from project.api.faults import bad_parameter
from project.api.filters import where
from project.api.query import Query, read_parameters, read_query
from project.api.reading import columns
from project.api.rendering import Change, change_of
from project.api.statement import Fragment, Statement, format_sql, identifier, number, value
from project.api.values import encode
from project.models import AuditEntry

MEDIA_TYPE = "text/event-stream"

#: Events that are read at once, and bytes of them, but for the last one's: what a stream holds in
#: memory, however slow its client.
EVENTS = 500
BYTES = 256 * 1024

#: Entries of the audit that one statement looks through: of other tables, too, so that a stream
#: that begins long ago does not ask one long question.
SPAN = 5000

#: Milliseconds after which a client comes back whose stream has ended.
RETRY = 2000

#: What makes no sense of events, which come when they come and do not end.
PAGES = frozenset({"order", "limit", "offset", "cursor"})

CHANGES = """
    SELECT id::text, gone, kept::text, body FROM (
        SELECT seen.*, sum(coalesce(octet_length(body), 0)) OVER (ORDER BY id)
            - coalesce(octet_length(body), 0) AS ahead
        FROM (
            SELECT e.id,
                CASE WHEN old.body IS NOT NULL AND (new.body IS NULL OR NOT e.after @> e.row_key)
                    THEN e.row_key::text END AS gone,
                old.body IS NOT NULL AND e.after @> e.row_key AS kept,
                new.body
            FROM {} e
            LEFT JOIN LATERAL (SELECT row_to_json(s.*)::text AS body FROM {}) old ON true
            LEFT JOIN LATERAL (SELECT row_to_json(s.*)::text AS body FROM {}) new ON true
            WHERE e.table_name = {} AND (
                    old.body IS DISTINCT FROM new.body
                    OR old.body IS NOT NULL AND NOT e.after @> e.row_key
                )
                AND e.id > %s AND e.id <= %s
            ORDER BY e.id LIMIT {}
        ) seen
    ) sized WHERE ahead < {} ORDER BY sized.id
"""


class Asked(NamedTuple):
    """What a stream is asked to show: how it is read, and what Python has to do with it."""

    statement: Statement
    change: Change | None

    def between(self, after: int, upto: int) -> Statement:
        """Return the statement for the entries after one number, and up to another."""
        return self.statement._replace(values=(*self.statement.values, after, upto))


class Batch(NamedTuple):
    """Events as they are sent, and the number up to which there are no others."""

    written: bytes
    upto: int


@functools.lru_cache(maxsize=1024)
def asked(view: View, text: str) -> Asked:
    """Read what the query string of a request for events asks.

    Raises:
        FaultError: a parameter cannot be used, or not with events.

    """
    parameters = read_parameters(text)
    for name, _ in parameters:
        if name in PAGES:
            raise bad_parameter(name, "Events come as they happen, neither sorted nor in pages.")
    query = read_query(view.collections, view.collection, view.asker, parameters)
    if query.embedded:
        raise bad_parameter("select", "An event shows its own row, and none within it.")
    return Asked(_statement(view, query), change_of(query))


def _statement(view: View, query: Query) -> Statement:
    return format_sql(
        CHANGES,
        identifier(AuditEntry.__tablename__),
        _side("before", view, query),
        _side("after", view, query),
        value(view.collection.name, "text"),
        number(EVENTS),
        number(BYTES),
    ).statement()


def _side(name: str, view: View, query: Query) -> Fragment:
    """Return where one side of an entry comes from: what is shown of it, if it meets the query.

    What the audit has masked is left out: it need not be of the column's type.
    """
    side = document = identifier("e", name)
    for hidden in query.collection.hidden:
        document = format_sql("{} - {}", document, value(hidden, "text"))
    return format_sql(
        "jsonb_populate_record(NULL::{}, {}) {}, LATERAL ({}) s{}",
        *(query.collection.table, document, identifier(query.alias)),
        columns(view.collections, query),
        where([format_sql("{} IS NOT NULL", side), *query.conditions]),
    )


def opening(position: int) -> bytes:
    """Write what a stream begins with: its position, and when to come back after its end."""
    return b"retry: %d\nid: %d\n\n" % (RETRY, position)


def heartbeat(position: int) -> bytes:
    """Write a sign of life, which is no event, with how far the stream has come meanwhile."""
    return b": \nid: %d\n\n" % position


def batch(rows: Sequence[tuple[bytes | None, ...]], upto: int, change: Change | None) -> Batch:
    """Write the entries up to a number, of which the last ones may have been left for later."""
    left = len(rows) == EVENTS or sum(len(row[3] or b"") for row in rows) >= BYTES
    written = b"".join([_event(row, change) for row in rows])
    return Batch(written, int(rows[-1][0] or 0) if left else upto)


def _event(row: tuple[bytes | None, ...], change: Change | None) -> bytes:
    """Write what an entry means to a reader: of the rows that it sees and asked for.

    A row that becomes one of those is inserted, one that no longer is one is deleted. A row with
    another key is both; only the second has the number, so that nobody resumes between them.
    """
    number, gone, kept, body = row
    written = b""
    if gone is not None:
        written += b"%bevent: delete\ndata: %b\n\n" % (_id(number) if body is None else b"", gone)
    if body is not None:
        if change is not None:
            body = encode(change(Raw(body)))
        name = b"update" if kept == b"true" else b"insert"
        written += b"%bevent: %b\ndata: %b\n\n" % (_id(number), name, _line(body))
    return written


def _id(number: bytes | None) -> bytes:
    return b"id: %b\n" % (number or b"")


def _line(body: bytes) -> bytes:
    """Join the lines of a value of type ``json``: a line would end the data."""
    return body.replace(b"\n", b" ").replace(b"\r", b" ")
