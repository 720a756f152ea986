"""What the text of a statement says: needed for advice only, never for a verdict."""

import re
from dataclasses import dataclass, replace

from project.schema.pieces import (
    on_one_line,
    parenthesized,
    split,
    statements,
    without_comments,
)

_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)(?:\.(?:"(?:[^"]|"")+"|[\w$]+))?'
_I = re.IGNORECASE | re.DOTALL

_TABLE = re.compile(
    rf"ALTER\s+(?:TABLE|MATERIALIZED\s+VIEW)\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?({_NAME})\s+(.*)", _I
)

#: Kind of an action → how it is written; the groups are what advice names.
_ALTERATIONS = {
    "set not null": rf"ALTER\s+(?:COLUMN\s+)?(?P<column>{_NAME})\s+SET\s+NOT\s+NULL",
    "type": rf"ALTER\s+(?:COLUMN\s+)?(?P<column>{_NAME})\s+(?:SET\s+DATA\s+)?TYPE\s+(?P<text>.*)",
    "check": rf"ADD\s+(?:CONSTRAINT\s+(?P<name>{_NAME})\s+)?CHECK\s*(?P<text>.*)",
    "foreign key": rf"ADD\s+(?:CONSTRAINT\s+(?P<name>{_NAME})\s+)?FOREIGN\s+KEY\s*"
    rf"\((?P<column>[^)]*)\)\s*REFERENCES\s+(?P<other>{_NAME})\s*(?P<text>.*)",
    "unique index": rf"ADD\s+(?:CONSTRAINT\s+(?P<name>{_NAME})\s+)?"
    r"(?P<text>UNIQUE|PRIMARY\s+KEY)\s+USING\s+INDEX.*",
    "unique": rf"ADD\s+(?:CONSTRAINT\s+(?P<name>{_NAME})\s+)?UNIQUE\s*[^(]*\((?P<column>[^)]*)\).*",
    "primary key": rf"ADD\s+(?:CONSTRAINT\s+(?P<name>{_NAME})\s+)?PRIMARY\s+KEY\s*"
    r"\((?P<column>[^)]*)\).*",
    "exclude": rf"ADD\s+(?:CONSTRAINT\s+(?P<name>{_NAME})\s+)?EXCLUDE\b.*",
    "attach": rf"ATTACH\s+PARTITION\s+(?P<other>{_NAME})\s+(?P<text>.*)",
    "detach": rf"DETACH\s+PARTITION\s+(?P<other>{_NAME})\s*(?P<text>.*)",
    "persistence": r"SET\s+(?P<text>UNLOGGED|LOGGED)",
    "access method": r"SET\s+ACCESS\s+METHOD.*",
    "add column": rf"ADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?!CONSTRAINT\b)"
    rf"(?P<column>{_NAME})\s+(?P<text>.*)",
}

_OTHERS = {
    "index": rf"CREATE\s+(?P<text>UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?"
    rf"(?P<name>{_NAME})?\s*"
    rf"ON\s+(?:ONLY\s+)?(?P<table>{_NAME})\s*(?:USING\s+\w+\s*)?\((?P<column>.*)\).*",
    "reindex": rf"REINDEX\s+(?:\([^)]*\)\s*)?(?P<text>\w+)\s+(?P<name>{_NAME})?.*",
    "vacuum full": r"VACUUM\s+(?:\(.*FULL.*\)|.*FULL).*",
    "cluster": r"CLUSTER\b.*",
    "refresh": rf"REFRESH\s+MATERIALIZED\s+VIEW\s+(?P<table>{_NAME}).*",
    "partition": rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<other>{_NAME})\s+"
    rf"PARTITION\s+OF\s+(?P<table>{_NAME})\s*(?P<text>.*)",
    "domain": rf"ALTER\s+DOMAIN\s+(?P<table>{_NAME})\s+(?P<text>.*)",
    "update": rf"UPDATE\s+(?:ONLY\s+)?(?P<table>{_NAME})\s+(?P<text>.*)",
    "delete": rf"DELETE\s+FROM\s+(?:ONLY\s+)?(?P<table>{_NAME})\s*(?P<text>.*)",
    "validate": r"ALTER\s+TABLE\s.*\bVALIDATE\s+CONSTRAINT\b.*",
    "query": r"(?:SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|COPY|VALUES|EXPLAIN|TABLE)\b.*",
}


@dataclass(frozen=True)
class Action:
    """One thing that a statement does."""

    kind: str  # "set not null", "type", "index", …; "other" where the text says nothing known
    table: str = ""
    column: str = ""
    name: str = ""  # of the constraint or the index
    other: str = ""  # the table on the other side
    text: str = ""
    sql: str = ""  # a statement that does this and nothing else


def actions(sent: str) -> tuple[Action, ...]:
    """Take a statement to pieces, or several that are sent at once."""
    found = tuple(action for each in statements(sent) for action in _of_statement(each))
    return found or (Action("other"),)


def _of_statement(statement: str) -> tuple[Action, ...]:
    bare = on_one_line(without_comments(statement))
    if re.fullmatch(_OTHERS["validate"], bare, _I):
        return (Action("validate", sql=bare),)
    if table := _TABLE.fullmatch(bare):
        begins = bare[: table.start(2)]
        return tuple(_alteration(table[1], part, begins + part) for part in split(table[2]))
    for kind, pattern in _OTHERS.items():
        if found := re.fullmatch(pattern, bare, _I):
            return (replace(_action(kind, found), sql=bare),)
    return (Action("other", sql=bare),)


def _alteration(table: str, part: str, sql: str) -> Action:
    for kind, pattern in _ALTERATIONS.items():
        if found := re.fullmatch(pattern, part, _I):
            return replace(_action(kind, found, table), sql=sql)
    return Action("other", _plain(table), sql=sql)


def _action(kind: str, found: "re.Match[str]", table: str = "") -> Action:
    groups = {name: (value or "").strip() for name, value in found.groupdict().items()}
    names = ("table", "column", "name", "other")
    told = {name: _plain(groups[name]) for name in names if groups.get(name)}
    if kind == "index":
        # Up to the last parenthesis: what comes after the first that closes is INCLUDE or WHERE.
        told["column"], _ = parenthesized(f"({told['column']})")
    return Action(kind, **{"table": _plain(table), **told, "text": groups.get("text", "")})


def _plain(name: str) -> str:
    return name.replace('"', "").strip()
