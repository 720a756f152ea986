"""Queries to run on production first: they count the rows on which a migration would fail."""

import re

from project.schema.hazards.actions import Action
from project.schema.pieces import split
from project.schema.reviewing.observation import Statement

#: How an index orders what it is on, and by which operators.
ORDER = re.compile(r"(\s+\w+_ops)?(\s+(ASC|DESC))?(\s+NULLS\s+(FIRST|LAST))?$", re.IGNORECASE)


def query(code: str, action: Action, statement: Statement) -> str:
    """Write the query that counts the rows which make it fail; "" where none can be written."""
    table, column = action.table, action.column
    if code == "may-fail-too-long":
        lengths = (
            f"octet_length({part.strip().split(' ')[0]}::text)" for part in column.split(",")
        )
        return f"SELECT max({' + '.join(lengths)}) FROM {table};  -- over 2,700 may fail"
    return _of_action(action, statement) or _of_nulls(code, action)


def _of_action(action: Action, statement: Statement) -> str:
    table, column = action.table, action.column
    if action.kind == "set not null":
        return f"SELECT count(*) FROM {table} WHERE {column} IS NULL;"
    if action.kind == "check":
        condition = re.sub(r"\s+NOT\s+VALID\s*$", "", action.text, flags=re.IGNORECASE)
        return f"SELECT count(*) FROM {table} WHERE NOT {condition};"
    if action.kind == "foreign key":
        mine = [part.strip() for part in column.split(",")]
        listed = re.match(r"\(([^)]*)\)", action.text)
        theirs = [part.strip() for part in listed[1].split(",")] if listed else ["id"]
        pairs = " AND ".join(f"o.{b} = t.{a}" for a, b in zip(mine, theirs, strict=False))
        present = " AND ".join(f"t.{a} IS NOT NULL" for a in mine)
        return (
            f"SELECT count(*) FROM {table} AS t WHERE {present}"
            f" AND NOT EXISTS (SELECT FROM {action.other} AS o WHERE {pairs});"
        )
    if action.kind in ("unique", "primary key", "index"):
        return _of_twins(action, statement)
    if action.kind in ("attach", "partition"):
        return _of_bounds(action)
    if action.kind == "type":
        target, *using = re.split(r"\s+(?:USING|COLLATE)\s", action.text, flags=re.IGNORECASE)
        if using and not re.fullmatch(rf"\W*{re.escape(column)}\W*::.*", using[0]):
            return ""  # an expression of its own
        if size := re.fullmatch(
            r"(?:VARCHAR|CHARACTER VARYING|CHAR)\s*\((\d+)\)", target, re.IGNORECASE
        ):
            return f"SELECT count(*) FROM {table} WHERE length({column}::text) > {size[1]};"
        return (
            f"SELECT {column} FROM {table} WHERE NOT pg_input_is_valid({column}::text, '{target}')"
            " LIMIT 10;  -- from PostgreSQL 16 on"
        )
    return ""


def _of_twins(action: Action, statement: Statement) -> str:
    parts = [ORDER.sub("", part.strip()) for part in split(action.column)]
    where = re.search(r"\bWHERE\b(.*)$", statement.sql, re.IGNORECASE | re.DOTALL)
    conditions = [f"({where[1].strip().rstrip(';')})"] if where and action.kind == "index" else []
    if not re.search(r"NULLS\s+NOT\s+DISTINCT", statement.sql, re.IGNORECASE):
        conditions += [f"{part} IS NOT NULL" for part in parts]
    only = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    listed = ", ".join(parts)
    return (
        f"SELECT {listed}, count(*) FROM {action.table}{only} GROUP BY {listed}"
        " HAVING count(*) > 1;"
    )


def _of_bounds(action: Action) -> str:
    """Count the rows out of bounds of a table to attach, or within those of a new partition."""
    column = action.column
    within = ""
    if found := re.match(r"FOR VALUES FROM \((.*?)\) TO \((.*?)\)", action.text, re.IGNORECASE):
        within = f"{column} >= {found[1]} AND {column} < {found[2]}"
    elif found := re.match(r"FOR VALUES IN \((.*)\)", action.text, re.IGNORECASE):
        within = f"{column} IN ({found[1]})"
    if not column or not within or re.search(r"MINVALUE|MAXVALUE", within, re.IGNORECASE):
        return ""
    if action.kind == "attach":
        return f"SELECT count(*) FROM {action.other} WHERE ({within}) IS NOT TRUE;"
    return f"SELECT count(*) FROM {action.table} WHERE {within};"


def _of_nulls(code: str, action: Action) -> str:
    if code == "may-fail-null" and action.table:
        return f"SELECT count(*) FROM {action.table} WHERE {action.column or '…'} IS NULL;"
    return ""
