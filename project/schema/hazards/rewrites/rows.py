"""Rows that are changed a few thousand at a time, and tables that become partitions."""

import re

from project.schema.autogenerate.step import executed
from project.schema.autogenerate.text import cut, dotted, literal, quoted, sql_text
from project.schema.hazards.actions import Action
from project.schema.hazards.rewrites.catalogs import (
    Catalogs,
    alone,
    alter,
    drop_constraint,
    path,
    validate,
)

#: Rows of one transaction.
SIZE = 5000

#: What stands for values that a driver sends beside the statement.
PARAMETER = re.compile(r"%\(\w+\)s|%s|\$\d")

#: What ends the part of a statement that says what is done.
WORD = re.compile(r"(WHERE|RETURNING)\b", re.IGNORECASE)

LOOP = (
    "# in a revision of its own, and within op.get_context().autocommit_block(): there each\n"
    "# statement commits by itself; let it change some thousand rows by their key at a time"
)

TARGET = re.compile(
    r"(?:UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?(?P<name>[\w.\"]+)"
    r"(?:\s+(?:AS\s+)?(?!SET\b|WHERE\b|USING\b|RETURNING\b)(?P<alias>[\w\"]+))?",
    re.IGNORECASE,
)


def in_parts(action: Action, catalogs: Catalogs) -> str:
    """Send a statement for a part of the rows at a time, by their key."""
    table = path(action.table)
    key = catalogs.key(table)
    target = TARGET.match(action.sql)
    if PARAMETER.search(action.sql) or not key or target is None:
        return LOOP
    name = target["alias"] or target["name"]
    column = quoted(key[0])
    chosen = f"{name}.{column} BETWEEN :first AND :last"
    head, condition, tail = _taken_apart(action.sql)
    where = f"({condition.strip()}) AND {chosen}" if condition else chosen
    parts = (
        f"SELECT (array_agg({column} ORDER BY {column}))[1],"
        f" (array_agg({column} ORDER BY {column} DESC))[1]"
        f" FROM (SELECT {column}, (dense_rank() OVER (ORDER BY {column}) - 1) / {SIZE} AS part"
        f" FROM {dotted(table)}) AS numbered GROUP BY part ORDER BY part"
    )
    statement = sql_text(f"{head.strip()} WHERE {where}{tail}")
    for bound in (":first", ":last"):
        statement = statement.replace(f"\\\\{bound}", bound)
    return "\n".join(
        (
            "# best in a revision of its own: each part commits by itself",
            "bind = op.get_bind()",
            f"parts = bind.execute(sa.text({literal(parts)})).all()",
            alone(
                "for first, last in parts:",
                f"    part = sa.text({statement})",
                '    bind.execute(part, {"first": first, "last": last})',
            ),
        )
    )


def _taken_apart(sql: str) -> tuple[str, str, str]:
    """Split a statement at its own WHERE and RETURNING, not at those of a query within it."""
    depth, inside, places = 0, "", {"WHERE": len(sql), "RETURNING": len(sql)}
    for place, character in enumerate(sql):
        if inside:
            inside = "" if character == inside else inside
        elif character in "'\"":
            inside = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif not depth and (word := WORD.match(sql, place)) and sql[place - 1].isspace():
            places[word[1].upper()] = min(places[word[1].upper()], place)
    where, end = min(places.values()), places["RETURNING"]
    tail = f" {sql[end:]}" if end < len(sql) else ""
    return sql[:where], sql[where:end][len("WHERE") :], tail


def attached(action: Action, catalogs: Catalogs) -> str:
    """Have it known before that all rows are in bounds, and none of the DEFAULT partition is."""
    table = path(action.table)
    other, within = path(action.other), _within(action, catalogs)
    if not within:
        return ""
    default = _default(table, catalogs)
    lines: list[str] = []
    helpers: list[str] = []
    if action.kind == "attach":
        name = cut(f"{other[1]}_bounds")
        add = f"ADD CONSTRAINT {quoted(name)} CHECK ({within}) NOT VALID"
        lines += [alter(other, add), validate(other, name)]
        helpers.append(drop_constraint(other, name))
    if default:
        apart = cut(f"{default[1]}_without_{other[1]}")
        add = f"ADD CONSTRAINT {quoted(apart)} CHECK (NOT ({within})) NOT VALID"
        lines += [alter(default, add), validate(default, apart)]
        helpers.append(drop_constraint(default, apart))
    return "\n".join([*lines, executed(action.sql), *helpers])


def _default(table: tuple[str, ...], catalogs: Catalogs) -> tuple[str, ...] | None:
    for part in catalogs.partitions(table):
        for item in catalogs.before.of_kind("table"):
            if item.key.name == part and item.attributes["partition"] == "DEFAULT":
                return part
    return None


def _within(action: Action, catalogs: Catalogs) -> str:
    """Write the bounds of a partition as a condition; "" if they are not of one column."""
    parent = next(
        (i for i in catalogs.before.of_kind("table") if i.key.name == path(action.table)), None
    )
    by = str(parent.attributes["partitioned by"]) if parent else ""
    column = re.fullmatch(r'(?:RANGE|LIST) \(("?[\w$]+"?)\)', by)
    if column is None:
        return ""
    there = f"{column[1]} IS NOT NULL AND "
    if found := re.match(r"FOR VALUES FROM \((.*?)\) TO \((.*?)\)", action.text, re.IGNORECASE):
        low, high = (None if "VALUE" in end.upper() else end for end in found.groups())
        parts = [f"{column[1]} >= {low}" if low else "", f"{column[1]} < {high}" if high else ""]
        return there + " AND ".join(filter(None, parts))
    if found := re.match(r"FOR VALUES IN \((.*)\)", action.text, re.IGNORECASE):
        return f"{there}{column[1]} IN ({found[1]})"
    return ""


def of_domain(action: Action, catalogs: Catalogs) -> str:
    """Say of each column of a domain what the domain would, without a look at the rows."""
    name = ".".join(path(action.table))
    text = action.text
    condition = "VALUE IS NOT NULL"
    if found := re.search(r"\bCHECK\s*\((.*)\)", text, re.IGNORECASE | re.DOTALL):
        condition = found[1]
    elif not re.fullmatch(r"SET\s+NOT\s+NULL", text.strip(), re.IGNORECASE):
        return ""
    lines = ["# the domain stays as it is, and what has columns of it gets a check of its own:"]
    for item in catalogs.before.of_kind("column"):
        *table, column = item.key.name
        if str(item.attributes["type"]) in (name, name.removeprefix("public.")):
            own = cut(f"{table[1]}_{column}_check")
            said = re.sub(r"\bVALUE\b", quoted(column), condition)
            add = f"ADD CONSTRAINT {quoted(own)} CHECK ({said}) NOT VALID"
            lines += [alter(tuple(table), add), validate(tuple(table), own)]
    return "\n".join(lines) if len(lines) > 1 else ""
