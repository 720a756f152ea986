"""Operations that change an object where it is, one for each attribute that one statement sets."""

import re
from collections.abc import Callable, Mapping, Sequence

from project.schema.autogenerate import numbering
from project.schema.autogenerate.step import Code, call, executed, in_sql
from project.schema.autogenerate.text import in_schema, literal, quoted, string
from project.schema.snapshot import Item

#: What SQL calls objects of these kinds. To make one takes all that its definition says, which only
#: a reader can; to drop it, or to comment on it, takes a word.
CALLED = {
    "schema": "SCHEMA",
    "extension": "EXTENSION",
    "enum": "TYPE",
    "composite type": "TYPE",
    "range": "TYPE",
    "domain": "DOMAIN",
    "sequence": "SEQUENCE",
    "collation": "COLLATION",
    "statistics": "STATISTICS",
    "base type": "TYPE",
    "function": "ROUTINE",
    "aggregate": "ROUTINE",
    "event trigger": "EVENT TRIGGER",
    "publication": "PUBLICATION",
    "foreign data wrapper": "FOREIGN DATA WRAPPER",
    "foreign server": "SERVER",
    "language": "LANGUAGE",
    "access method": "ACCESS METHOD",
    "operator family": "OPERATOR FAMILY",
    "operator class": "OPERATOR CLASS",
    "conversion": "CONVERSION",
    "text search configuration": "TEXT SEARCH CONFIGURATION",
    "text search dictionary": "TEXT SEARCH DICTIONARY",
}

#: Kinds of parts of a table.
PARTS = {"constraint", "trigger", "rule", "policy"}

#: What a snapshot says of a default that counts.
NUMBERED = "next number"

#: What one word after ALTER FUNCTION sets.
SETTINGS = {"volatility", "parallel", "cost", "rows"}


def altered(item: Item, attribute: str, value: object) -> str:
    """Write what sets an attribute; "" where it takes more than a line.

    Args:
        item: As it is to be.
        attribute: Of that, what differs.
        value: As it is to be, too.

    """
    kind = item.key.kind
    if attribute == "comment" and kind not in {"table", "column"}:
        return _commented(item, value)
    change = CHANGES.get((kind, attribute))
    return change(item, value) if change else ""


def _altered(argument: str) -> Callable[[Item, object], str]:
    def alter(item: Item, value: object) -> str:
        *schema, table, column = item.key.name
        if value == NUMBERED:
            sequence = string(named(numbering.sequence_name(item)))
            return executed(
                f"ALTER TABLE {named([*schema, table])} ALTER COLUMN {part(column)}"
                f" SET DEFAULT nextval({sequence})"
            )
        new = in_sql(str(value)) if argument == "server_default" and value is not None else value
        return call(
            "op.alter_column",
            *(literal(table), literal(column)),
            **{argument: Code("None") if new is None else new},
            schema=in_schema(schema),
        )

    return alter


def _comment(item: Item, value: object) -> str:
    *schema, table = item.key.name
    if item.attributes["foreign"]:
        words = "NULL" if value is None else string(str(value))
        return executed(f"COMMENT ON FOREIGN TABLE {named(item.key.name)} IS {words}")
    if value is None:
        return call("op.drop_table_comment", literal(table), schema=in_schema(schema))
    return call("op.create_table_comment", literal(table), literal(value), schema=in_schema(schema))


def _commented(item: Item, value: object) -> str:
    kind, (*path, name) = item.key.kind, item.key.name
    text = "NULL" if value is None else string(str(value))
    if kind in PARTS:
        return executed(f"COMMENT ON {kind.upper()} {part(name)} ON {named(path)} IS {text}")
    if kind == "domain constraint":
        return executed(f"COMMENT ON CONSTRAINT {part(name)} ON DOMAIN {named(path)} IS {text}")
    if kind == "index":
        return executed(f"COMMENT ON INDEX {named([*path[:1], name])} IS {text}")
    if kind == "view":
        word = "MATERIALIZED VIEW" if item.attributes["materialised"] else "VIEW"
        return executed(f"COMMENT ON {word} {named(item.key.name)} IS {text}")
    if kind in CALLED:
        return executed(f"COMMENT ON {CALLED[kind]} {named(item.key.name)} IS {text}")
    return ""


def _validated(item: Item, _value: object) -> str:
    *path, name = item.key.name
    return executed(f"ALTER TABLE {named(path)} VALIDATE CONSTRAINT {part(name)}")


def _of_function(attribute: str) -> Callable[[Item, object], str]:
    def alter(item: Item, value: object) -> str:
        words = str(value) if attribute == "volatility" else f"{attribute} {value}"
        return executed(f"ALTER ROUTINE {named(item.key.name)} {words.upper()}")

    return alter


def _of_sequence(words: str) -> Callable[[Item, object], str]:
    def alter(item: Item, value: object) -> str:
        return executed(f"ALTER SEQUENCE {named(item.key.name)} {words.format(value)}")

    return alter


#: Row security as statements of ALTER TABLE.
ROW_SECURITY = {
    "off": "DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
    "enabled": "ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
    "forced": "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    "forced once enabled": "DISABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
}

ENABLED = {"origin": "ENABLE", "no": "DISABLE", "replica": "ENABLE REPLICA"}


def _row_security(item: Item, value: object) -> str:
    return executed(f"ALTER TABLE {named(item.key.name)} {ROW_SECURITY[str(value)]}")


def _persistence(item: Item, value: object) -> str:
    word = "LOGGED" if value == "permanent" else "UNLOGGED"
    return executed(f"ALTER {item.key.kind.upper()} {named(item.key.name)} SET {word}")


def _enabled(item: Item, value: object) -> str:
    *path, name = item.key.name
    word = ENABLED.get(str(value), "ENABLE ALWAYS")
    return executed(f"ALTER TABLE {named(path)} {word} {item.key.kind.upper()} {part(name)}")


#: How an attribute of an item is changed where it is.
CHANGES: Mapping[tuple[str, str], Callable[[Item, object], str]] = {
    ("column", "nullable"): _altered("nullable"),
    ("column", "default"): _altered("server_default"),
    ("column", "comment"): _altered("comment"),
    ("table", "comment"): _comment,
    ("constraint", "validated"): _validated,
    ("table", "row security"): _row_security,
    ("table", "persistence"): _persistence,
    ("sequence", "persistence"): _persistence,
    ("sequence", "type"): _of_sequence("AS {}"),
    ("sequence", "start"): _of_sequence("START {}"),
    ("sequence", "increment"): _of_sequence("INCREMENT {}"),
    ("sequence", "minimum"): _of_sequence("MINVALUE {}"),
    ("sequence", "maximum"): _of_sequence("MAXVALUE {}"),
    ("sequence", "cache"): _of_sequence("CACHE {}"),
    ("trigger", "enabled"): _enabled,
    ("rule", "enabled"): _enabled,
    **{("function", attribute): _of_function(attribute) for attribute in sorted(SETTINGS)},
}


def named(path: Sequence[str]) -> str:
    """Write the name of an object in SQL; what lies in ``public`` goes without its schema."""
    schemas = path[1:-1] if path[0] == "public" else path[:-1]
    return ".".join([*map(quoted, schemas), part(path[-1])])


def part(name: str) -> str:
    """Write a name in SQL; of a function or an operator class, with what belongs to it."""
    after = re.search(r"\(.*\)$| USING \w+$", name)
    return quoted(name[: after.start()]) + after[0] if after else quoted(name)
