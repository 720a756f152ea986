"""The operation that would mend a difference: Alembic's where there is one, SQL where not."""

import re

from project.schema.autogenerate import columns, constraints, indexes, types
from project.schema.autogenerate.definitions import parse, parse_index, strings
from project.schema.autogenerate.step import Code, call, executed
from project.schema.autogenerate.text import in_schema, literal, string
from project.schema.checking.amending import CALLED, altered, named, part
from project.schema.clause import clause
from project.schema.snapshot import MISSING, Difference, Item, Key, Snapshot

VALIDATED = ("constraint", "validated")

#: Attributes for whose sake an item is made anew.
REPLACED = {
    *(("constraint", attribute) for attribute in ("definition", "deferrable", "enforced")),
    *(("index", attribute) for attribute in ("definition", "unique")),
    *((kind, "definition") for kind in ("view", "trigger", "rule")),
}


def remedy(difference: Difference, expected: Snapshot, found: Snapshot) -> str:
    """Write the operation that makes what was found what was expected.

    Args:
        difference: What differs.
        expected: The snapshot of the expected side, for the parts of a definition.
        found: The other one.

    Returns:
        A line of Python for a migration, or "" where it takes more than a line.

    """
    item = expected.items.get(difference.key)
    if difference.found is MISSING:
        return _create(item, expected) if item else ""
    there = found.items.get(difference.key)
    if difference.expected is MISSING:
        return _drop(there) if there and not _inherited(there, found) else ""
    if item is None or difference.attribute is None:
        return ""
    changed = (item.key.kind, difference.attribute)
    if changed == ("column", "type"):
        return _retyped(item, str(difference.found), expected)
    if changed in REPLACED or (changed == VALIDATED and not difference.expected):
        return "" if _inherited(item, expected) else f"{_drop(item)}; {_create(item, expected)}"
    return altered(item, difference.attribute, difference.expected)


def _inherited(item: Item, snapshot: Snapshot) -> bool:
    """Tell whether a part of a table goes only with that of the table's parent."""
    table = snapshot.items.get(Key("table", item.key.name[:2]))
    partition = table is not None and table.attributes.get("partition of") is not None
    return bool(item.attributes.get("inherited")) or (item.key.kind == "index" and partition)


def _create(item: Item, expected: Snapshot) -> str:
    kind, (*path, name) = item.key.kind, item.key.name
    attributes = item.attributes
    if kind == "table":
        return call("op.create_table", literal(name), "…", schema=in_schema(path))
    if kind in {"column", "constraint", "index"}:
        return _add(item, expected)
    if kind in {"trigger", "rule"}:
        return executed(str(attributes["definition"]))
    if kind == "view":
        word = "MATERIALIZED VIEW" if attributes["materialised"] else "VIEW"
        return executed(f"CREATE {word} {named(item.key.name)} AS {attributes['definition']}")
    if kind == "enum":
        labels = ", ".join(map(string, strings(attributes["values"])))
        return executed(f"CREATE TYPE {named(item.key.name)} AS ENUM ({labels})")
    return ""


def _add(item: Item, expected: Snapshot) -> str:
    """Write what adds a part to a table, in SQL where Alembic has no words for it."""
    (*path, name), definition = item.key.name, item.attributes.get("definition")
    *schema, table = path
    if item.key.kind == "column":
        column = columns.written(item, expected)
        if column is None:
            return executed(f"ALTER TABLE {named(path)} ADD COLUMN {columns.spelled(item)}")
        return call("op.add_column", literal(table), column, schema=in_schema(schema))
    if item.key.kind == "constraint":
        constraint = parse(item)
        if constraint is None:
            add = f"ADD CONSTRAINT {part(name)} {clause(item)}"
            return executed(f"ALTER TABLE {named(path)} {add}")
        return constraints.operation(item.key, constraint)
    index = parse_index(item)
    if index is None:
        unique = "UNIQUE " if item.attributes["unique"] else ""
        return executed(f"CREATE {unique}INDEX {part(name)} ON {named(path)} {definition}")
    return indexes.operation(item, index, name, online=False)


def _drop(item: Item) -> str:
    key = item.key
    kind, (*path, name) = key.kind, key.name
    *schema, table = path or [""]
    if kind == "column":
        return call("op.drop_column", literal(table), literal(name), schema=in_schema(schema))
    if kind == "table":
        return call("op.drop_table", literal(name), schema=in_schema(path))
    if kind == "constraint":
        return call("op.drop_constraint", literal(name), literal(table), schema=in_schema(schema))
    if kind == "index":
        return call("op.drop_index", literal(name), table_name=table, schema=in_schema(schema))
    if kind in {"trigger", "rule", "policy"}:
        return executed(f"DROP {kind.upper()} {part(name)} ON {named(path)}")
    if kind == "view":
        word = "MATERIALIZED VIEW" if item.attributes["materialised"] else "VIEW"
        return executed(f"DROP {word} {named(key.name)}")
    if kind in CALLED:
        return executed(f"DROP {CALLED[kind]} {named(key.name)}")
    return ""


TEXTS = {"text", "character varying", "character"}

#: Types that the server turns into each other by itself, when a column changes its own.
FAMILIES = ({"smallint", "integer", "bigint", "numeric", "real", "double precision"}, TEXTS)


def _retyped(item: Item, found: str, expected: Snapshot) -> str:
    *schema, table, column = item.key.name
    printed, collation = str(item.attributes["type"]), item.attributes.get("collation")
    type_ = types.expression(printed, expected, str(collation) if collation else None)
    bare, other = (re.sub(r"\(.*?\)", "", name) for name in (printed, found))
    alike = bare == other or any({bare, other} <= family for family in FAMILIES)
    cast = f"{part(column)}::{printed}" if {bare, other} & TEXTS else "…"
    using = "" if alike else cast
    if type_ is None:
        words = f"{printed} COLLATE {collation}" if collation else printed
        return executed(
            f"ALTER TABLE {named([*schema, table])} ALTER COLUMN {part(column)} TYPE {words}"
            + (f" USING {using}" if using else "")
        )
    return call(
        "op.alter_column",
        *(literal(table), literal(column)),
        type_=Code(type_),
        postgresql_using=using or None,
        schema=in_schema(schema),
    )
