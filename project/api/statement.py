"""Statements for psycopg: text made of constants and identifiers, and every value beside it."""

import functools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from psycopg import sql

from project.api.faults import Fault


class Given(NamedTuple):
    """A text that came from a client and goes to PostgreSQL to be read as a value.

    It is kept beside a statement so that, should PostgreSQL refuse one, the others need not be
    suspected: which one it was is found by asking for each alone.

    Attributes:
        fault: The place to blame: the name of a parameter, or a JSON Pointer.
        text: What the client wrote, or where that will be.
        type: The PostgreSQL type that it is read as.
        in_json: Whether it is a member of the body.

    """

    fault: str
    text: "str | Slot"
    type: str
    in_json: bool = False

    def probe(self) -> "Statement":
        """Return a statement that fails if PostgreSQL does not take the value."""
        if self.in_json:
            member = f'{{"member": {self.text}}}'
            record = "SELECT * FROM json_to_record(%s::json) AS record (member {})"
            return Statement(record.format(self.type).encode(), (member,))
        return Statement(f"SELECT %s::{self.type}".encode(), (self.text,))

    def blame(self) -> Fault:
        """Say what is wrong, if it is this value alone."""
        return self._fault(f"The value cannot be read as {self.type.lower()}.")

    def suspect(self) -> Fault:
        """Say what is wrong, if it may be this value."""
        return self._fault("PostgreSQL cannot work with this value here.")

    def _fault(self, detail: str) -> Fault:
        if self.in_json:
            return Fault(detail, pointer=self.fault)
        return Fault(detail, parameter=self.fault)


class Statement(NamedTuple):
    """A statement, its values in order, and what of them came from the client."""

    text: bytes
    values: tuple[object, ...] = ()
    given: tuple[Given, ...] = ()


class Slot(NamedTuple):
    """A value that is not known yet when a statement is made; `place` tells several apart."""

    name: str
    place: int = 0


class Template(NamedTuple):
    """A statement that is made once and run with other values each time: some are slots."""

    text: bytes
    values: tuple[object, ...]
    given: tuple[Given, ...]

    def filled(self, slots: Mapping[Slot, object]) -> Statement:
        """Return the statement with values in its slots."""
        values = [slots[value] if isinstance(value, Slot) else value for value in self.values]
        given = [
            one._replace(text=str(slots[one.text])) if isinstance(one.text, Slot) else one
            for one in self.given
        ]
        return Statement(self.text, tuple(values), tuple(given))


class Fragment(NamedTuple):
    """A piece of a statement, with the values of its placeholders.

    Its text is made of constants of this package and of :func:`identifier`; nothing that a client
    wrote is ever a part of it.
    """

    text: str
    values: tuple[object, ...] = ()
    given: tuple[Given, ...] = ()

    def statement(self) -> Statement:
        """Finish: the text as psycopg takes it."""
        return Statement(self.text.encode(), self.values, self.given)

    def template(self) -> Template:
        """Finish, for values that come later."""
        return Template(self.text.encode(), self.values, self.given)


@functools.cache
def identifier(*names: str) -> Fragment:
    """Quote a name of the models, qualified by those before it."""
    # A percent sign would be a placeholder to psycopg.
    return Fragment(sql.Identifier(*names).as_string(None).replace("%", "%%"))


def number(of: int) -> Fragment:
    """Write a number into the text, where the plan depends on it (``LIMIT``)."""
    return Fragment(str(int(of)))


def format_sql(text: str, /, *pieces: Fragment) -> Fragment:
    """Put pieces into the ``{}`` of a constant text; their values come in the same order."""
    return _gather(text.format(*[piece.text for piece in pieces]), pieces)


def join_sql(between: str, pieces: Iterable[Fragment]) -> Fragment:
    """Put a constant text between pieces."""
    pieces = tuple(pieces)
    return _gather(between.join([piece.text for piece in pieces]), pieces)


def _gather(text: str, pieces: tuple[Fragment, ...]) -> Fragment:
    values = tuple([value for piece in pieces for value in piece.values])
    given = tuple([value for piece in pieces for value in piece.given])
    return Fragment(text, values, given)


def value(of: object, type_name: str) -> Fragment:
    """Pass a value of ours as a parameter of that type."""
    return Fragment(f"%s::{type_name}", (of,))


def given_value(fault: str, text: str | Slot, type_name: str) -> Fragment:
    """Pass a client's text as a parameter that PostgreSQL reads as that type."""
    return Fragment(f"%s::{type_name}", (text,), (Given(fault, text, type_name),))
