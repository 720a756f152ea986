"""Bodies of requests: read member by member, so that everything that is wrong can be said at once.

A value is checked as the type that its column has, and passed on as the client spelled it
(``msgspec.Raw``): PostgreSQL reads it again, so that no digit is lost between the two.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Union

import msgspec
from msgspec import Raw

from project.api.access import Asker
from project.api.collection import Collection
from project.api.column import Column, python_default
from project.api.faults import Fault, FaultError, bad_body, pointer
from project.api.statement import Given
from project.api.values import Family, encode

#: What a row consists of: the columns that are given, as JSON.
Row = dict[str, Raw]

#: Violations that one answer lists.
MOST = 100

PATH = re.compile(r"\[(\d+|\.\.\.)\]|\.(\w+)")

ROWS = msgspec.json.Decoder(list[Raw])
ROW = msgspec.json.Decoder(Row)


def read_body(body: bytes) -> tuple[list[Raw], bool]:
    """Tell one object from an array of them.

    Returns:
        The items, and whether they were many.

    Raises:
        FaultError: it is no JSON.

    """
    try:
        if body.lstrip(b" \t\r\n").startswith(b"["):
            return ROWS.decode(body), True
        return [msgspec.json.decode(body, type=Raw)], False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FaultError(
            400, "The body is not JSON in UTF-8, or is nested too deep.", kind="body"
        ) from None


class Reader:
    """Reads rows of a collection as an asker may give them.

    Args:
        collection: Where the rows go.
        asker: Who gives them.
        partial: Whether they may leave out what a new row needs.
        as_text: Whether an array may be a text, in PostgreSQL's notation.

    """

    def __init__(
        self, collection: Collection, asker: Asker, *, partial: bool, as_text: bool
    ) -> None:
        self.collection = collection
        self.asker = asker
        self.partial = partial
        self.required = (
            []
            if partial
            else [column for column in collection.taken_from(asker) if not column.optional]
        )
        self.decoders = {
            column.name: (column, _decoder(column, as_text=as_text))
            for column in collection.taken_from(asker)
        }

    def rows(self, items: list[Raw], *, many: bool) -> list[Row]:
        """Read all rows.

        Raises:
            FaultError: some do not fit; up to a hundred violations are listed.

        """
        faults: list[Fault] = []
        rows = []
        for number, item in enumerate(items):
            row, wrong = self.row(item, (number,) if many else ())
            faults += wrong
            rows.append(row)
            if len(faults) >= MOST:
                break
        if faults:
            raise bad_body(faults[:MOST])
        return rows

    def row(self, item: Raw, place: tuple[str | int, ...]) -> tuple[Row, list[Fault]]:
        """Read one row; return it with what is wrong with it."""
        try:
            row = ROW.decode(item)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}, [Fault("It must be an object.", pointer=pointer(*place))]
        faults = self._own(row, place)
        faults += [
            Fault("A value is missing.", pointer=pointer(*place, column.name))
            for column in self.required
            if column.name not in row
        ]
        for name, raw in row.items():
            try:
                row[name] = self._value(name, raw)
            except _WrongError as wrong:
                faults.append(Fault(wrong.detail, pointer=pointer(*place, name, *wrong.steps)))
        return row, faults

    def _value(self, name: str, raw: Raw) -> Raw:
        if name not in self.decoders:
            known = name in self.collection.columns
            column = self.collection.columns.get(name)
            if known and column is not None and column.known_to(self.asker):
                raise _WrongError("The service sets this itself.")
            raise _WrongError(f"{self.collection.name} has no such member.")
        column, decoder = self.decoders[name]
        if bytes(raw) == b"null":
            if column.nullable:
                return raw
            raise _WrongError("It must not be null.")
        try:
            value = decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise _WrongError.of(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _WrongError("It cannot be read, or is nested too deep.") from None
        if isinstance(value, str) and "\0" in value:
            raise _WrongError("It holds the character NUL.")
        return _inward(column, value) if column.type.inward else raw

    def _own(self, row: Row, place: tuple[str | int, ...]) -> list[Fault]:
        """Give a row to whoever asks, where rows are their askers' own."""
        owner = self.collection.resource.owner
        if owner is None or not self.collection.owned_by(self.asker):
            return []
        own = encode(self.asker.account_id)
        if not self.partial or owner in row:
            if bytes(row.get(owner, own)) != own:
                return [Fault("Only rows of your own.", pointer=pointer(*place, owner))]
            row[owner] = Raw(own)
        return []


@functools.lru_cache(maxsize=1024)
def reader(collection: Collection, asker: Asker, *, partial: bool, as_text: bool = False) -> Reader:
    """Return the reader of rows from whoever asks."""
    return Reader(collection, asker, partial=partial, as_text=as_text)


class _WrongError(Exception):
    """What is wrong with a value, and where within it."""

    def __init__(self, detail: str, steps: Iterable[str | int] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.steps = tuple(steps)

    @classmethod
    def of(cls, error: msgspec.ValidationError) -> "_WrongError":
        """Read msgspec's words: ``Expected `int`, got `str` - at `$[0]```."""
        said, _, path = str(error).partition(" - at `$")
        return cls(f"{said}.", [number or name for number, name in PATH.findall(path)])


def _decoder(column: Column, *, as_text: bool) -> msgspec.json.Decoder[Any]:
    if column.type.payload is Raw:
        return msgspec.json.Decoder(Raw)
    if as_text and column.type.family is Family.array:
        return msgspec.json.Decoder(Union[column.type.payload, str, None])  # noqa: UP007
    return msgspec.json.Decoder(Union[column.type.payload, None])  # noqa: UP007


def _inward(column: Column, value: object) -> Raw:
    try:
        stored = column.type.inward(value) if column.type.inward else value
    except Exception:  # noqa: BLE001  (a decorator raises what it likes)
        raise _WrongError(f"{value!r} is no such value.") from None
    return Raw(encode(stored))


def with_defaults(collection: Collection, row: Row) -> Row:
    """Add what the model, not the database, gives a new row."""
    for column in collection.every.values():
        default = column.default
        if default is not None and not default.is_clause_element and column.name not in row:
            row[column.name] = stored(column, python_default(default))
    version = collection.version
    if version is not None and not version.has_server_default:
        row[version.name] = Raw(b"1")
    return row


def with_changes(collection: Collection, row: Row) -> Row:
    """Add what the model, not the database, gives a row that is changed."""
    changed = {
        column.name: stored(column, python_default(column.onupdate))
        for column in collection.every.values()
        if column.onupdate is not None and not column.onupdate.is_clause_element
    }
    return {**row, **changed}


def stored(column: Column, value: object) -> Raw:
    """Write a value of the model's as it is stored."""
    if isinstance(value, Enum) and column.type.labelled:
        return Raw(encode(value.name))
    return _inward(column, value)


def merged(patch: Raw, document: bytes | None) -> Raw:
    """Apply a JSON merge patch to a document (RFC 7396, section 2)."""
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    return Raw(encode(_merge(decode(document) if document else None, decode(patch))))


def _merge(document: object, patch: object) -> object:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(document) if isinstance(document, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(result.get(name), value)
    return result


def given_of(collection: Collection, rows: list[Row], *, many: bool) -> tuple[Given, ...]:
    """Return the values of rows, to ask PostgreSQL which of them it does not take."""
    return tuple(
        Given(
            pointer(*((number,) if many else ()), name),
            bytes(raw).decode(),
            collection.every[name].type.sql,
            in_json=True,
        )
        for number, row in enumerate(rows)
        for name, raw in row.items()
    )[: 10 * MOST]
