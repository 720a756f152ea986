"""Filters in PostgREST's notation (`?age=gte.18&or=(a.eq.1,b.is.null)`) as SQL conditions."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from project.api.access import Asker
from project.api.collection import Collection
from project.api.column import Column
from project.api.faults import KEY, bad_parameter
from project.api.path import Path, reason_against, split
from project.api.statement import (
    Fragment,
    Slot,
    format_sql,
    given_value,
    identifier,
    join_sql,
    value,
)
from project.api.values import Family
from project.api.words import GrammarError, bracketed, parts, unquoted

#: Conditions of one request; a longer question is a statement nobody wants to plan.
MOST = 100

COMPARABLE = frozenset({Family.text, Family.ordered, Family.array, Family.range, Family.jsonb})
TEXT = frozenset({Family.text})
CONTAINERS = frozenset({Family.array, Family.range, Family.jsonb})
RANGES = frozenset({Family.range})
SEARCHABLE = frozenset({Family.text, Family.search, Family.jsonb, Family.json})
ALL = frozenset(Family)


class Operator(NamedTuple):
    """How a comparison is written, and for which types there is one."""

    sql: str
    families: frozenset[Family]
    pattern: bool = False


OPERATORS = {
    "eq": Operator("=", COMPARABLE),
    "neq": Operator("<>", COMPARABLE),
    "gt": Operator(">", COMPARABLE),
    "gte": Operator(">=", COMPARABLE),
    "lt": Operator("<", COMPARABLE),
    "lte": Operator("<=", COMPARABLE),
    "isdistinct": Operator("IS DISTINCT FROM", COMPARABLE),
    "like": Operator("LIKE", TEXT, pattern=True),
    "ilike": Operator("ILIKE", TEXT, pattern=True),
    "match": Operator("~", TEXT),
    "imatch": Operator("~*", TEXT),
    "cs": Operator("@>", CONTAINERS),
    "cd": Operator("<@", CONTAINERS),
    "ov": Operator("&&", CONTAINERS - {Family.jsonb}),
    "sl": Operator("<<", RANGES),
    "sr": Operator(">>", RANGES),
    "nxr": Operator("&<", RANGES),
    "nxl": Operator("&>", RANGES),
    "adj": Operator("-|-", RANGES),
}

#: Those that may be asked of any or of all of several values: `eq(any).{1,2}`.
QUANTIFIED = frozenset(["eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"])

SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}

#: What `is` knows, in SQL.
STATES = {
    "null": "IS NULL",
    "not_null": "IS NOT NULL",
    "true": "IS TRUE",
    "false": "IS FALSE",
    "unknown": "IS UNKNOWN",
}

EXPRESSION = re.compile(r"(?P<name>[a-z]+)(\((?P<word>[^()]*)\))?\.(?P<value>.*)", re.DOTALL)


class Filters:
    """Reads the filters of one parameter of a request.

    Args:
        collection: What is filtered.
        alias: What the statement calls its table.
        asker: Who asks, which decides what columns there are.
        parameter: The parameter to blame.

    """

    def __init__(self, collection: Collection, alias: str, asker: Asker, parameter: str) -> None:
        self.collection = collection
        self.alias = alias
        self.asker = asker
        self.parameter = parameter

    def path(self, text: str) -> Path:
        """Find what may be asked for: a column, or a path within its JSON (`data->a->>b`).

        Raises:
            FaultError: there is no such column, it may not be filtered by, or has no such path.

        """
        name, steps = split(text)
        column = self.collection.columns.get(name)
        if column is None or not column.known_to(self.asker):
            raise self.fault(f"{self.collection.name} has no column {name!r}.")
        if not self.collection.filterable(column):
            raise self.fault(f"Rows cannot be filtered or sorted by {name}.")
        path = Path(column, steps)
        if reason := reason_against(path):
            raise self.fault(reason)
        return path

    def fault(self, detail: str) -> Exception:
        """Return the error that blames this parameter."""
        return bad_parameter(self.parameter, detail)

    def condition(self, name: str, text: str) -> Fragment:
        """Read a filter of one column: its name, and `operator.value`.

        Raises:
            FaultError: column, operator and value do not go together.

        """
        path = self.path(name)
        negated = text.startswith("not.")
        found = EXPRESSION.fullmatch(text[4:] if negated else text)
        if found is None:
            raise self.fault(f"{text!r} is no filter; it must be operator.value, as in eq.1.")
        operand = Operand(path.within(self.alias), path)
        try:
            condition = self._compare(operand, found["name"], found["word"], found["value"])
        except GrammarError as error:
            raise self.fault(f"{text!r} cannot be read: {error}.") from None
        return format_sql("NOT ({})", condition) if negated else condition

    def logic(self, word: str, text: str) -> Fragment:
        """Read `and=(…)` or `or=(…)`, whose parts are filters and such brackets again."""
        try:
            inner = [self._part(part) for part in bracketed(text)]
        except GrammarError as error:
            raise self.fault(f"{text!r} cannot be read: {error}.") from None
        negated, between = word.startswith("not."), word.removeprefix("not.").upper()
        joined = format_sql("({})", join_sql(f" {between} ", inner))
        return format_sql("NOT {}", joined) if negated else joined

    def _part(self, part: str) -> Fragment:
        word, bracket, rest = part.partition("(")
        if bracket and word in {"and", "or", "not.and", "not.or"}:
            return self.logic(word, bracket + rest)
        name, dot, text = part.partition(".")
        if not dot:
            raise self.fault(f"{part!r} is no filter; it must be column.operator.value.")
        # A value in quotes may hold what the list would otherwise be split at.
        operator, quote, rest = text.partition('."')
        return self.condition(name, f"{operator}.{unquoted(chr(34) + rest)}" if quote else text)

    def _compare(self, operand: "Operand", name: str, word: str | None, text: str) -> Fragment:
        if name in SEARCHES:
            return self._search(operand, name, word, text)
        if name in OPERATORS and word in {None, "any", "all"}:
            return self._operate(operand, name, word, text)
        if word is None and name == "is":
            return self._state(operand, text)
        if word is None and name == "in":
            self._suits(operand, "in", COMPARABLE - {Family.array})
            texts = (
                [operand.meant(unquoted(item)) for item in bracketed(text)] if text != "()" else []
            )
            return self._any(operand, "=", "ANY", texts)
        raise self.fault(f"There is no operator {name + (f'({word})' if word else '')!r}.")

    def _operate(self, operand: "Operand", name: str, word: str | None, text: str) -> Fragment:
        operator = OPERATORS[name]
        self._suits(operand, name, operator.families)
        wild: Callable[[str], str] = (
            (lambda text: text.replace("*", "%")) if operator.pattern else operand.meant
        )
        if word is None:
            given = given_value(self.parameter, wild(text), operand.type)
            return format_sql("{} " + operator.sql + " {}", operand.sql, given)
        if name not in QUANTIFIED or not (text.startswith("{") and text.endswith("}")):
            raise self.fault(f"{name}({word}) cannot be asked; say, for instance, eq(any).{{1,2}}.")
        texts = [wild(unquoted(item)) for item in parts(text[1:-1])]
        return self._any(operand, operator.sql, word.upper(), texts)

    def _any(self, operand: "Operand", operator: str, word: str, texts: list[str]) -> Fragment:
        given = [given_value(self.parameter, text, operand.type) for text in texts]
        array = format_sql("ARRAY[{}]::" + operand.type + "[]", join_sql(", ", given))
        return format_sql(f"{{}} {operator} {word} ({{}})", operand.sql, array)

    def _state(self, operand: "Operand", text: str) -> Fragment:
        state = STATES.get(text.lower())
        if state is None:
            raise self.fault(f"is.{text} is unknown; it may be one of {', '.join(STATES)}.")
        if text.lower() not in {"null", "not_null"} and operand.type != "boolean":
            raise self.fault(f"is.{text} can be asked of true and false only.")
        return format_sql("{} " + state, operand.sql)

    def _search(self, operand: "Operand", name: str, word: str | None, text: str) -> Fragment:
        """Search words (PostgreSQL, chapter 12); what is no `tsvector` yet is made one."""
        self._suits(operand, name, SEARCHABLE)
        language = [] if word is None else [given_value(self.parameter, word, "regconfig")]
        query = join_sql(", ", [*language, given_value(self.parameter, text, "text")])
        document = operand.sql
        if operand.family is not Family.search:
            document = format_sql("to_tsvector({})", join_sql(", ", [*language, document]))
        return format_sql("{} @@ " + SEARCHES[name] + "({})", document, query)

    def _suits(self, operand: "Operand", name: str, families: Iterable[Family]) -> None:
        if operand.family not in families:
            raise self.fault(f"The operator {name} does not suit a column of type {operand.type}.")


class Operand(NamedTuple):
    """What is compared, and what it is."""

    sql: Fragment
    path: Path

    @property
    def type(self) -> str:
        """The type as which values are compared with it."""
        return self.path.type

    @property
    def family(self) -> Family:
        """Which operators make sense."""
        return self.path.family

    def meant(self, text: str) -> str:
        """Return a text as the column's decorator stores it: an address in lower case, say."""
        decorated = self.path.column.type
        if not self.path.steps and decorated.inward and not decorated.outward:
            with suppress(Exception):  # what is no such value is compared as it is
                return str(decorated.inward(text))
        return text


def owned(collection: Collection, alias: str, asker: Asker) -> list[Fragment]:
    """Return the condition that keeps an asker to its own rows, where there is one."""
    if not collection.owned_by(asker):
        return []
    owner = identifier(alias, str(collection.resource.owner))
    return [format_sql("{} = {}", owner, value(asker.account_id, "bigint"))]


def where(conditions: list[Fragment]) -> Fragment:
    """Return the clause, or nothing."""
    if not conditions:
        return Fragment("")
    return format_sql(" WHERE {}", join_sql(" AND ", conditions))


def key_is(columns: Iterable[Column], alias: str) -> list[Fragment]:
    """Return the conditions that address one row, whose key comes later (:func:`key_slots`)."""
    return [
        format_sql(
            "{} = {}", column.within(alias), given_value(KEY, Slot("key", at), column.type.plain)
        )
        for at, column in enumerate(columns)
    ]


def key_slots(key: Iterable[str]) -> dict[Slot, object]:
    """Return the values of a key, each as the client wrote it."""
    return {Slot("key", at): text for at, text in enumerate(key)}
