"""Operations on constraints."""

import re
from collections.abc import Iterator

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, RefusedError, differing
from project.schema.autogenerate.definitions import Constraint, parse, python, strings, with_
from project.schema.autogenerate.indexes import (
    let_go,
    on_all_parts,
    released,
    removed,
    repeating,
    set_up,
)
from project.schema.autogenerate.step import Code, Step, alter_table, call, execute, executed
from project.schema.autogenerate.text import (
    dotted,
    in_schema,
    literal,
    quoted,
    shown,
    sql_text,
    unquoted,
)
from project.schema.clause import clause
from project.schema.snapshot import Item, Key

#: A column, and no expression.
NAME = re.compile(r'\w+|"(?:[^"]|"")+"')

#: What a key says of when it is checked, which its index does not.
DEFERRING = {"deferrable", "initially"}


def inline(item: Item) -> str | None:
    """Write a constraint for ``op.create_table``; None where SQLAlchemy has no words for it."""
    constraint = parse(item)
    beside = ("storage parameters", "tablespace")
    if constraint is None or any(item.attributes.get(attribute) for attribute in beside):
        return None
    options = python(constraint.options)
    if constraint.options.get("postgresql_not_valid"):
        return None
    name = Code(f"op.f({literal(item.key.name[-1])})")
    if constraint.kind == "check":
        return call("sa.CheckConstraint", sql_text(constraint.columns[0]), name=name)
    if constraint.kind == "exclude":
        return call("postgresql.ExcludeConstraint", *_excluding(constraint), name=name, **options)
    columns = [literal(column) for column in constraint.columns]
    if constraint.kind == "foreign":
        if any("." in part for part in (*constraint.referred, *constraint.referred_columns)):
            return None
        prefix = "" if constraint.referred[0] == "public" else f"{constraint.referred[0]}."
        there = [
            literal(f"{prefix}{constraint.referred[-1]}.{c}") for c in constraint.referred_columns
        ]
        lists = (f"[{', '.join(columns)}]", f"[{', '.join(there)}]")
        return call("sa.ForeignKeyConstraint", *lists, name=name, **options)
    kind = {"primary": "sa.PrimaryKeyConstraint", "unique": "sa.UniqueConstraint"}[constraint.kind]
    return call(kind, *columns, name=name, **options)


def added(item: Item, change: Change) -> Iterator[Step]:
    """Add a constraint to a table that is there.

    Raises:
        RefusedError: what it refers to is lost.

    """
    yield from _made(item, change)
    yield from set_up(item)


def _made(item: Item, change: Change) -> Iterator[Step]:
    definition = clause(item)
    constraint = parse(item)
    online = change.online(item.key.name[:2])
    if constraint is not None and constraint.kind == "foreign":
        refuse_orphans(item, constraint, change)
        # It also locks the table that it refers to. That of a partitioned table can be validated
        # later since PostgreSQL 18.
        online = online or change.online(constraint.referred)
        online = online and not change.partitioned(item.key.name[:2])
    later = definition.endswith(("NOT VALID", "NOT ENFORCED"))
    keyed = constraint is not None and constraint.kind in {"primary", "unique"}
    if constraint is not None and keyed and change.concurrent(item.key.name[:2]):
        yield from through_an_index(item, constraint, item.key.name[-1], change)
    elif definition.startswith(("CHECK", "FOREIGN KEY")) and online and not later:
        yield from validated_later(item, constraint, item.key, change)
    elif constraint is None or _stored(item):
        why = _EXCLUDING if online and definition.startswith("EXCLUDE") else ""
        yield _as_sql(item, item.key, f"{definition}{_stored(item)}", why)
    else:
        add = operation(item.key, constraint)
        why = on_all_parts(item.key.name[:2], change)
        if online and constraint.kind == "exclude":
            why = _EXCLUDING
        again = _again(item.key, constraint, change) + add
        yield Step(add, rank.ADD_CONSTRAINT, why=why, again=again)


#: Said of an exclusion, whose index PostgreSQL does not take from somebody who has built it.
_EXCLUDING = "Reads the whole table while nobody can use it: PostgreSQL has no other way."


def refuse_orphans(item: Item, constraint: Constraint, change: Change) -> None:
    """Refuse a foreign key of rows that are there to a table that is not, and so has none."""
    known = [Key("column", (*item.key.name[:2], name)) for name in constraint.columns]
    lost = Key("table", constraint.referred) not in change.before.items
    if not lost or any(key not in change.before.items for key in known):
        return
    names, table = ", ".join(shown(key.name) for key in known), shown(constraint.referred)
    if change.back:
        raise RefusedError(f"The rows of {table} are gone, to which {names} refers.")
    if any(change.before.items[key].attributes["nullable"] for key in known):
        return  # all may be NULL
    raise RefusedError(
        f"{table} is new and has no rows, and those that are there refer to it by {names}: add"
        " it, and fill it, in migrations before."
    )


def _stored(item: Item) -> str:
    """Write how the index of a constraint is stored, where that is not as usual."""
    parameters, tablespace = (item.attributes.get(n) for n in ("storage parameters", "tablespace"))
    words = f" WITH ({', '.join(strings(parameters))})" if parameters else ""
    return words + (f" USING INDEX TABLESPACE {tablespace}" if tablespace else "")


def _as_sql(item: Item, key: Key, definition: str, why: str = "") -> Step:
    table, name = dotted(item.key.name[:2]), quoted(key.name[-1])
    add = f"ADD CONSTRAINT {name} {definition}"
    return execute(
        f"ALTER TABLE {table} {add}",
        rank.ADD_CONSTRAINT,
        why=why,
        again=f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, {add}",
    )


def operation(key: Key, constraint: Constraint, **more: object) -> str:
    """Write what adds a constraint, at once and as it is."""
    *schema, table, name = key.name
    named = (f"op.f({literal(name)})", literal(table))
    options = {**python(constraint.options), **more}
    if constraint.kind == "exclude":
        listed = ", ".join(_excluding(constraint))
        schema_ = in_schema(schema)
        return call("op.create_exclude_constraint", *named, listed, **options, schema=schema_)
    listed = f"[{', '.join(map(literal, constraint.columns))}]"
    if constraint.kind == "foreign":
        *referred, other = constraint.referred
        return call(
            "op.create_foreign_key",
            *(*named, literal(other), listed),
            f"[{', '.join(map(literal, constraint.referred_columns))}]",
            **options,
            source_schema=in_schema(schema),
            referent_schema=in_schema(referred),
        )
    if constraint.kind == "check":
        listed = sql_text(constraint.columns[0])
    function = {
        "check": "op.create_check_constraint",
        "primary": "op.create_primary_key",
        "unique": "op.create_unique_constraint",
    }[constraint.kind]
    return call(function, *named, listed, **options, schema=in_schema(schema))


def _excluding(constraint: Constraint) -> list[str]:
    """Write what an exclusion compares, each with its operator."""
    return [
        f"(sa.{'column' if NAME.fullmatch(part) else 'literal_column'}"
        f"({literal(unquoted(part))}), {literal(operator)})"
        for part, operator in constraint.excluding
    ]


def drop(key: Key, kind: str, *, if_exists: bool | None = None) -> str:
    """Write what drops a constraint."""
    *schema, table, name = key.name
    return call(
        "op.drop_constraint",
        f"op.f({literal(name)})",
        literal(table),
        type_={"foreign": "foreignkey", "exclude": None}.get(kind, kind) or None,
        if_exists=if_exists,
        schema=in_schema(schema),
    )


def _again(key: Key, constraint: Constraint, change: Change) -> str:
    """Write what drops a constraint that a failed try has made; one that was there is gone."""
    if key in change.before.items:
        return ""
    return f"{drop(key, constraint.kind, if_exists=True)}\n"


def validated_later(
    item: Item, constraint: Constraint | None, key: Key, change: Change
) -> Iterator[Step]:
    """Add a constraint in an instant, and look at the rows while requests go on."""
    if constraint is None:
        yield _as_sql(item, key, f"{clause(item)} NOT VALID")
    else:
        add = operation(key, constraint, postgresql_not_valid=True)
        yield Step(add, rank.ADD_CONSTRAINT, again=_again(key, constraint, change) + add)
    why = _refusing(item, constraint) if constraint else ""
    yield alter_table(
        key, f"VALIDATE CONSTRAINT {quoted(key.name[-1])}", rank.VALIDATE, alone=True, why=why
    )


def _refusing(item: Item, constraint: Constraint) -> str:
    """Say which rows would refuse, and how to look for them before."""
    table = dotted(item.key.name[:2])
    if constraint.kind == "check":
        condition = " ".join(constraint.columns[0].split())
        return f"assumes: no rows like: SELECT * FROM {table} WHERE NOT ({condition})"
    joined = " AND ".join(
        f"there.{quoted(b)} = here.{quoted(a)}"
        for a, b in zip(constraint.columns, constraint.referred_columns, strict=True)
    )
    given = " AND ".join(f"here.{quoted(column)} IS NOT NULL" for column in constraint.columns)
    return (
        f"assumes: no rows like: SELECT * FROM {table} AS here WHERE {given}\n"
        f"AND NOT EXISTS (SELECT FROM {dotted(constraint.referred)} AS there WHERE {joined})"
    )


def is_made(key: Key, change: Change) -> bool:
    """Tell whether a constraint is another one afterwards, or new."""
    before = change.before.items.get(key)
    return before is None or "definition" in differing(before, change.after.items[key])


def through_an_index(
    item: Item, constraint: Constraint, name: str, change: Change
) -> Iterator[Step]:
    """Build the index of a unique constraint or primary key beside running requests.

    Args:
        item: The constraint.
        constraint: What it says.
        name: Of the index, which takes the constraint's name in the end.
        change: What the constraint is part of.

    """
    *schema, table, own = item.key.name
    options = {k: v for k, v in constraint.options.items() if k not in DEFERRING}
    without = f"DROP CONSTRAINT IF EXISTS {quoted(own)}"
    if name == own:
        # Of a try that failed after it; its index cannot be dropped alone.
        for statement in let_go(item.key, change):
            yield execute(statement, rank.CREATE_INDEX, alone=True)
        yield alter_table(item.key, without, rank.CREATE_INDEX, alone=True)
    yield removed(Key("index", (*schema, table, name)), rank.CREATE_INDEX)
    yield Step(
        call(
            "op.create_index",
            *(f"op.f({literal(name)})", literal(table)),
            f"[{', '.join(map(literal, constraint.columns))}]",
            unique=True,
            **python(options),
            postgresql_with=with_(item.attributes.get("storage parameters")),
            postgresql_tablespace=item.attributes.get("tablespace"),
            postgresql_concurrently=True,
            schema=in_schema(schema),
        ),
        rank.CREATE_INDEX,
        alone=True,
        why=repeating(item, [quoted(column) for column in constraint.columns]),
    )
    words = "PRIMARY KEY" if constraint.kind == "primary" else "UNIQUE"
    ending = " DEFERRABLE" if constraint.options.get("deferrable") else ""
    ending += " INITIALLY DEFERRED" if constraint.options.get("initially") else ""
    replaced = f"{without}, " if name != own else ""
    add = f"ADD CONSTRAINT {quoted(own)} {words} USING INDEX {quoted(name)}{ending}"
    sql = f"ALTER TABLE {dotted(item.key.name[:2])} {replaced}{add}"
    # What refers to it since a failed try does not let it go.
    freed = let_go(item.key, change) if replaced else []
    yield execute(sql, rank.REQUIRE + 1, again=[*freed, sql] if freed else [])


def dropped(item: Item, change: Change) -> Iterator[Step]:
    """Drop a constraint."""
    constraint = parse(item)
    kind = constraint.kind if constraint else ""
    position = rank.DROP_FOREIGN_KEY if kind == "foreign" else rank.DROP_CONSTRAINT
    # What a failed try has made may have the same name, and be in use.
    freed = [executed(statement) for statement in let_go(item.key, change)]
    gone = Key("table", item.key.name[:2]) not in change.after.items
    again = executed(released(item.key)) if gone else drop(item.key, kind, if_exists=True)
    yield Step(drop(item.key, kind), position, again="\n".join([*freed, again]))
