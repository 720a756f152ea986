"""What SQLAlchemy's types are as values: those that are stored, and those that decorate them."""

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union

import msgspec
import sqlalchemy as sa
import sqlalchemy_utils
from msgspec import Meta, Raw
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from project.api.values import DIALECT, Family, ValueType, or_null

#: PostgreSQL writes bytes in hexadecimal, and reads them so.
BYTES = r"^\\x([0-9A-Fa-f]{2})*$"

#: PostgreSQL leaves the minutes of a time zone out where there are none.
ZONED_TIME = r"^\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}(:?\d{2})?)$"

#: Binary digits up to which PostgreSQL's FLOAT(n) is a REAL.
SINGLE = 24

#: Decorators whose stored form is the one that the outside shall see: PostgreSQL may render them.
AS_STORED: tuple[type[TypeEngine[Any]], ...] = (
    sqlalchemy_utils.ChoiceType,
    sqlalchemy_utils.ColorType,
    sqlalchemy_utils.CountryType,
    sqlalchemy_utils.CurrencyType,
    sqlalchemy_utils.IPAddressType,
    sqlalchemy_utils.JSONType,
    sqlalchemy_utils.LocaleType,
    sqlalchemy_utils.PhoneNumberType,
    sqlalchemy_utils.TimezoneType,
    sqlalchemy_utils.URLType,
    sqlalchemy_utils.UUIDType,
)


def value_type(of: TypeEngine[Any]) -> ValueType:
    """Describe a SQLAlchemy type."""
    stored = undecorated(of)
    # As DDL has it: what the driver makes of a CHAR or a REAL calls itself VARCHAR and FLOAT.
    plain = _stored_type(stored, of.compile(DIALECT))
    return _decorated(of, stored, plain) if isinstance(of, TypeDecorator) else plain


def undecorated(of: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type that is stored, beneath decorators and variants."""
    # SQLAlchemy's own Interval is a decorator only where the database has no intervals.
    while isinstance(of, TypeDecorator) and not isinstance(of, sa.Interval):
        of = of.load_dialect_impl(DIALECT)
    return of.dialect_impl(DIALECT)


def is_secret(of: TypeEngine[Any]) -> bool:
    """Say whether a type keeps what must not be seen, whatever a model declares."""
    secrets = (
        sqlalchemy_utils.PasswordType,
        sqlalchemy_utils.StringEncryptedType,
        sqlalchemy_utils.EncryptedType,
    )
    return isinstance(of, secrets)


def _stored_type(stored: TypeEngine[Any], sql: str) -> ValueType:
    for kinds, describe in STORED:
        if isinstance(stored, kinds):
            return describe(stored, sql)
    return ValueType(sql, sql, Family.opaque, Any, {})


def _of_json(
    family: Family,
    plain: str,
    payload: Any,  # noqa: ANN401
    **schema: Any,  # noqa: ANN401
) -> Callable[[Any, str], ValueType]:
    schema = schema or msgspec.json.schema(payload)
    return lambda _, sql: ValueType(sql, plain, family, payload, schema)


def _integer(bits: int, plain: str) -> Callable[[Any, str], ValueType]:
    limit = 1 << (bits - 1)
    return _of_json(Family.ordered, plain, Annotated[int, Meta(ge=-limit, le=limit - 1)])


def _enum(stored: Any, sql: str) -> ValueType:  # noqa: ANN401
    labels = list(stored.enums)
    plain = sql if stored.native_enum else "text"
    family = Family.ordered if stored.native_enum else Family.text
    return ValueType(sql, plain, family, Literal[tuple(labels)], {"enum": labels}, labelled=True)


def _string(stored: Any, sql: str) -> ValueType:  # noqa: ANN401
    length = {} if stored.length is None else {"max_length": stored.length}
    bound = {} if stored.length is None else {"maxLength": stored.length}
    # PostgreSQL stores every character but this one.
    schema = {"type": "string", "pattern": "^[^\\u0000]*$", **bound}
    # A text with the blanks that a CHAR has at its end is not equal to it.
    plain = "bpchar" if sql.startswith("CHAR") else "text"
    return ValueType(sql, plain, Family.text, Annotated[str, Meta(**length)], schema)


def _datetime(stored: Any, sql: str) -> ValueType:  # noqa: ANN401
    zone = bool(stored.timezone)
    payload = Annotated[dt.datetime, Meta(tz=zone)]
    schema = {"type": "string", "format": "date-time"} if zone else {"type": "string"}
    plain = "timestamptz" if zone else "timestamp"
    return ValueType(sql, plain, Family.ordered, payload, schema)


def _time(stored: Any, sql: str) -> ValueType:  # noqa: ANN401
    if not stored.timezone:
        payload: Any = Annotated[dt.time, Meta(tz=False)]
        return ValueType(sql, "time", Family.ordered, payload, _TEXT)
    payload = Annotated[str, Meta(pattern=ZONED_TIME)]
    return ValueType(sql, "timetz", Family.ordered, payload, {**_TEXT, "pattern": ZONED_TIME})


def _float(stored: Any, sql: str) -> ValueType:  # noqa: ANN401
    # No real number but a few is equal to the double that is written alike.
    single = sql == "REAL" or (sql.startswith("FLOAT(") and stored.precision <= SINGLE)
    plain = "real" if single else "double precision"
    return ValueType(sql, plain, Family.ordered, float, {"type": "number"})


def _domain(stored: Any, sql: str) -> ValueType:  # noqa: ANN401
    """Describe a domain as the type that it is made of; what it adds, PostgreSQL checks."""
    return replace(value_type(stored.data_type), sql=sql)


def _array(stored: Any, sql: str) -> ValueType:  # noqa: ANN401
    item = value_type(stored.item_type)
    item_payload: Any = Any if item.payload is Raw else Union[item.payload, None]  # noqa: UP007
    payload: Any = list[item_payload]
    schema: dict[str, Any] = {"type": "array", "items": or_null(item.schema)}
    if stored.dimensions not in {None, 1}:
        payload, schema = list[Any], {"type": "array"}
    return ValueType(sql, f"{item.plain}[]", Family.array, payload, schema)


def _range(_: object, sql: str) -> ValueType:
    return ValueType(sql, sql, Family.range, str, {"type": "string"})


_HEXADECIMAL = Annotated[str, Meta(pattern=BYTES)]
_TEXT = {"type": "string"}
_BITS = Annotated[str, Meta(pattern="^[01]*$")]

#: The first that fits; what is in none of them goes to PostgreSQL as it comes.
STORED: tuple[tuple[Any, Callable[[Any, str], ValueType]], ...] = (
    (sa.SmallInteger, _integer(16, "smallint")),
    (sa.BigInteger, _integer(64, "bigint")),
    (sa.Integer, _integer(32, "integer")),
    (sa.Boolean, _of_json(Family.ordered, "boolean", bool)),
    (sa.Float, _float),
    (sa.Numeric, _of_json(Family.ordered, "numeric", Decimal, type="number")),
    # Before enumerations: in SQLAlchemy a domain is something named, as they are.
    (postgresql.DOMAIN, _domain),
    (sa.Enum, _enum),
    (sa.String, _string),
    (sa.Uuid, _of_json(Family.ordered, "uuid", uuid.UUID)),
    (sa.DateTime, _datetime),
    (sa.Date, _of_json(Family.ordered, "date", dt.date)),
    (sa.Time, _time),
    (sa.types._Binary, _of_json(Family.ordered, "bytea", _HEXADECIMAL)),  # noqa: SLF001
    (postgresql.JSONB, _of_json(Family.jsonb, "jsonb", Raw, description="Any JSON value.")),
    (sa.JSON, _of_json(Family.json, "json", Raw, description="Any JSON value.")),
    (sa.ARRAY, _array),
    (sa.Interval, _of_json(Family.ordered, "interval", str, **_TEXT)),
    (postgresql.INTERVAL, _of_json(Family.ordered, "interval", str, **_TEXT)),
    (postgresql.TSVECTOR, _of_json(Family.search, "tsvector", str, **_TEXT)),
    (postgresql.CITEXT, _of_json(Family.text, "citext", str, **_TEXT)),
    (postgresql.INET, _of_json(Family.ordered, "inet", str, **_TEXT)),
    (postgresql.CIDR, _of_json(Family.ordered, "cidr", str, **_TEXT)),
    (postgresql.MACADDR, _of_json(Family.ordered, "macaddr", str, **_TEXT)),
    (postgresql.MACADDR8, _of_json(Family.ordered, "macaddr8", str, **_TEXT)),
    (
        postgresql.HSTORE,
        _of_json(Family.opaque, "hstore", dict[str, str | None]),
    ),
    # A cast to BIT without a length would cut what is compared to one bit.
    (postgresql.BIT, _of_json(Family.ordered, "varbit", _BITS)),
    (postgresql.MONEY, _of_json(Family.ordered, "money", Any)),
    (postgresql.ranges.AbstractRange, _range),
)


def _decorated(of: TypeDecorator[Any], stored: TypeEngine[Any], plain: ValueType) -> ValueType:
    """Add what a decorator does on the way in and on the way out.

    Both are asked of the decorator itself, so that one that nobody here has heard of comes out as
    its author meant; that costs the column a way through Python.
    """
    described = plain
    if isinstance(of, sqlalchemy_utils.UUIDType) and not isinstance(stored, sa.Uuid):
        as_stored = False  # as 32 digits, that is
    else:
        as_stored = isinstance(of, AS_STORED)
    if choices := _choices(of):
        described = replace(plain, payload=Literal[choices], schema={"enum": list(choices)})
    elif _overrides(of, "process_bind_param") and plain.payload is not Raw:
        described = replace(plain, inward=_inward(of))
    if _overrides(of, "process_result_value") and not as_stored:
        payload = _shown(of)
        described = replace(
            described,
            payload=payload,
            schema=msgspec.json.schema(payload),
            outward=_outward(of, _python_type(stored)),
        )
    return described


def _shown(of: TypeDecorator[Any]) -> Any:  # noqa: ANN401
    """Return what JSON has of a type that Python renders: what it says itself, if it does."""
    if isinstance(of, sqlalchemy_utils.ScalarListType):
        item: Any = of.coerce_func if of.coerce_func in {int, float, str} else Any
        return list[item]
    return uuid.UUID if isinstance(of, sqlalchemy_utils.UUIDType) else Any


def _choices(of: TypeDecorator[Any]) -> tuple[Any, ...]:
    """Return the codes of a ``ChoiceType``, which are what it stores."""
    if not isinstance(of, sqlalchemy_utils.ChoiceType):
        return ()
    if isinstance(of.choices, type) and issubclass(of.choices, Enum):
        return tuple(member.value for member in of.choices)
    return tuple(code for code, _ in of.choices)


def _overrides(of: TypeDecorator[Any], method: str) -> bool:
    return getattr(type(of), method) is not getattr(TypeDecorator, method)


def _inward(of: TypeDecorator[Any]) -> Callable[[Any], Any]:
    # What SQLAlchemy-Utils does when an attribute is set; it raises for what is no such value.
    coerce = getattr(of, "_coerce", None)

    def inward(value: Any) -> Any:  # noqa: ANN401
        stored = of.process_bind_param(coerce(value) if coerce else value, DIALECT)
        return f"\\x{stored.hex()}" if isinstance(stored, bytes) else stored

    return inward


def _python_type(stored: TypeEngine[Any]) -> Any:  # noqa: ANN401
    if isinstance(stored, sa.types._Binary):  # noqa: SLF001
        return bytes
    try:
        return stored.python_type
    except NotImplementedError:
        return Any


def _outward(of: TypeDecorator[Any], kind: Any) -> Callable[[Raw], Any]:  # noqa: ANN401
    def outward(raw: Raw) -> Any:  # noqa: ANN401
        if bytes(raw) == b"null":
            stored: Any = None
        elif kind is bytes:
            stored = bytes.fromhex(msgspec.json.decode(raw, type=str)[2:])
        elif kind in {dict, list, Any}:
            stored = msgspec.json.decode(raw)
        else:
            stored = msgspec.json.decode(raw, type=kind)
        return of.process_result_value(stored, DIALECT)

    return outward
