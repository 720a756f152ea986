"""What the server prints of constraints and indexes, read as far as Alembic has words for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from project.schema.autogenerate.change import Path
from project.schema.autogenerate.step import Code, in_sql
from project.schema.autogenerate.text import literal, unquoted
from project.schema.clause import clause
from project.schema.pieces import parenthesized, split
from project.schema.snapshot import Item, Value

KINDS = {"PRIMARY KEY": "primary", "UNIQUE": "unique", "FOREIGN KEY": "foreign", "CHECK": "check"}


@dataclass(frozen=True)
class Constraint:
    """What a definition says, as far as Alembic has arguments for it.

    Attributes:
        kind: primary, unique, foreign, check or exclude.
        columns: Of the table itself; of a check its expression alone, of an exclusion none.
        options: The other arguments.
        referred: The table a foreign key refers to.
        excluding: Of an exclusion: what is compared, and the operator.

    """

    kind: str
    columns: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    referred: Path = ()
    referred_columns: tuple[str, ...] = ()
    excluding: tuple[tuple[str, str], ...] = ()


def parse(item: Item) -> Constraint | None:
    """Read what the server prints of a constraint; None where Alembic has no words for it."""
    definition = clause(item)
    if definition.startswith("EXCLUDE"):
        return _exclusion(definition)
    kind = next((kind for kind in KINDS if definition.startswith(kind)), None)
    if kind is None:
        return None
    rest = definition.removeprefix(kind).strip()
    options: dict[str, object] = {}
    if rest.startswith("NULLS NOT DISTINCT"):
        options["postgresql_nulls_not_distinct"] = True
        rest = rest.removeprefix("NULLS NOT DISTINCT").strip()
    inside, rest = parenthesized(rest)
    referred: Path = ()
    referred_columns: tuple[str, ...] = ()
    if kind == "FOREIGN KEY":
        found = re.match(r'REFERENCES ((?:"(?:[^"]|"")+"|[^"(\s])+)', rest)
        assert found is not None, definition  # noqa: S101
        referred = path(found[1])
        there, rest = parenthesized(rest[found.end() :].strip())
        referred_columns = tuple(unquoted(column) for column in split(there))
    if found := re.match(r"INCLUDE (\(.*)", rest):
        included, rest = parenthesized(found[1])
        options["postgresql_include"] = [unquoted(column) for column in split(included)]
    columns = tuple(unquoted(part) for part in split(inside))
    if kind == "CHECK":
        columns = (bare(plainly(inside)),)
    if any(re.search(r"\bWITHOUT OVERLAPS$|^PERIOD ", column) for column in columns):
        return None
    if not _take_words(rest, options):
        return None
    return Constraint(KINDS[kind], columns, options, referred, referred_columns)


def _exclusion(definition: str) -> Constraint | None:
    found = re.match(r"EXCLUDE USING (\w+) ", definition)
    # SQLAlchemy doubles a percent sign in an expression, and PostgreSQL would get two.
    if found is None or "%" in definition:
        return None
    options: dict[str, object] = {"using": found[1]}
    inside, rest = parenthesized(definition[found.end() :])
    if rest.startswith("WHERE "):
        condition, rest = parenthesized(rest.removeprefix("WHERE "))
        options["where"] = in_sql(bare(plainly(condition)))
    if not _take_words(rest, options):
        return None
    parts = [part.rpartition(" WITH ") for part in split(inside)]
    excluding = tuple((part[0], part[-1]) for part in parts)
    if len(dict(excluding)) < len(excluding):  # Alembic takes a column once
        return None
    return Constraint("exclude", (), options, excluding=excluding)


#: What may follow, and the arguments that say it.
WORDS: tuple[tuple[str, str, object], ...] = (
    (r"MATCH (FULL|PARTIAL)", "match", None),
    (r"ON UPDATE (CASCADE|RESTRICT|SET NULL|SET DEFAULT)", "onupdate", None),
    (
        r"ON DELETE (CASCADE|RESTRICT|SET NULL(?: \(.*?\))?|SET DEFAULT(?: \(.*?\))?)",
        "ondelete",
        None,
    ),
    (r"DEFERRABLE", "deferrable", True),
    (r"INITIALLY (DEFERRED)", "initially", None),
    (r"INITIALLY IMMEDIATE", "", None),
    (r"NOT VALID", "postgresql_not_valid", True),
)


def _take_words(rest: str, options: dict[str, object]) -> bool:
    for pattern, argument, value in WORDS:
        if found := re.match(pattern, rest):
            if argument:
                options[argument] = value if value is not None else found[1]
            rest = rest[found.end() :].strip()
    return not rest


def path(name: str) -> Path:
    """Read a name with its schema."""
    return tuple(unquoted(part) for part in re.findall(r'"(?:[^"]|"")*"|[^.]+', name))


@dataclass(frozen=True)
class Index:
    """What an index definition says: ``USING btree (a, lower(b) DESC) WHERE (a > 0)``."""

    method: str
    parts: tuple[str, ...]
    options: Mapping[str, object]
    condition: str  # of the rows that are in it; empty if all are


def parse_index(item: Item) -> Index | None:
    """Read what the server prints of an index; None where Alembic has no words for it."""
    definition = str(item.attributes["definition"])
    found = re.match(r"USING (\w+) ", definition)
    if found is None:
        return None
    inside, rest = parenthesized(definition[found.end() :])
    options: dict[str, object] = {}
    if rest.startswith("INCLUDE "):
        included, rest = parenthesized(rest.removeprefix("INCLUDE "))
        options["postgresql_include"] = [unquoted(column) for column in split(included)]
    if rest.startswith("NULLS NOT DISTINCT"):
        options["postgresql_nulls_not_distinct"] = True
        rest = rest.removeprefix("NULLS NOT DISTINCT").strip()
    options["postgresql_with"] = with_(item.attributes.get("storage parameters"))
    condition = ""
    if rest.startswith("WHERE "):
        # It comes last. What is a column or a call, and no comparison, has no parentheses.
        condition = bare(plainly(rest.removeprefix("WHERE ")))
        options["postgresql_where"] = in_sql(condition)
    elif rest:
        return None
    return Index(found[1], tuple(split(inside)), options, condition)


def strings(value: Value) -> list[str]:
    """Return a list of texts; an empty one where there is none."""
    return [str(part) for part in value] if isinstance(value, tuple) else []


def python(options: Mapping[str, object]) -> dict[str, object]:
    """Write options as arguments: lists of columns as Python."""
    return {
        name: Code(f"[{', '.join(map(literal, value))}]") if isinstance(value, list) else value
        for name, value in options.items()
    }


def with_(value: Value) -> Code | None:
    """Write storage parameters, ``fillfactor=70``, as a dictionary."""
    pairs = [option.split("=", 1) for option in strings(value)]
    listed = ", ".join(f"{literal(name)}: {literal(setting)}" for name, setting in pairs)
    return Code(f"{{{listed}}}") if pairs else None


#: ``colour IN ('a', 'b')`` as the server prints it where the column is a ``varchar``.
_IN = re.compile(
    r"""\((?P<column>\w+|"(?:[^"]|"")+")\)::text (?P<operator>= ANY|<> ALL)"""
    r""" \(\(ARRAY\[(?P<values>(?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]\)"""
)


def plainly(expression: str) -> str:
    """Write what the server prints in one way and reads in another as it was before.

    PostgreSQL moves the cast of an array into it when it reads its own print again, so the result
    would not be what it was.
    """

    def listed(found: "re.Match[str]") -> str:
        word = "IN" if found["operator"] == "= ANY" else "NOT IN"
        values = found["values"].replace("::character varying", "")
        return f"{found['column']} {word} ({values})"

    return _IN.sub(listed, expression)


def bare(expression: str) -> str:
    """Leave out parentheses around the whole of an expression."""
    while expression.startswith("("):
        inside, rest = parenthesized(expression)
        if rest:
            break
        expression = inside
    return expression
