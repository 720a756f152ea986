"""Constraints and indexes, made while their table is in use."""

import re

from project.schema.autogenerate import constraints, indexes
from project.schema.autogenerate.definitions import parse, parse_index, python
from project.schema.autogenerate.step import call, executed
from project.schema.autogenerate.text import cut, dotted, in_schema, literal, quoted
from project.schema.clause import clause
from project.schema.hazards.actions import Action
from project.schema.hazards.rewrites.catalogs import (
    Catalogs,
    Path,
    alone,
    alter,
    path,
    required,
    validate,
)
from project.schema.snapshot import Item


def checked(action: Action, catalogs: Catalogs) -> str:
    """Add a check or a foreign key first, and look at the rows afterwards."""
    table = path(action.table)
    begins = "CHECK" if action.kind == "check" else "FOREIGN KEY"
    item = catalogs.made("constraint", table, action.name, begins)
    return not_valid(item) if item else ""


def not_valid(item: Item) -> str:
    """Write a check or a foreign key that is added without a look at the rows, and then one."""
    *table, name = item.key.name
    constraint = parse(item)
    if constraint is None:
        add = alter(tuple(table), f"ADD CONSTRAINT {quoted(name)} {clause(item)} NOT VALID")
    else:
        # What is named as written goes into no convention.
        add = constraints.operation(item.key, constraint, postgresql_not_valid=True)
    return f"{add}\n{validate(tuple(table), name)}"


def keyed(action: Action, catalogs: Catalogs) -> str:
    """Make a unique or a primary key of an index that was built beside everybody's work."""
    table = path(action.table)
    begins = "PRIMARY KEY" if action.kind == "primary key" else "UNIQUE"
    item = catalogs.made("constraint", table, action.name, begins)
    constraint = parse(item) if item else None
    if item is None or constraint is None:
        return ""
    name, options = item.key.name[-1], dict(constraint.options)
    late = [options.pop(word, None) for word in ("deferrable", "initially")]
    words = f"{' DEFERRABLE' if late[0] else ''}{' INITIALLY DEFERRED' if late[1] else ''}"
    nullable = [
        column
        for column in constraint.columns
        if begins == "PRIMARY KEY"
        and (was := catalogs.column(table, column, was=True))
        and was.attributes["nullable"]
    ]
    first = [required(table, column) for column in nullable]
    if catalogs.is_partitioned(table):
        return "\n".join([*first, _keyed_by_parts(item, table, constraint.columns, catalogs)])
    index = call(
        "op.create_index",
        *(f"op.f({literal(name)})", literal(table[1])),
        f"[{', '.join(map(literal, constraint.columns))}]",
        unique=True,
        **python(options),
        postgresql_concurrently=True,
        schema=in_schema(table),
    )
    add = alter(table, f"ADD CONSTRAINT {quoted(name)} {begins} USING INDEX {quoted(name)}{words}")
    return "\n".join([*first, alone(index), add])


def _keyed_by_parts(item: Item, table: Path, columns: tuple[str, ...], catalogs: Catalogs) -> str:
    name, definition = item.key.name[-1], str(item.attributes["definition"])
    kind = definition.partition(" (")[0]
    listed = f"[{', '.join(map(literal, columns))}]"
    lines = [
        executed(f"ALTER TABLE ONLY {dotted(table)} ADD CONSTRAINT {quoted(name)} {definition}")
    ]
    for part in catalogs.partitions(table):
        own = cut(f"{part[1]}_{name}")
        create = call(
            "op.create_index",
            *(f"op.f({literal(own)})", literal(part[1]), listed),
            unique=True,
            postgresql_concurrently=True,
            schema=in_schema(part),
        )
        using = f"ADD CONSTRAINT {quoted(own)} {kind} USING INDEX {quoted(own)}"
        lines += [alone(create), alter(part, using), _attached(table, name, part, own)]
    return "\n".join(lines)


def _attached(table: Path, name: str, part: Path, own: str) -> str:
    both = dotted((table[0], name)), dotted((part[0], own))
    return executed(f"ALTER INDEX {both[0]} ATTACH PARTITION {both[1]}")


def from_index(action: Action, catalogs: Catalogs) -> str:
    """Have the columns of an index promised before it becomes the primary key."""
    table = path(action.table)
    used = re.search(r'USING\s+INDEX\s+"?([\w$]+)"?', action.sql, re.IGNORECASE)
    index = next(
        (i for i in catalogs.parts("index", table) if used and i.key.name[-1] == used[1]), None
    )
    parsed = parse_index(index) if index else None
    columns = [part.strip('"') for part in parsed.parts] if parsed else []
    open_ones = [
        column
        for column in columns
        if (was := catalogs.column(table, column, was=True)) and was.attributes["nullable"]
    ]
    return "\n".join([*(required(table, column) for column in open_ones), executed(action.sql)])


def indexed(action: Action, catalogs: Catalogs, name: str = "") -> str:
    """Build an index beside everybody's work."""
    table = path(action.table)
    item = catalogs.made("index", table, (action.name or name).rpartition(".")[2])
    if item is None:
        return ""
    if catalogs.is_partitioned(table):
        return by_parts(item, table, catalogs)
    return alone(concurrently(item))


def concurrently(item: Item) -> str:
    """Write what builds an index beside everybody's work, for where nothing is in a transaction."""
    index, name = parse_index(item), item.key.name[-1]
    if index is not None:
        return indexes.operation(item, index, name, online=True)
    unique = "UNIQUE " if item.attributes["unique"] else ""
    where = f"{dotted(item.key.name[:2])} {item.attributes['definition']}"
    return executed(f"CREATE {unique}INDEX CONCURRENTLY {quoted(name)} ON {where}")


def by_parts(item: Item, table: Path, catalogs: Catalogs) -> str:
    """Build an index on one partition after another; PostgreSQL does not for the whole."""
    name, definition = item.key.name[-1], str(item.attributes["definition"])
    unique = "UNIQUE " if item.attributes["unique"] else ""
    lines = [executed(f"CREATE {unique}INDEX {quoted(name)} ON ONLY {dotted(table)} {definition}")]
    for part in catalogs.partitions(table):
        own = cut(f"{part[1]}_{name}")
        create = f"CREATE {unique}INDEX CONCURRENTLY {quoted(own)} ON {dotted(part)} {definition}"
        lines += [alone(executed(create)), _attached(table, name, part, own)]
    return "\n".join(lines)
