"""Operations on what is programmed into a database: views, functions, triggers, rules, policies."""

from collections.abc import Iterator
from textwrap import indent

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, RefusedError, differing
from project.schema.autogenerate.definitions import plainly, strings
from project.schema.autogenerate.parameters import options
from project.schema.autogenerate.step import Step, alter_table, execute
from project.schema.autogenerate.text import dotted, quoted, string
from project.schema.snapshot import Item

#: What ``ALTER TABLE`` does with a trigger or a rule, by when it fires.
ENABLED = {
    "origin": "ENABLE",
    "no": "DISABLE",
    "replica": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}


def view(item: Item, _: Change) -> Iterator[Step]:
    """Create a view, materialised or not."""
    attributes = item.attributes
    name = dotted(item.key.name)
    given = strings(attributes.get("parameters"))
    parameters = f" WITH ({', '.join(given)})" if given else ""
    body = plainly(str(attributes["definition"]).rstrip().removesuffix(";"))
    rest = f"{name}{parameters} AS\n{body}"
    if attributes.get("materialised"):
        rest += "" if attributes.get("populated") else "\nWITH NO DATA"
        words, again = "CREATE MATERIALIZED VIEW", "CREATE MATERIALIZED VIEW IF NOT EXISTS"
    else:
        words, again = "CREATE VIEW", "CREATE OR REPLACE VIEW"
    yield execute(f"{words} {rest}", rank.CREATE_PROGRAM, again=f"{again} {rest}")
    for entry in strings(attributes.get("defaults")):
        column, _space, default = entry.partition(" ")
        words = f"ALTER COLUMN {quoted(column)} SET DEFAULT {default}"
        yield execute(f"ALTER VIEW {name} {words}", rank.CREATE_PROGRAM)
    for entry in strings(attributes.get("comments of columns")):
        column, _colon, comment = entry.partition(": ")
        on = f"COLUMN {name}.{quoted(column)}"
        yield execute(f"COMMENT ON {on} IS {string(comment)}", rank.COMMENT)


def view_altered(before: Item, after: Item, _: Change) -> list[Step] | None:
    """Change a view's parameters, the only thing that can be changed in place."""
    if differing(before, after) - {"comment"} != {"parameters"}:
        return None
    kind = "MATERIALIZED VIEW" if after.attributes.get("materialised") else "VIEW"
    old, new = before.attributes.get("parameters"), after.attributes.get("parameters")
    alter = f"ALTER {kind} {dotted(after.key.name)} {options(old, new)}"
    return [execute(alter, rank.CREATE_PROGRAM)]


def function(item: Item, change: Change) -> Iterator[Step]:
    """Create a function, or replace it."""
    # OR REPLACE, as the server prints it, may also be run twice.
    yield execute(change.statements[item.key].rstrip(), rank.CREATE_PROGRAM - 1)


def function_altered(before: Item, after: Item, change: Change) -> list[Step] | None:
    """Replace a function, which PostgreSQL refuses where its result or its arguments change."""
    names = differing(before, after)
    if names & {"kind", "result"}:
        return None
    old, new = (strings(item.attributes.get("arguments")) for item in (before, after))
    # A default may be changed or added; a name may not be changed, nor a default taken away.
    if len(old) != len(new) or any(map(_is_other_argument, old, new)):
        return None
    return list(function(after, change))


def _is_other_argument(was: str, becomes: str) -> bool:
    (head, default, _), (other, other_default, _) = (
        argument.partition(" DEFAULT ") for argument in (was, becomes)
    )
    return head != other or (bool(default) and not other_default)


#: What CREATE AGGREGATE calls each attribute.
AGGREGATION = {
    "transition function": "SFUNC",
    "state type": "STYPE",
    "state size": "SSPACE",
    "final function": "FINALFUNC",
    "combine function": "COMBINEFUNC",
    "serial function": "SERIALFUNC",
    "deserial function": "DESERIALFUNC",
    "initial value": "INITCOND",
    "moving transition function": "MSFUNC",
    "moving inverse function": "MINVFUNC",
    "moving state type": "MSTYPE",
    "moving state size": "MSSPACE",
    "moving final function": "MFINALFUNC",
    "moving initial value": "MINITCOND",
    "sort operator": "SORTOP",
    "parallel": "PARALLEL",
}


def aggregate(item: Item, _: Change) -> Iterator[Step]:
    """Create an aggregate.

    Raises:
        RefusedError: it is one of an ordered set, which takes its arguments in two parts.

    """
    if item.attributes["kind"] != "normal":
        raise RefusedError(f"{item.key} is of an ordered set; write CREATE AGGREGATE by hand.")
    words = []
    for attribute, word in AGGREGATION.items():
        value = item.attributes.get(attribute)
        if value in {None, 0}:
            continue
        text = string(str(value)) if "initial" in attribute else str(value).partition("(")[0]
        words.append(f"{word} = {f'OPERATOR({text})' if word == 'SORTOP' else text}")
        if item.attributes.get(f"{attribute} takes all arguments"):
            words.append(f"{word}_EXTRA")
    name = dotted((item.key.name[0], item.key.name[-1].partition("(")[0]))
    arguments = ", ".join(strings(item.attributes.get("arguments"))) or "*"
    listed = indent(",\n".join(words), "    ")
    create = f"CREATE OR REPLACE AGGREGATE {name} ({arguments}) (\n{listed}\n)"
    yield execute(create, rank.CREATE_PROGRAM - 1)


def trigger(item: Item, _: Change) -> Iterator[Step]:
    """Create a trigger."""
    create = str(item.attributes["definition"])
    drop = f"DROP TRIGGER IF EXISTS {quoted(item.key.name[-1])} ON {dotted(item.key.name[:2])}"
    yield execute(create, rank.CREATE_PROGRAM, again=(drop, create))
    yield from _enabled(item)


def rule(item: Item, _: Change) -> Iterator[Step]:
    """Create a rule."""
    create = str(item.attributes["definition"]).rstrip(";")
    again = create.replace("CREATE RULE", "CREATE OR REPLACE RULE", 1)
    yield execute(create, rank.CREATE_PROGRAM, again=again)
    yield from _enabled(item)


def _enabled(item: Item) -> Iterator[Step]:
    words = ENABLED[str(item.attributes.get("enabled"))]
    if words != "ENABLE":
        yield _enable(item)


def _enable(item: Item) -> Step:
    words = ENABLED[str(item.attributes.get("enabled"))]
    name = f"{item.key.kind.upper()} {quoted(item.key.name[-1])}"
    return alter_table(item.key, f"{words} {name}", rank.CREATE_PROGRAM)


def enabled_altered(before: Item, after: Item, _: Change) -> list[Step] | None:
    """Change when a trigger or rule fires."""
    return [_enable(after)] if differing(before, after) - {"comment"} == {"enabled"} else None


def policy(item: Item, _: Change) -> Iterator[Step]:
    """Create a policy of row security."""
    attributes = item.attributes
    name = f"{quoted(item.key.name[-1])} ON {dotted(item.key.name[:2])}"
    roles = [role if role == "public" else quoted(role) for role in strings(attributes["roles"])]
    create = f"CREATE POLICY {name}" + ("" if attributes["permissive"] else " AS RESTRICTIVE")
    create += f" FOR {attributes['command']} TO {', '.join(roles) or 'public'}"
    for words, attribute in (("USING", "using"), ("WITH CHECK", "with check")):
        if attributes.get(attribute):
            create += f" {words} ({plainly(str(attributes[attribute]))})"
    again = (f"DROP POLICY IF EXISTS {name}", create)
    yield execute(create, rank.CREATE_PROGRAM, again=again)


def event_trigger(item: Item, _: Change) -> Iterator[Step]:
    """Create an event trigger."""
    attributes = item.attributes
    name = quoted(item.key.name[0])
    tags = ", ".join(string(tag) for tag in strings(attributes.get("tags")))
    when = f" WHEN TAG IN ({tags})" if tags else ""
    create = f"CREATE EVENT TRIGGER {name} ON {attributes['event']}{when}"
    create += f" EXECUTE FUNCTION {attributes['function']}"
    drop = f"DROP EVENT TRIGGER IF EXISTS {name}"
    yield execute(create, rank.CREATE_PROGRAM, again=(drop, create))
    words = ENABLED[str(attributes.get("enabled"))]
    if words != "ENABLE":
        yield execute(f"ALTER EVENT TRIGGER {name} {words}", rank.CREATE_PROGRAM)
