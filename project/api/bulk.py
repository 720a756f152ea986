"""Bodies with more rows than memory should hold: lines of JSON, or CSV, read piece by piece."""

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import IO

import msgspec
from msgspec import Raw

from project.api.collection import View
from project.api.column import Column
from project.api.faults import Fault, FaultError, bad_body, pointer
from project.api.payload import Row, reader, with_defaults
from project.api.values import Family, encode

#: Rows of a piece: what is checked before others have a turn.
PIECE = 500

#: What PostgreSQL writes in CSV otherwise than JSON has it.
AS_JSON: dict[str, Callable[[str], str]] = {
    "boolean": lambda text: {"t": "true", "f": "false"}.get(text, text),
    "timestamptz": lambda text: dt.datetime.fromisoformat(text).isoformat(),
    "timestamp": lambda text: dt.datetime.fromisoformat(text).isoformat(),
}


class Loader:
    """Reads rows that all give the same columns, and says which those are.

    Args:
        view: Where the rows go, and who gives them.
        file: The body.
        as_table: Whether it is CSV with a line of names; else each line is a JSON object.

    """

    def __init__(self, view: View, file: IO[bytes], *, as_table: bool) -> None:
        self.view = view
        self.names: tuple[str, ...] = ()
        self.rows = self._table(file) if as_table else self._lines(file)
        self.reader = reader(view.collection, view.asker, partial=False, as_text=as_table)
        self.read = 0

    def pieces(self) -> Iterator[list[Row]]:
        """Yield the rows, some at a time, with what the models add to each.

        Raises:
            FaultError: rows do not fit, or give other columns than the first.

        """
        while items := list(islice(self.rows, PIECE)):
            rows, faults = [], []
            for item in items:
                row, wrong = self.reader.row(item, (self.read,))
                faults += wrong
                rows.append(with_defaults(self.view.collection, row))
                faults += [] if wrong else self._same(rows[-1])
                self.read += 1
            if faults:
                raise bad_body(faults)
            yield rows

    def _same(self, row: Row) -> list[Fault]:
        names = tuple(sorted(row))
        self.names = self.names or names
        if names == self.names:
            return []
        detail = "It gives other members than the first row."
        return [Fault(detail, pointer=pointer(self.read))]

    def _lines(self, file: IO[bytes]) -> Iterator[Raw]:
        for line in file:
            if line.strip():
                yield Raw(line.strip())

    def _table(self, file: IO[bytes]) -> Iterator[Raw]:
        """Make objects of the lines of a table; an empty cell is null, where that may be."""
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")  # spreadsheets write a mark
        try:
            lines = csv.reader(text, strict=True)
            names = next(lines, [])
            columns = [self.view.collection.columns.get(name) for name in names]
            if len(set(names)) < len(names):
                raise FaultError(422, "The first line names a column twice.", kind="body")
            number = -1
            # An empty line is the only cell of a row, or none of the table.
            filled = (cells or [""] for cells in lines if cells or len(names) == 1)
            for number, cells in enumerate(filled):
                if len(cells) != len(names):
                    detail = f"It has {len(cells)} cells, and the first line {len(names)}."
                    raise bad_body([Fault(detail, pointer=pointer(number))])
                cell = map(_cell, columns, cells)
                yield Raw(encode(dict(zip(names, cell, strict=True))))
            if number < 0 and None in columns:  # no row would say it
                raise FaultError(
                    422, "The first line names a column that there is not.", kind="body"
                )
        except (csv.Error, UnicodeDecodeError):
            raise FaultError(400, "The body is not CSV in UTF-8.", kind="body") from None
        finally:
            text.detach()


def _cell(column: Column | None, text: str) -> Raw:
    """Return a cell as JSON: in the column's own words, or as a text for PostgreSQL to read."""
    if column is None:
        return Raw(encode(text))
    if text == "" and column.nullable:
        return Raw(b"null")
    if column.type.family in {Family.json, Family.jsonb} or _is_exported(column, text):
        return Raw(text.encode())
    try:
        said = AS_JSON.get(column.type.plain, str)(text)
        return Raw(encode(msgspec.convert(said, column.type.payload, strict=False)))
    except ValueError:  # msgspec's, too; whoever reads the cell next says what is wrong
        return Raw(encode(text))


def _is_exported(column: Column, text: str) -> bool:
    """Say whether a cell is a list or an object in JSON, as exports that Python renders have it."""
    if not (column.type.outward or column.type.family is Family.array):
        return False
    try:
        return isinstance(msgspec.json.decode(text), list | dict)
    except msgspec.DecodeError:
        return False


def document(rows: Iterable[Row]) -> bytes:
    """Write rows as ``COPY`` reads them into a column of JSON: one on each line."""
    return b"".join(msgspec.json.encode(row).replace(b"\n", b" ") + b"\n" for row in rows)
