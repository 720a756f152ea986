"""Columns that only their decorators can show: PostgreSQL's JSON with those values replaced.

All other values are passed on as the bytes that PostgreSQL wrote (``msgspec.Raw``): a number keeps
its digits and a document its spelling.
"""

import csv
import io
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Raw

from project.api.query import Query
from project.api.values import encode

Change = Callable[[Raw], object]

Row = dict[str, Raw]


def change_of(query: Query) -> Change | None:
    """Return what has to be done to each row of an answer; None, as a rule."""
    changes: dict[str, Change] = {
        show.label: show.path.column.type.outward
        for show in query.shown
        if show.path.column.type.outward is not None
    }
    for label, relation, inner in query.embedded:
        if (change := change_of(inner)) is not None:
            changes[label] = _each(change) if relation.many else _if_any(change)
    return _within(changes) if changes else None


def rendered(change: Change, rows: bytes) -> bytes:
    """Apply a change to rows that commas separate."""
    changed = [change(row) for row in msgspec.json.decode(b"[%b]" % rows, type=list[Raw])]
    return b",\n".join(map(encode, changed))


def line(change: Change, row: bytes) -> bytes:
    """Apply a change to a row that stands on a line of its own."""
    return encode(change(Raw(row))) + b"\n"


def csv_lines(change: Change, rows: Iterable[bytes]) -> bytes:
    """Write changed rows, each a JSON object, as PostgreSQL's ``COPY`` would have written them."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    for row in rows:
        members = msgspec.json.decode(encode(change(Raw(row))), type=Row)
        writer.writerow([_cell(value) for value in members.values()])
    return written.getvalue().encode()


def csv_header(query: Query) -> bytes:
    """Write the line of names."""
    written = io.StringIO()
    labels = [show.label for show in query.shown] + [label for label, _, _ in query.embedded]
    csv.writer(written, lineterminator="\n").writerow(labels)
    return written.getvalue().encode()


def _cell(value: Raw) -> str:
    if bytes(value) == b"null":
        return ""
    if bytes(value).startswith(b'"'):
        return msgspec.json.decode(value, type=str)
    return {b"true": "t", b"false": "f"}.get(bytes(value), bytes(value).decode())


def _within(changes: dict[str, Change]) -> Change:
    def change(raw: Raw) -> object:
        row: dict[str, object] = dict(msgspec.json.decode(raw, type=Row))
        for label, of in changes.items():
            value = row[label]
            assert isinstance(value, Raw)  # noqa: S101
            row[label] = of(value)
        return row

    return change


def _each(change: Change) -> Change:
    return lambda raw: [change(row) for row in msgspec.json.decode(raw, type=list[Raw])]


def _if_any(change: Change) -> Change:
    return lambda raw: None if bytes(raw) == b"null" else change(raw)
