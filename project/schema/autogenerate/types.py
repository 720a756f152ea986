"""A type as PostgreSQL prints it, written as an expression of SQLAlchemy.

``format_type`` is the one spelling that a catalog gives ("System Catalog Information Functions"),
so a migration reads the same whether a model said ``String(50)`` or used a decorator around it.
"""

import re
from collections.abc import Mapping

from project.schema.autogenerate.step import Code, in_sql
from project.schema.autogenerate.text import literal, unquoted
from project.schema.snapshot import Item, Key, Snapshot

#: A constant as the server prints it: a literal, and the type that it is of.
CONSTANT = re.compile(r"('(?:[^']|'')*')::(.+)")

#: What follows the name of a type in brackets: a length, a precision.
MODIFIER = re.compile(r"\([\d,-]+\)")

#: Types without arguments.
PLAIN: Mapping[str, str] = {
    "bigint": "sa.BigInteger()",
    "boolean": "sa.Boolean()",
    "bytea": "sa.LargeBinary()",
    "character varying": "sa.String()",
    "cidr": "postgresql.CIDR()",
    "date": "sa.Date()",
    "double precision": "sa.Double()",
    "inet": "postgresql.INET()",
    "integer": "sa.Integer()",
    "interval": "postgresql.INTERVAL()",
    "json": "postgresql.JSON()",
    "jsonb": "postgresql.JSONB()",
    "macaddr": "postgresql.MACADDR()",
    "macaddr8": "postgresql.MACADDR8()",
    "money": "postgresql.MONEY()",
    "numeric": "sa.Numeric()",
    "oid": "postgresql.OID()",
    "real": "sa.REAL()",
    "regclass": "postgresql.REGCLASS()",
    "regconfig": "postgresql.REGCONFIG()",
    "smallint": "sa.SmallInteger()",
    "text": "sa.Text()",
    "time with time zone": "sa.Time(timezone=True)",
    "time without time zone": "sa.Time()",
    "timestamp with time zone": "sa.DateTime(timezone=True)",
    "timestamp without time zone": "sa.DateTime()",
    "tsquery": "postgresql.TSQUERY()",
    "tsvector": "postgresql.TSVECTOR()",
    "uuid": "sa.Uuid()",
    "bit varying": "postgresql.BIT(varying=True)",
    **{
        name: f"postgresql.{name.upper()}()"
        for name in (
            *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
            *("int4multirange", "int8multirange", "nummultirange"),
            *("tsmultirange", "tstzmultirange", "datemultirange"),
        )
    },
}

#: Types with arguments: what the server prints, and what that is in Python.
ARGUED: tuple[tuple[str, str], ...] = (
    (r"character varying\((\d+)\)", "sa.String(length={0})"),
    (r"character\((\d+)\)", "sa.CHAR(length={0})"),
    (r"numeric\((\d+),(-?\d+)\)", "sa.Numeric(precision={0}, scale={1})"),
    (r"timestamp\((\d)\) without time zone", "postgresql.TIMESTAMP(precision={0})"),
    (r"timestamp\((\d)\) with time zone", "postgresql.TIMESTAMP(timezone=True, precision={0})"),
    (r"time\((\d)\) without time zone", "postgresql.TIME(precision={0})"),
    (r"time\((\d)\) with time zone", "postgresql.TIME(timezone=True, precision={0})"),
    (r"interval\((\d)\)", "postgresql.INTERVAL(precision={0})"),
    (r"interval ([a-z]+(?: to [a-z]+)?)", 'postgresql.INTERVAL(fields="{0}")'),
    (r"interval ([a-z ]*second)\((\d)\)", 'postgresql.INTERVAL(fields="{0}", precision={1})'),
    (r"bit\((\d+)\)", "postgresql.BIT(length={0})"),
    (r"bit varying\((\d+)\)", "postgresql.BIT(length={0}, varying=True)"),
)

#: Types of extensions that SQLAlchemy knows.
EXTENSIONS: Mapping[str, str] = {"citext": "postgresql.CITEXT()", "hstore": "postgresql.HSTORE()"}


def expression(printed: str, snapshot: Snapshot, collation: str | None = None) -> str | None:
    """Write a type in Python.

    Args:
        printed: The type, as ``format_type`` prints it with an empty search path.
        snapshot: Where types of the user's are looked up.
        collation: The column's, as ``regcollation`` prints it, where it is not the type's own.

    Returns:
        None where SQLAlchemy has no expression for it.

    """
    element, brackets = re.fullmatch(r"(.*?)((?:\[\])?)", printed).groups()  # type: ignore[union-attr]
    written = _element(element, snapshot)
    if written is None:
        return None
    if collation is not None:
        if brackets or "." in collation or not written.startswith(("sa.String", "sa.Text")):
            return None
        separator = "" if written.endswith("()") else ", "
        written = f"{written[:-1]}{separator}collation={literal(unquoted(collation))})"
    return f"postgresql.ARRAY({written})" if brackets else written


def _element(printed: str, snapshot: Snapshot) -> str | None:
    if printed in PLAIN:
        return PLAIN[printed]
    for pattern, template in ARGUED:
        if found := re.fullmatch(pattern, printed):
            return template.format(*found.groups())
    path = tuple(unquoted(part) for part in re.findall(r'"(?:[^"]|"")*"|[^.]+', printed))
    if Key("enum", path) in snapshot.items:
        # The labels are the type's own affair, which stands in a statement of its own.
        return f"postgresql.ENUM(name={literal(path[-1])}{_schema(path)}, create_type=False)"
    domain = snapshot.items.get(Key("domain", path))
    if domain is not None:
        base = expression(str(domain.attributes["type"]), snapshot)
        if base is None:
            return None
        return f"postgresql.DOMAIN({literal(path[-1])}, {base}{_schema(path)}, create_type=False)"
    if path[:1] == ("public",) and path[-1] in EXTENSIONS:
        return EXTENSIONS[path[-1]]
    return None


def _schema(path: tuple[str, ...]) -> str:
    return f", schema={literal(path[0])}" if path[0] != "public" else ""


def default(item: Item) -> Code | None:
    """Write a column's default, if it has one.

    A literal of the column's own type needs no cast: it is read as that type, and printed with the
    same cast again.
    """
    text = item.attributes.get("default")
    if text is None:
        return None
    constant = CONSTANT.fullmatch(str(text))
    if constant and constant[2] == MODIFIER.sub("", str(item.attributes["type"])):
        text = constant[1]
    return in_sql(str(text))
