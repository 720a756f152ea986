"""SQL and Python as text: names, literals, and pieces of what the server prints."""

import re
from collections.abc import Sequence

#: What ``sqlalchemy.text`` takes for a parameter: a colon before a word, not one of two.
PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))")

#: A name that needs no quotes, if it is no keyword.
BARE = re.compile(r"[a-z_][a-z0-9_$]*")

#: Keywords that PostgreSQL takes for no name of a relation or column without quotes ("SQL Key
#: Words", the reserved ones and those reserved for functions and types).
KEYWORDS = """
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
boolean both case cast char character check coalesce collate collation column concurrently
constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user dec decimal default deferrable desc distinct do else end except
exists extract false fetch float for foreign freeze from full grant greatest group grouping
having ilike in initially inner inout int integer intersect interval into is isnull join lateral
leading least left like limit localtime localtimestamp national natural nchar none normalize not
notnull null nullif numeric offset on only or order out outer overlaps overlay placing position
precision primary real references returning right row select session_user setof similar smallint
some substring symmetric system_user table tablesample then time timestamp to trailing treat
trim true union unique user using values varchar variadic verbose when where window with
xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
xmlserialize xmltable
"""
RESERVED = frozenset(KEYWORDS.split())

#: PostgreSQL cuts longer names ("Lexical Structure"), in bytes.
LONGEST = 63


def literal(value: object) -> str:
    """Write a value in Python, for a place within parentheses: a text of several lines as several.

    Not in triple quotes: what indents them would change what the text says.
    """
    if not isinstance(value, str):
        return repr(value)
    return "\n".join(_line(line) for line in value.splitlines(keepends=True) or [""])


def _line(text: str) -> str:
    written = repr(text)
    if written.startswith("'") and '"' not in text:
        return '"' + written[1:-1].replace("\\'", "'") + '"'
    return written


def sql_text(sql: str) -> str:
    """Write SQL in Python, for a place where SQLAlchemy looks for parameters in it."""
    return literal(PARAMETER.sub(r"\\:", sql))


def quoted(name: str) -> str:
    """Write a name in SQL, in quotes where it needs them."""
    if BARE.fullmatch(name) and name not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def dotted(path: tuple[str, ...]) -> str:
    """Write the name of an object in SQL; what lies in ``public`` goes without its schema."""
    return ".".join(quoted(part) for part in (path[1:] if path[0] == "public" else path))


def shown(path: tuple[str, ...]) -> str:
    """Name an object for a person: ``account.email``."""
    return ".".join(path[1:] if path[0] == "public" else path)


def cut(name: str) -> str:
    """Cut a name as PostgreSQL would, but at its beginning: the end tells what it is for."""
    return name.encode()[-LONGEST:].decode(errors="ignore")


def string(value: str) -> str:
    """Write a text as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def unquoted(name: str) -> str:
    """Return the name that stands in SQL, perhaps in quotes."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name


def in_schema(path: Sequence[str]) -> str | None:
    """Return the ``schema=`` of an operation; ``public`` goes without saying."""
    return path[0] if path and path[0] != "public" else None
