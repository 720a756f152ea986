"""Operations on what is neither a table nor part of one: types, sequences, views, functions, …

Alembic has none, so they are statements; each is one line or the text that the server prints.
"""

from collections.abc import Callable, Iterator, Mapping

from project.schema.autogenerate import programs, rank, typedefs
from project.schema.autogenerate.change import Change, RefusedError, differing
from project.schema.autogenerate.counting import counted, recounted
from project.schema.autogenerate.numbering import within
from project.schema.autogenerate.step import Step, execute
from project.schema.autogenerate.text import dotted, quoted, string
from project.schema.snapshot import Item, Key

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
    "aggregate": rank.DROP_FUNCTION - 1,
}


def named(item: Item) -> str:
    """Write what an object is called in ``DROP``, ``COMMENT ON`` and ``ALTER``.

    Raises:
        RefusedError: it is of a kind that models do not have.

    """
    key = item.key
    if key.kind in {"trigger", "rule", "policy"}:
        return f"{WORDS[key.kind]} {quoted(key.name[-1])} ON {dotted(key.name[:2])}"
    if key.kind in {"function", "aggregate"}:
        procedure = item.attributes.get("kind") == "procedure"
        kind = "PROCEDURE" if procedure else key.kind.upper()
        name, parenthesis, arguments = key.name[-1].partition("(")
        schema = "" if key.name[0] == "public" else f"{quoted(key.name[0])}."
        return f"{kind} {schema}{quoted(name)}{parenthesis}{arguments}"
    if key.kind == "view":
        kind = "MATERIALIZED VIEW" if item.attributes.get("materialised") else "VIEW"
        return f"{kind} {dotted(key.name)}"
    if key.kind == "domain constraint":
        return f"CONSTRAINT {quoted(key.name[-1])} ON DOMAIN {dotted(key.name[:2])}"
    if key.kind not in WORDS:
        raise RefusedError(f"Nothing is known of how to change {key}; write that step by hand.")
    if len(key.name) == 1:
        return f"{WORDS[key.kind]} {quoted(key.name[0])}"
    return f"{WORDS[key.kind]} {dotted(key.name)}"


def dropped(item: Item) -> Iterator[Step]:
    """Drop an object."""
    if item.key.kind == "domain constraint":
        drop = f"ALTER DOMAIN {dotted(item.key.name[:2])} DROP CONSTRAINT"
        name = quoted(item.key.name[-1])
        again = f"{drop} IF EXISTS {name}"
        yield execute(f"{drop} {name}", rank.DROP_CONSTRAINT, again=again)
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
    # An extension brings its own.
    if item.attributes.get("comment") is not None and item.key.kind != "extension":
        yield commented(item)


def granted(key: Key, change: Change) -> Iterator[Step]:
    """Grant once more what was granted on a view or a function that is made anew."""
    for number, statement in enumerate(change.grants.get(key, ())):
        why = "" if number else "As before: what is granted on it went with it."
        yield execute(statement, rank.COMMENT, why=why)


def commented(item: Item) -> Step:
    """Comment on an object."""
    comment = item.attributes.get("comment")
    text = "NULL" if comment is None else string(str(comment))
    return execute(f"COMMENT ON {named(item)} IS {text}", rank.COMMENT)


def schema(name: str) -> Step:
    """Create a schema."""
    create = "CREATE SCHEMA {}" + quoted(name)
    again = create.replace("{}", "IF NOT EXISTS ", 1)
    return execute(create.replace("{}", "", 1), rank.CREATE_SCHEMA, again=again)


def _extension(item: Item, _: Change) -> Iterator[Step]:
    name, schema = quoted(item.key.name[0]), item.attributes.get("schema")
    place = f" SCHEMA {quoted(str(schema))}" if schema not in {None, "public", "pg_catalog"} else ""
    yield execute(f"CREATE EXTENSION IF NOT EXISTS {name}{place}", rank.CREATE_EXTENSION)


def _extension_altered(before: Item, after: Item, _: Change) -> list[Step]:
    alter = f"ALTER EXTENSION {quoted(after.key.name[0])}"
    names, steps = differing(before, after), []
    if "version" in names:
        version = string(str(after.attributes["version"]))
        steps.append(execute(f"{alter} UPDATE TO {version}", rank.CREATE_EXTENSION))
    if "schema" in names:
        schema = quoted(str(after.attributes["schema"]))
        steps.append(execute(f"{alter} SET SCHEMA {schema}", rank.CREATE_EXTENSION))
    return steps


#: How a sequence counts.
COUNTING = {"type", "start", "increment", "minimum", "maximum", "cache", "cycle"}


def _counts(item: Item) -> dict[str, str]:
    counts = {name: str(item.attributes[name]) for name in COUNTING}
    counts |= {"minvalue": counts["minimum"], "maxvalue": counts["maximum"]}
    return counts | {"cycle": "cycle" if item.attributes["cycle"] else ""}


def _sequence(item: Item, _: Change) -> Iterator[Step]:
    attributes = item.attributes
    kind = "UNLOGGED SEQUENCE" if attributes.get("persistence") == "unlogged" else "SEQUENCE"
    name = dotted(item.key.name)
    tail = f"{name}{counted(_counts(item))}"
    yield execute(
        f"CREATE {kind} {tail}",
        rank.CREATE_SEQUENCE,
        again=f"CREATE {kind} IF NOT EXISTS {tail}",
    )
    if attributes.get("owned by"):
        yield execute(f"ALTER SEQUENCE {name} OWNED BY {attributes['owned by']}", rank.ALTER_COLUMN)


def _sequence_altered(before: Item, after: Item, _: Change) -> list[Step]:
    names, alter = differing(before, after), f"ALTER SEQUENCE {dotted(after.key.name)}"
    words = []
    was, becomes = _counts(before), _counts(after)
    if names & COUNTING:
        words.append(recounted(was, becomes))
    if "owned by" in names:
        words.append(f"OWNED BY {after.attributes.get('owned by') or 'NONE'}")
    if "persistence" in names:
        logged = after.attributes["persistence"] == "permanent"
        words.append(f"SET {'LOGGED' if logged else 'UNLOGGED'}")
    steps = within(after.key.name, was, becomes) if names & COUNTING else ()
    return [*steps, *(execute(f"{alter} {word}", rank.ALTER_COLUMN) for word in words)]


def _statistics(item: Item, _: Change) -> Iterator[Step]:
    tail = f"{dotted(item.key.name)} {str(item.attributes['definition']).strip()}"
    again = f"CREATE STATISTICS IF NOT EXISTS {tail}"
    yield execute(f"CREATE STATISTICS {tail}", rank.CREATE_STATISTICS, again=again)
    if item.attributes.get("target") is not None:
        yield _statistics_target(item)


def _statistics_target(item: Item) -> Step:
    target = item.attributes.get("target")
    words = f"SET STATISTICS {-1 if target is None else target}"
    return execute(f"ALTER STATISTICS {dotted(item.key.name)} {words}", rank.COMMENT)


def _statistics_altered(before: Item, after: Item, _: Change) -> list[Step] | None:
    only = differing(before, after) - {"comment"} == {"target"}
    return [_statistics_target(after)] if only else None


MAKERS: Mapping[str, Callable[[Item, Change], Iterator[Step]]] = {
    "schema": lambda item, _: iter([schema(item.key.name[0])]),
    "extension": _extension,
    "enum": typedefs.enum,
    "domain": typedefs.domain,
    "domain constraint": typedefs.domain_constraint,
    "composite type": typedefs.composite,
    "range": typedefs.range_,
    "collation": typedefs.collation,
    "sequence": _sequence,
    "statistics": _statistics,
    "view": programs.view,
    "function": programs.function,
    "aggregate": programs.aggregate,
    "trigger": programs.trigger,
    "rule": programs.rule,
    "policy": programs.policy,
    "event trigger": programs.event_trigger,
}

ALTERERS: Mapping[str, Callable[[Item, Item, Change], list[Step] | None]] = {
    "enum": typedefs.enum_altered,
    "domain": typedefs.domain_altered,
    "domain constraint": typedefs.domain_constraint_altered,
    "composite type": typedefs.composite_altered,
    "sequence": _sequence_altered,
    "extension": _extension_altered,
    "view": programs.view_altered,
    "function": programs.function_altered,
    "trigger": programs.enabled_altered,
    "rule": programs.enabled_altered,
    "statistics": _statistics_altered,
}


def altered(before: Item, after: Item, change: Change) -> list[Step] | None:
    """Change an object in place; None where it must be made anew."""
    names = differing(before, after)
    steps = [commented(after)] if "comment" in names else []
    if names <= {"comment"}:
        return steps
    alter = ALTERERS.get(after.key.kind)
    found = alter(before, after, change) if alter else None
    return None if found is None else [*found, *steps]
