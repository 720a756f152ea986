"""Operations on indexes."""

import re
from collections.abc import Collection, Iterator, Sequence

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, Path, RefusedError, differing
from project.schema.autogenerate.definitions import (
    Index,
    parse_index,
    python,
    strings,
)
from project.schema.autogenerate.parameters import options
from project.schema.autogenerate.step import Step, alter_table, call, execute
from project.schema.autogenerate.text import (
    cut,
    dotted,
    in_schema,
    literal,
    quoted,
    sql_text,
    string,
    unquoted,
)
from project.schema.snapshot import Item, Key, Value

#: A part of an index that is just a column.
COLUMN = re.compile(r'"(?:[^"]|"")*"|[a-z_][a-z0-9_$]*')

#: What may follow the expression in a part of an index.
TAIL = re.compile(r"( COLLATE \S+| [\w.]+_ops(\(.*\))?| DESC| NULLS FIRST| NULLS LAST)+$")


def added(item: Item, change: Change) -> Iterator[Step]:
    """Create an index; under traffic beside running requests."""
    yield from _made(item, change, item.key.name[-1])
    yield from set_up(item)


def _made(item: Item, change: Change, name: str) -> Iterator[Step]:
    *schema, table, _ = item.key.name
    online = change.concurrent(item.key.name[:2])
    # The server prints ONLY of any index of a partitioned table; one that is complete is not.
    only = bool(item.attributes.get("on this table only")) and not item.attributes["valid"]
    index = parse_index(item)
    if index is None or only:
        yield _as_sql(item, name, only=only)
        return
    if online:
        if name == item.key.name[-1]:
            for statement in let_go(item.key, change):
                yield execute(statement, rank.CREATE_INDEX, alone=True)
        yield removed(Key("index", (*schema, table, name)), rank.CREATE_INDEX)
    create = operation(item, index, name, online=online)
    why = repeating(item, index.parts, index) if online and item.attributes["unique"] else ""
    why = why or on_all_parts(item.key.name[:2], change)
    again = "" if online else f"{_drop(item.key, if_exists=True)}\n{create}"
    yield Step(create, _rank(item, change), alone=online, why=why, again=again)


def on_all_parts(table: Path, change: Change) -> str:
    """Say that something is built on all parts of a table, and who waits for it."""
    if not (change.online(table) and change.partitioned(table)):
        return ""
    return "On all partitions, while nobody can write: PostgreSQL has no other way for all at once."


def operation(item: Item, index: Index, name: str, *, online: bool) -> str:
    """Write what creates an index, beside running requests or not."""
    *schema, table, _ = item.key.name
    return call(
        "op.create_index",
        *(f"op.f({literal(name)})", literal(table), f"[{', '.join(map(_part, index.parts))}]"),
        unique=True if item.attributes["unique"] else None,
        postgresql_using=index.method if index.method != "btree" else None,
        **python(index.options),
        postgresql_tablespace=item.attributes.get("tablespace"),
        postgresql_concurrently=True if online else None,
        schema=in_schema(schema),
    )


def _as_sql(item: Item, name: str, *, only: bool) -> Step:
    unique = "UNIQUE " if item.attributes["unique"] else ""
    table = f"{'ONLY ' if only else ''}{dotted(item.key.name[:2])}"
    head, where, condition = str(item.attributes["definition"]).partition(" WHERE ")
    storage = ", ".join(strings(item.attributes.get("storage parameters")))
    definition = f"{head}{f' WITH ({storage})' if storage else ''}{where}{condition}"
    create = f"CREATE {unique}INDEX {{}}{quoted(name)} ON {table} {definition}"
    plain, again = (create.replace("{}", word, 1) for word in ("", "IF NOT EXISTS "))
    return execute(plain, rank.CREATE_INDEX, again=again)


def _part(part: str) -> str:
    return literal(unquoted(part)) if COLUMN.fullmatch(part) else f"sa.text({sql_text(part)})"


def _rank(item: Item, change: Change) -> int:
    if Key("view", item.key.name[:2]) in change.after.items:
        return rank.CREATE_PROGRAM + 1
    existed = Key("table", item.key.name[:2]) in change.before.items
    return rank.CREATE_INDEX if existed else rank.CREATE_TABLE + 1


#: What a statement after CREATE INDEX says of an index, or of the one of a constraint.
LATER = ("statistics targets", "clustered", "replica identity", "comment of index", "comment")


def set_up(item: Item, names: Collection[str] = LATER) -> Iterator[Step]:
    """Say of an index or a constraint what its definition does not.

    Args:
        item: The index or constraint.
        names: The attributes that are not as they are to be; all, of one that was just made, but
            then not those that go without saying.

    """
    name = quoted(item.key.name[-1])
    new = names is LATER
    for attribute in LATER:
        value = item.attributes.get(attribute)
        if attribute not in names or (new and not value):
            continue
        if attribute == "statistics targets":
            yield from _targets(item)
        elif attribute == "clustered":
            words = f"CLUSTER ON {name}" if value else "SET WITHOUT CLUSTER"
            yield alter_table(item.key, words, rank.COMMENT)
        elif attribute == "replica identity" and value:
            yield alter_table(item.key, f"REPLICA IDENTITY USING INDEX {name}", rank.COMMENT)
        elif attribute == "comment of index":
            index = Key("index", item.key.name)
            yield _commented(index, value)
        elif attribute == "comment":
            yield _commented(item.key, value)


def _targets(item: Item) -> Iterator[Step]:
    name = dotted((item.key.name[0], item.key.name[-1]))
    for entry in strings(item.attributes.get("statistics targets")):
        column, _, target = entry.rpartition(" ")
        words = f"ALTER COLUMN {_position(item, column)} SET STATISTICS {target}"
        yield execute(f"ALTER INDEX {name} {words}", rank.COMMENT)


def _position(item: Item, column: str) -> int:
    """Return the number of an index's column, which PostgreSQL calls ``expr`` if it is none."""
    index = parse_index(item)
    parts = index.parts if index else ()
    expressions = [number for number, part in enumerate(parts, 1) if "(" in part]
    return expressions[0] if column.startswith("expr") and expressions else 1


def repeating(item: Item, parts: Sequence[str], index: Index | None = None) -> str:
    """Say which rows would refuse a unique index, and how to look for them before."""
    values = [TAIL.sub("", part) for part in parts]
    definition = str(item.attributes["definition"])
    conditions = [f"{value} IS NOT NULL" for value in values]
    if "NULLS NOT DISTINCT" in definition or definition.startswith("PRIMARY KEY"):
        conditions = []
    if index is not None and index.condition:
        conditions.append(index.condition)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    listed = ", ".join(values)
    return (
        f"assumes: no rows repeat: SELECT {listed} FROM {dotted(item.key.name[:2])}{where}"
        f" GROUP BY {listed} HAVING count(*) > 1"
    )


def _commented(key: Key, comment: Value) -> Step:
    text = "NULL" if comment is None else string(str(comment))
    what = f"INDEX {dotted((key.name[0], key.name[-1]))}"
    if key.kind == "constraint":
        what = f"CONSTRAINT {quoted(key.name[-1])} ON {dotted(key.name[:2])}"
    return execute(f"COMMENT ON {what} IS {text}", rank.COMMENT)


def let_go(key: Key, change: Change) -> list[str]:
    """Write the statements by which foreign keys of a failed try let go of a key or an index."""
    return [
        released(other)
        for other, built in sorted(change.built_after.items())
        if key in built
        and other.kind == "constraint"
        and other not in change.before.items
        and other in change.after.items  # not one that a partition has of its parent
    ]


def released(constraint: Key) -> str:
    """Write the statement by which a table, if it is there, lets go of a constraint."""
    drop = f"DROP CONSTRAINT IF EXISTS {quoted(constraint.name[-1])}"
    return f"ALTER TABLE IF EXISTS {dotted(constraint.name[:2])} {drop}"


def removed(key: Key, position: int) -> Step:
    """Drop an index beside running requests; also what a try that failed left, half built."""
    drop = _drop(key, concurrently=True, if_exists=True)
    return Step(drop, position, alone=True)


def _drop(key: Key, *, concurrently: bool | None = None, if_exists: bool | None = None) -> str:
    *schema, table, name = key.name
    return call(
        "op.drop_index",
        f"op.f({literal(name)})",
        table_name=table,
        postgresql_concurrently=concurrently,
        if_exists=if_exists,
        schema=in_schema(schema),
    )


def dropped(item: Item, change: Change) -> Iterator[Step]:
    """Drop an index; under traffic without a lock that others wait for."""
    if change.concurrent(item.key.name[:2]):
        position = rank.CREATE_INDEX - 1
        constraint = Key("constraint", item.key.name)
        if constraint in change.after.items:
            # Of a try that failed after it; its index cannot be dropped alone.
            for statement in let_go(constraint, change):
                yield execute(statement, position, alone=True)
            drop = f"DROP CONSTRAINT IF EXISTS {quoted(item.key.name[-1])}"
            yield alter_table(constraint, drop, position, alone=True)
        yield removed(item.key, position)
    else:
        yield Step(_drop(item.key), rank.DROP_INDEX, again=_drop(item.key, if_exists=True))


def altered(before: Item, after: Item, change: Change) -> Iterator[Step] | None:
    """Change an index in place; None where it must be made anew.

    Raises:
        RefusedError: it is to be invalid, which no operation makes it.

    """
    names = differing(before, after)
    if not after.attributes["valid"]:
        raise RefusedError(f"{after.key} is invalid after it; no operation makes such an index.")
    if not names <= {*LATER, "storage parameters"}:
        needed = any(
            before.key in built and key.kind == "constraint"
            for key, built in change.built_before.items()
        )
        anew = needed or names & {"valid", "on this table only"} or parse_index(after) is None
        if anew or not change.concurrent(after.key.name[:2]):
            return None
        return _replaced(before, after, change)
    steps = list(set_up(after, names))
    if "storage parameters" in names:
        old, new = (item.attributes.get("storage parameters") for item in (before, after))
        index = dotted((after.key.name[0], after.key.name[-1]))
        steps.append(execute(f"ALTER INDEX {index} {options(old, new)}", rank.ALTER_TABLE))
    return iter(steps)


def _replaced(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Build the new index before the old one goes, so that queries always have one."""
    name = cut(f"{after.key.name[-1]}_new")
    yield from _made(after, change, name)
    yield removed(before.key, rank.CREATE_INDEX)
    other = dotted((after.key.name[0], name))
    yield execute(
        f"ALTER INDEX IF EXISTS {other} RENAME TO {quoted(after.key.name[-1])}",
        rank.CREATE_INDEX,
        alone=True,
    )
    yield from set_up(after)
