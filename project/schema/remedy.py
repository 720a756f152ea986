"""The operation that would mend a difference: Alembic's where there is one, SQL where not."""

import re
from collections.abc import Callable, Mapping

from project.schema.quoting import quoted
from project.schema.snapshot import MISSING, Difference, Item, Key, Snapshot, Value

#: Kinds of which a difference between the whole items is mended by one statement of DROP, and which
#: cannot be made without all that their definition says, so that only a reader can.
DROPS = {
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

#: What one word after ALTER FUNCTION sets.
SETTINGS = {"volatility", "parallel", "cost", "rows"}


def remedy(difference: Difference, expected: Snapshot) -> str:
    """Write the operation that makes what was found what was expected.

    Args:
        difference: What differs.
        expected: The snapshot of the expected side, for the parts of a definition.

    Returns:
        A line of Python for a migration, or "" where it takes more than a line.

    """
    item = expected.items.get(difference.key)
    if difference.found is MISSING:
        return _create(item) if item else ""
    if difference.expected is MISSING:
        return _drop(difference.key)
    if item is None or difference.attribute is None:
        return ""
    if difference.attribute == "comment" and item.key.kind not in {"table", "column"}:
        return _commented(item, difference.expected)
    change = CHANGES.get((difference.key.kind, difference.attribute), _nothing)
    return change(item, difference.expected)


def _create(item: Item) -> str:
    kind, (*path, name) = item.key.kind, item.key.name
    attributes = item.attributes
    if kind == "column":
        *schema, table = path
        nullable = "" if attributes["nullable"] else ", nullable=False"
        return (
            f'op.add_column("{table}", sa.Column("{name}", <{attributes["type"]}>{nullable})'
            f"{_schema(schema)})"
        )
    if kind == "table":
        return f'op.create_table("{name}", …{_schema(path)})'
    if kind == "constraint":
        return _sql(f"ALTER TABLE {_dotted(path)} ADD CONSTRAINT {_quoted(name)} {clause(item)}")
    if kind == "index":
        unique = "UNIQUE " if attributes["unique"] else ""
        return _sql(
            f"CREATE {unique}INDEX {_quoted(name)} ON {_dotted(path)} {attributes['definition']}"
        )
    if kind in {"trigger", "rule"}:
        return _sql(str(attributes["definition"]))
    if kind == "view":
        word = "MATERIALIZED VIEW" if attributes["materialised"] else "VIEW"
        return _sql(f"CREATE {word} {_dotted(item.key.name)} AS {attributes['definition']}")
    if kind == "enum":
        values = attributes["values"]
        labels = ", ".join(map(_text, values)) if isinstance(values, tuple) else ""
        return _sql(f"CREATE TYPE {_dotted(item.key.name)} AS ENUM ({labels})")
    return ""


def clause(item: Item) -> str:
    """Write a constraint as CREATE TABLE takes it, after its name."""
    attributes = item.attributes
    parts = [str(attributes["definition"])]
    if attributes["deferrable"] != "no":
        parts.append(f"DEFERRABLE {str(attributes['deferrable']).upper()}")
    if not attributes["enforced"]:
        parts.append("NOT ENFORCED")
    elif not attributes["validated"]:
        parts.append("NOT VALID")
    return " ".join(parts)


def _drop(key: Key) -> str:
    kind, (*path, name) = key.kind, key.name
    *schema, table = path or [""]
    if kind == "column":
        return f'op.drop_column("{table}", "{name}"{_schema(schema)})'
    if kind == "table":
        return f'op.drop_table("{name}"{_schema(path)})'
    if kind == "constraint":
        return f'op.drop_constraint("{name}", "{table}"{_schema(schema)})'
    if kind == "index":
        return f'op.drop_index("{name}", table_name="{table}"{_schema(schema)})'
    if kind in {"trigger", "rule", "policy"}:
        return _sql(f"DROP {kind.upper()} {_quoted(name)} ON {_dotted(path)}")
    if kind == "view":
        return _sql(f"DROP VIEW {_dotted(key.name)}")
    if kind in DROPS:
        return _sql(f"DROP {DROPS[kind]} {_dotted(key.name)}")
    return ""


def _nothing(_item: Item, _value: object) -> str:
    return ""


def _altered(argument: str) -> Callable[[Item, object], str]:
    def alter(item: Item, value: object) -> str:
        *schema, table, column = item.key.name
        return (
            f'op.alter_column("{table}", "{column}", {argument}={_python(argument, value)}'
            f"{_schema(schema)})"
        )

    return alter


def _python(argument: str, value: object) -> str:
    if argument == "type_":
        return f"<{value}>"
    if argument == "server_default":
        return f"sa.text({value!r})" if value is not None else "None"
    return repr(value)


def _comment(item: Item, value: object) -> str:
    *schema, table = item.key.name
    if value is None:
        return f'op.drop_table_comment("{table}"{_schema(schema)})'
    return f'op.create_table_comment("{table}", {value!r}{_schema(schema)})'


def _commented(item: Item, value: object) -> str:
    kind, (*path, name) = item.key.kind, item.key.name
    text = "NULL" if value is None else _text(value)
    if kind in PARTS:
        return _sql(f"COMMENT ON {kind.upper()} {_quoted(name)} ON {_dotted(path)} IS {text}")
    if kind == "domain constraint":
        return _sql(f"COMMENT ON CONSTRAINT {_quoted(name)} ON DOMAIN {_dotted(path)} IS {text}")
    if kind == "index":
        return _sql(f"COMMENT ON INDEX {_dotted([*path[:1], name])} IS {text}")
    if kind == "view":
        word = "MATERIALIZED VIEW" if item.attributes["materialised"] else "VIEW"
        return _sql(f"COMMENT ON {word} {_dotted(item.key.name)} IS {text}")
    if kind in DROPS:
        return _sql(f"COMMENT ON {DROPS[kind]} {_dotted(item.key.name)} IS {text}")
    return ""


def _replace(item: Item, _value: object) -> str:
    drop = _drop(item.key)
    if item.attributes.get("materialised"):
        drop = drop.replace("DROP VIEW", "DROP MATERIALIZED VIEW")
    return f"{drop}; {_create(item)}"


def _validated(item: Item, value: object) -> str:
    *path, name = item.key.name
    if value:
        return _sql(f"ALTER TABLE {_dotted(path)} VALIDATE CONSTRAINT {_quoted(name)}")
    return _replace(item, value)


def _of_function(attribute: str) -> Callable[[Item, object], str]:
    def alter(item: Item, value: object) -> str:
        words = str(value) if attribute == "volatility" else f"{attribute} {value}"
        return _sql(f"ALTER ROUTINE {_dotted(item.key.name)} {words.upper()}")

    return alter


def _of_sequence(words: str) -> Callable[[Item, object], str]:
    def alter(item: Item, value: object) -> str:
        return _sql(f"ALTER SEQUENCE {_dotted(item.key.name)} {words.format(value)}")

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
    return _sql(f"ALTER TABLE {_dotted(item.key.name)} {ROW_SECURITY[str(value)]}")


def _persistence(item: Item, value: object) -> str:
    word = "LOGGED" if value == "permanent" else "UNLOGGED"
    return _sql(f"ALTER {item.key.kind.upper()} {_dotted(item.key.name)} SET {word}")


def _enabled(item: Item, value: object) -> str:
    *path, name = item.key.name
    word = ENABLED.get(str(value), "ENABLE ALWAYS")
    return _sql(f"ALTER TABLE {_dotted(path)} {word} {item.key.kind.upper()} {_quoted(name)}")


#: How an attribute of an item is changed.
CHANGES: Mapping[tuple[str, str], Callable[[Item, object], str]] = {
    ("column", "type"): _altered("type_"),
    ("column", "nullable"): _altered("nullable"),
    ("column", "default"): _altered("server_default"),
    ("column", "comment"): _altered("comment"),
    ("table", "comment"): _comment,
    ("constraint", "definition"): _replace,
    ("constraint", "deferrable"): _replace,
    ("constraint", "enforced"): _replace,
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
    ("view", "definition"): _replace,
    **{("function", attribute): _of_function(attribute) for attribute in sorted(SETTINGS)},
    ("index", "definition"): _replace,
    ("index", "unique"): _replace,
    ("trigger", "definition"): _replace,
    ("rule", "definition"): _replace,
}


def _schema(path: list[str]) -> str:
    return f', schema="{path[0]}"' if path and path[0] != "public" else ""


def _dotted(path: "list[str] | tuple[str, ...]") -> str:
    return ".".join(map(_quoted, path[1:] if len(path) > 1 and path[0] == "public" else path))


def _quoted(name: str) -> str:
    """Write a name in SQL; of a function or an operator class, with what belongs to it."""
    after = re.search(r"\(.*\)$| USING \w+$", name)
    return quoted(name[: after.start()]) + after[0] if after else quoted(name)


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _sql(statement: str) -> str:
    plain = '"' not in statement and "\\" not in statement and statement.isprintable()
    return f'op.execute("{statement}")' if plain else f"op.execute({statement!r})"


def shown(value: "Value | object") -> str:
    """Write an attribute's value for a person."""
    if value is None:
        return "none"
    if value is MISSING:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(shown(part) for part in value)
    return str(value)
