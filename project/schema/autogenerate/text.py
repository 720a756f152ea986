"""SQL and Python as text: names, literals, and pieces of what the server prints."""

import re
from collections.abc import Sequence

from project.schema import quoting

#: What ``sqlalchemy.text`` takes for a parameter: a colon before a word, not one of two.
PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))")

#: Names in quotes where they need them, for whoever writes SQL here.
quoted = quoting.quoted

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


def named(name: str, expression: str) -> bool:
    """Tell whether a word of an expression is a name, perhaps that of a column."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", expression) is not None


def unquoted(name: str) -> str:
    """Return the name that stands in SQL, perhaps in quotes."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name


def in_schema(path: Sequence[str]) -> str | None:
    """Return the ``schema=`` of an operation; ``public`` goes without saying."""
    return path[0] if path and path[0] != "public" else None
