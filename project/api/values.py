"""What a column's values are: in PostgreSQL, in JSON, and to the type that decorates them."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
import sqlalchemy as sa
import sqlalchemy_utils
from msgspec import Raw
from sqlalchemy.dialects import postgresql

DIALECT: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


class Family(enum.Enum):
    """Which operators make sense for a type."""

    text = "text"
    ordered = "ordered"
    array = "array"
    range = "range"
    jsonb = "jsonb"
    json = "json"
    search = "search"
    opaque = "opaque"


@dataclass(frozen=True)
class ValueType:
    """The two sides of a column.

    Attributes:
        sql: The type as DDL has it, with length and precision.
        plain: The type without them: a cast to ``varchar(5)`` would cut what is compared.
        family: Which operators make sense.
        payload: What msgspec accepts in JSON.
        schema: What JSON Schema says of it.
        inward: Turns a value from JSON into what is stored, where a decorator does so; raises
            when there is no such value.
        outward: Turns the stored value, as PostgreSQL writes it in JSON, into what is shown, where
            only the decorator can.
        labelled: Whether a member of a Python enumeration is stored as its name.

    """

    sql: str
    plain: str
    family: Family
    payload: Any
    schema: dict[str, Any]
    inward: Callable[[Any], Any] | None = None
    outward: Callable[[Raw], Any] | None = None
    labelled: bool = False


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that takes null, too (JSON Schema 2020-12)."""
    if not schema:
        return {}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def plain_json(value: object) -> object:
    """Say an object that JSON has no word for: what a decorator returned, or what it stores."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, sqlalchemy_utils.Choice):
        return value.code
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


#: Writes what decorators return, and decimals with all their digits.
encode = msgspec.json.Encoder(enc_hook=plain_json, decimal_format="number").encode
