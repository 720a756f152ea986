"""Operations on what is neither a table nor part of one: types, sequences, views, functions, …

Alembic has none, so they are statements; each is one line or the text that the server prints.
"""

from collections.abc import Callable, Iterator, Mapping

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, RefusedError
from project.schema.autogenerate.columns import counted, counting, options
from project.schema.autogenerate.constraints import path
from project.schema.autogenerate.step import Step, execute
from project.schema.autogenerate.text import dotted, quoted, string
from project.schema.snapshot import Item, Key, Value

#: What ``COMMENT ON``, ``DROP`` and ``ALTER`` call a kind.
WORDS: Mapping[str, str] = {
    "schema": "SCHEMA",
    "extension": "EXTENSION",
    "enum": "TYPE",
    "domain": "DOMAIN",
    "composite type": "TYPE",
    "range": "TYPE",
    "collation": "COLLATION",
    "sequence": "SEQUENCE",
    "statistics": "STATISTICS",
    "event trigger": "EVENT TRIGGER",
    "trigger": "TRIGGER",
    "rule": "RULE",
    "policy": "POLICY",
}

DROP_RANKS: Mapping[str, int] = {
    "schema": rank.DROP_SCHEMA,
    "extension": rank.DROP_EXTENSION,
    "enum": rank.DROP_TYPE,
    "domain": rank.DROP_TYPE,
    "domain constraint": rank.DROP_CONSTRAINT,
    "composite type": rank.DROP_TYPE,
    "range": rank.DROP_TYPE,
    "collation": rank.DROP_TYPE,
    "sequence": rank.DROP_SEQUENCE,
    "statistics": rank.DROP_STATISTICS,
    "function": rank.DROP_FUNCTION,
}


def named(item: Item) -> str:
    """Write what an object is called in ``DROP``, ``COMMENT ON`` and ``ALTER``."""
    key = item.key
    if key.kind in {"trigger", "rule", "policy"}:
        return f"{WORDS[key.kind]} {quoted(key.name[-1])} ON {dotted(key.name[:2])}"
    if key.kind == "function":
        kind = {"procedure": "PROCEDURE", "aggregate": "AGGREGATE"}.get(
            str(item.attributes.get("kind")), "FUNCTION"
        )
        name, parenthesis, arguments = key.name[-1].partition("(")
        schema = "" if key.name[0] == "public" else f"{quoted(key.name[0])}."
        return f"{kind} {schema}{quoted(name)}{parenthesis}{arguments}"
    if key.kind == "view":
        kind = "MATERIALIZED VIEW" if item.attributes.get("materialised") else "VIEW"
        return f"{kind} {dotted(key.name)}"
    if key.kind == "domain constraint":
        return f"CONSTRAINT {quoted(key.name[-1])} ON DOMAIN {dotted(key.name[:2])}"
    if len(key.name) == 1:
        return f"{WORDS[key.kind]} {quoted(key.name[0])}"
    return f"{WORDS[key.kind]} {dotted(key.name)}"


def dropped(item: Item) -> Iterator[Step]:
    """Drop an object."""
    if item.key.kind == "domain constraint":
        yield execute(
            f"ALTER DOMAIN {dotted(item.key.name[:2])} DROP CONSTRAINT {quoted(item.key.name[-1])}",
            rank.DROP_CONSTRAINT,
        )
        return
    kind, _, rest = named(item).partition(" ")
    if kind in {"EVENT", "MATERIALIZED"}:
        second, _, rest = rest.partition(" ")
        kind = f"{kind} {second}"
    position = DROP_RANKS.get(item.key.kind, rank.DROP_PROGRAM)
    yield execute(f"DROP {kind} {rest}", position, again=f"DROP {kind} IF EXISTS {rest}")


def created(item: Item, change: Change) -> Iterator[Step]:
    """Create an object with its comment.

    Raises:
        RefusedError: there is no statement that the catalog tells of.

    """
    make = MAKERS.get(item.key.kind)
    if make is None:
        raise RefusedError(f"Nothing is known of how to make {item.key}; write that step by hand.")
    yield from make(item, change)
    if item.attributes.get("comment") is not None:
        yield commented(item)


def commented(item: Item) -> Step:
    """Comment on an object."""
    comment = item.attributes.get("comment")
    text = "NULL" if comment is None else string(str(comment))
    return execute(f"COMMENT ON {named(item)} IS {text}", rank.COMMENT)


def _schema(item: Item, _: Change) -> Iterator[Step]:
    name = quoted(item.key.name[0])
    yield execute(
        f"CREATE SCHEMA {name}", rank.CREATE_SCHEMA, again=f"CREATE SCHEMA IF NOT EXISTS {name}"
    )


def _extension(item: Item, _: Change) -> Iterator[Step]:
    name, schema = quoted(item.key.name[0]), item.attributes.get("schema")
    place = f" SCHEMA {quoted(str(schema))}" if schema not in {None, "public", "pg_catalog"} else ""
    yield execute(f"CREATE EXTENSION IF NOT EXISTS {name}{place}", rank.CREATE_EXTENSION)


def _guarded(statement: str) -> str:
    """Let a statement that has no IF NOT EXISTS be run twice."""
    return f"DO $$ BEGIN {statement}; EXCEPTION WHEN duplicate_object THEN END $$"


def _type(statement: str) -> Step:
    return execute(statement, rank.CREATE_TYPE, again=_guarded(statement))


def _enum(item: Item, _: Change) -> Iterator[Step]:
    yield _type(f"CREATE TYPE {dotted(item.key.name)} AS ENUM ({_labels(item)})")


def _labels(item: Item) -> str:
    return ", ".join(string(label) for label in _strings(item.attributes["values"]))


def _strings(value: Value) -> list[str]:
    return [str(part) for part in value] if isinstance(value, tuple) else []


def _domain(item: Item, _: Change) -> Iterator[Step]:
    attributes = item.attributes
    sql = f"CREATE DOMAIN {dotted(item.key.name)} AS {attributes['type']}"
    if attributes.get("collation"):
        sql += f" COLLATE {attributes['collation']}"
    if attributes.get("default") is not None:
        sql += f" DEFAULT {attributes['default']}"
    if not attributes["nullable"]:
        sql += " NOT NULL"
    yield _type(sql)


def _domain_constraint(item: Item, _: Change) -> Iterator[Step]:
    sql = (
        f"ALTER DOMAIN {dotted(item.key.name[:2])} ADD CONSTRAINT {quoted(item.key.name[-1])}"
        f" {item.attributes['definition']}"
    )
    yield execute(sql, rank.CREATE_TYPE, again=_guarded(sql))


def _composite(item: Item, _: Change) -> Iterator[Step]:
    listed = ", ".join(_strings(item.attributes["attributes"]))
    yield _type(f"CREATE TYPE {dotted(item.key.name)} AS ({listed})")


def _range(item: Item, _: Change) -> Iterator[Step]:
    words = str(item.attributes["subtype"])
    subtype, _, multirange = words.partition(" multirange ")
    if " " in multirange:
        raise RefusedError(f"{item.key} has functions of its own; write CREATE TYPE by hand.")
    yield _type(
        f"CREATE TYPE {dotted(item.key.name)} AS RANGE (subtype = {subtype},"
        f" multirange_type_name = {multirange})"
    )


def _collation(item: Item, _: Change) -> Iterator[Step]:
    attributes = item.attributes
    provider = {"i": "icu", "c": "libc", "b": "builtin"}.get(str(attributes["provider"]))
    sql = f"CREATE COLLATION {dotted(item.key.name)} (provider = {provider}"
    sql += f", locale = {string(str(attributes['locale']))}"
    sql += "" if attributes["deterministic"] else ", deterministic = false"
    sql += f", rules = {string(str(attributes['rules']))}" if attributes.get("rules") else ""
    yield execute(f"{sql})", rank.CREATE_TYPE)


def _sequence(item: Item, _: Change) -> Iterator[Step]:
    attributes = item.attributes
    kind = "UNLOGGED SEQUENCE" if attributes.get("persistence") == "unlogged" else "SEQUENCE"
    name = dotted(item.key.name)
    tail = counted(counting(attributes, "counting"))
    yield execute(
        f"CREATE {kind} {name} {tail}",
        rank.CREATE_SEQUENCE,
        again=f"CREATE {kind} IF NOT EXISTS {name} {tail}",
    )
    if attributes.get("owned by"):
        yield execute(f"ALTER SEQUENCE {name} OWNED BY {attributes['owned by']}", rank.ALTER_COLUMN)


def _statistics(item: Item, _: Change) -> Iterator[Step]:
    definition = str(item.attributes["definition"])
    yield execute(
        f"CREATE STATISTICS {dotted(item.key.name)} {definition.strip()}", rank.CREATE_STATISTICS
    )
    if item.attributes.get("target") is not None:
        target = item.attributes["target"]
        yield execute(
            f"ALTER STATISTICS {dotted(item.key.name)} SET STATISTICS {target}", rank.COMMENT
        )


def _view(item: Item, _: Change) -> Iterator[Step]:
    attributes = item.attributes
    kind = "MATERIALIZED VIEW" if attributes.get("materialised") else "VIEW"
    given = _strings(attributes.get("parameters"))
    parameters = f" WITH ({', '.join(given)})" if given else ""
    body = str(attributes["definition"]).rstrip().removesuffix(";")
    tail = "" if attributes.get("populated") in {None, True} else "\nWITH NO DATA"
    yield execute(
        f"CREATE {kind} {dotted(item.key.name)}{parameters} AS\n{body}{tail}", rank.CREATE_PROGRAM
    )
    for entry in _strings(attributes.get("defaults")):
        column, _, default = entry.partition(" ")
        yield execute(
            f"ALTER VIEW {dotted(item.key.name)} ALTER COLUMN {quoted(column)} SET DEFAULT {default}",
            rank.CREATE_PROGRAM,
        )
    for entry in _strings(attributes.get("comments of columns")):
        column, _, comment = entry.partition(": ")
        yield execute(
            f"COMMENT ON COLUMN {dotted(item.key.name)}.{quoted(column)} IS {string(comment)}",
            rank.COMMENT,
        )


def _function(item: Item, change: Change) -> Iterator[Step]:
    if item.attributes.get("kind") == "aggregate" or item.key not in change.statements:
        raise RefusedError(f"{item.key} is an aggregate; write CREATE AGGREGATE by hand.")
    # OR REPLACE, as the server prints it, may also be run twice.
    yield execute(change.statements[item.key].rstrip(), rank.CREATE_PROGRAM - 1)


def _trigger(item: Item, _: Change) -> Iterator[Step]:
    yield execute(str(item.attributes["definition"]), rank.CREATE_PROGRAM)
    yield from _enabled(item, "origin")


def _enabled(item: Item, usual: str) -> Iterator[Step]:
    enabled = str(item.attributes.get("enabled"))
    if enabled != usual:
        words = {
            "origin": "ENABLE",
            "O": "ENABLE",
            "no": "DISABLE",
            "D": "DISABLE",
            "replica": "ENABLE REPLICA",
            "R": "ENABLE REPLICA",
            "always": "ENABLE ALWAYS",
            "A": "ENABLE ALWAYS",
        }[enabled]
        kind = "TRIGGER" if item.key.kind == "trigger" else "RULE"
        yield execute(
            f"ALTER TABLE {dotted(item.key.name[:2])} {words} {kind} {quoted(item.key.name[-1])}",
            rank.CREATE_PROGRAM,
        )


def _rule(item: Item, _: Change) -> Iterator[Step]:
    yield execute(str(item.attributes["definition"]).rstrip(";"), rank.CREATE_PROGRAM)
    yield from _enabled(item, "O")


def _policy(item: Item, _: Change) -> Iterator[Step]:
    attributes = item.attributes
    roles = ", ".join(
        role if role == "public" else quoted(role) for role in _strings(attributes["roles"])
    )
    sql = f"CREATE POLICY {quoted(item.key.name[-1])} ON {dotted(item.key.name[:2])}"
    sql += "" if attributes["permissive"] else " AS RESTRICTIVE"
    sql += f" FOR {attributes['command']} TO {roles or 'public'}"
    sql += f" USING ({attributes['using']})" if attributes.get("using") else ""
    sql += f" WITH CHECK ({attributes['with check']})" if attributes.get("with check") else ""
    yield execute(sql, rank.CREATE_PROGRAM)


def _event_trigger(item: Item, _: Change) -> Iterator[Step]:
    attributes = item.attributes
    tags = ", ".join(string(tag) for tag in _strings(attributes.get("tags")))
    when = f" WHEN TAG IN ({tags})" if tags else ""
    yield execute(
        f"CREATE EVENT TRIGGER {quoted(item.key.name[0])} ON {attributes['event']}{when}"
        f" EXECUTE FUNCTION {attributes['function']}",
        rank.CREATE_PROGRAM,
    )


MAKERS: Mapping[str, Callable[[Item, Change], Iterator[Step]]] = {
    "schema": _schema,
    "extension": _extension,
    "enum": _enum,
    "domain": _domain,
    "domain constraint": _domain_constraint,
    "composite type": _composite,
    "range": _range,
    "collation": _collation,
    "sequence": _sequence,
    "statistics": _statistics,
    "view": _view,
    "function": _function,
    "trigger": _trigger,
    "rule": _rule,
    "policy": _policy,
    "event trigger": _event_trigger,
}


def altered(before: Item, after: Item, change: Change) -> list[Step] | None:
    """Change an object in place; None where it must be made anew."""
    differing = {
        attribute
        for attribute in before.attributes.keys() | after.attributes.keys()
        if before.attributes.get(attribute) != after.attributes.get(attribute)
    }
    steps = [commented(after)] if "comment" in differing else []
    differing -= {"comment"}
    if not differing:
        return steps
    alter = ALTERERS.get(after.key.kind)
    found = alter(before, after, differing, change) if alter else None
    return None if found is None else [*found, *steps]


def _enum_altered(before: Item, after: Item, _: set[str], change: Change) -> list[Step] | None:
    """Add labels in their places; None where one goes or moves, which takes another type."""
    old, new = _strings(before.attributes["values"]), _strings(after.attributes["values"])
    if [label for label in new if label in old] != old:
        return None
    steps = []
    for place, label in enumerate(new):
        if label in old:
            continue
        where = f" AFTER {string(new[place - 1])}" if place else f" BEFORE {string(old[0])}"
        if place and place == len(new) - 1:
            where = ""
        steps.append(
            execute(
                f"ALTER TYPE {dotted(after.key.name)} ADD VALUE IF NOT EXISTS {string(label)}{where}",
                rank.CREATE_TYPE,
                alone=_is_used(label, after.key, change),
                why="A new label can be used once it is committed."
                if _is_used(label, after.key, change)
                else "",
            )
        )
    return steps


def _is_used(label: str, enum: Key, change: Change) -> bool:
    """Tell whether anything of the migration itself names a new label."""
    text = f"{string(label)}::{'.'.join(quoted(part) for part in enum.name)}"
    return any(
        text in str(value)
        for key, item in change.after.items.items()
        if item != change.before.items.get(key)
        for value in item.attributes.values()
    )


def _domain_altered(before: Item, after: Item, differing: set[str], _: Change) -> list[Step] | None:
    if not differing <= {"default", "nullable"}:
        return None
    alter = f"ALTER DOMAIN {dotted(after.key.name)}"
    steps = []
    if "default" in differing:
        default = after.attributes.get("default")
        words = "DROP DEFAULT" if default is None else f"SET DEFAULT {default}"
        steps.append(execute(f"{alter} {words}", rank.CREATE_TYPE))
    if "nullable" in differing:
        words = "DROP NOT NULL" if after.attributes["nullable"] else "SET NOT NULL"
        steps.append(execute(f"{alter} {words}", rank.ALTER_COLUMN))
    return steps


def _sequence_altered(
    before: Item, after: Item, differing: set[str], _: Change
) -> list[Step] | None:
    name, steps = dotted(after.key.name), []
    if "counting" in differing:
        tail = counted(counting(after.attributes, "counting"))
        steps.append(execute(f"ALTER SEQUENCE {name} {tail}", rank.ALTER_COLUMN))
    if "owned by" in differing:
        owner = after.attributes.get("owned by") or "NONE"
        steps.append(execute(f"ALTER SEQUENCE {name} OWNED BY {owner}", rank.ALTER_COLUMN))
    if "persistence" in differing:
        words = "LOGGED" if after.attributes["persistence"] == "permanent" else "UNLOGGED"
        steps.append(execute(f"ALTER SEQUENCE {name} SET {words}", rank.ALTER_COLUMN))
    return steps


def _extension_altered(
    before: Item, after: Item, differing: set[str], _: Change
) -> list[Step] | None:
    name, steps = quoted(after.key.name[0]), []
    if "version" in differing:
        version = string(str(after.attributes["version"]))
        steps.append(execute(f"ALTER EXTENSION {name} UPDATE TO {version}", rank.CREATE_EXTENSION))
    if "schema" in differing:
        schema = quoted(str(after.attributes["schema"]))
        steps.append(execute(f"ALTER EXTENSION {name} SET SCHEMA {schema}", rank.CREATE_EXTENSION))
    return steps


def _view_altered(before: Item, after: Item, differing: set[str], _: Change) -> list[Step] | None:
    if differing != {"parameters"}:
        return None
    kind, _sep, name = named(after).rpartition(" ")
    old, new = before.attributes.get("parameters"), after.attributes.get("parameters")
    return [execute(f"ALTER {kind} {name} {options(old, new)}", rank.CREATE_PROGRAM)]


def _function_altered(
    before: Item, after: Item, differing: set[str], change: Change
) -> list[Step] | None:
    """Replace a function, which PostgreSQL refuses where its result changes."""
    if after.key not in change.statements or "kind" in differing:
        return None
    old, new = str(before.attributes.get("signature")), str(after.attributes.get("signature"))
    if _result(old) != _result(new):
        return None
    return list(_function(after, change))


def _result(signature: str) -> str:
    return signature.partition("\n")[2].partition("\n")[0].strip()


def _enabled_altered(
    before: Item, after: Item, differing: set[str], _: Change
) -> list[Step] | None:
    return list(_enabled(after, "")) if differing == {"enabled"} else None


def _statistics_altered(
    before: Item, after: Item, differing: set[str], _: Change
) -> list[Step] | None:
    if differing != {"target"}:
        return None
    target = after.attributes.get("target")
    value = -1 if target is None else target
    return [
        execute(f"ALTER STATISTICS {dotted(after.key.name)} SET STATISTICS {value}", rank.COMMENT)
    ]


ALTERERS: Mapping[str, Callable[[Item, Item, set[str], Change], list[Step] | None]] = {
    "enum": _enum_altered,
    "domain": _domain_altered,
    "sequence": _sequence_altered,
    "extension": _extension_altered,
    "view": _view_altered,
    "function": _function_altered,
    "trigger": _enabled_altered,
    "rule": _enabled_altered,
    "statistics": _statistics_altered,
}

__all__ = ["altered", "commented", "created", "dropped", "named", "path"]
