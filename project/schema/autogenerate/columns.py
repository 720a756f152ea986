"""Operations on columns."""

from collections.abc import Iterator
from dataclasses import replace

from project.schema.autogenerate import conversions, filling, numbering, rank, types
from project.schema.autogenerate.change import Change, MissingValueError, differing
from project.schema.autogenerate.counting import counting, uncommon
from project.schema.autogenerate.definitions import path, strings
from project.schema.autogenerate.parameters import options
from project.schema.autogenerate.step import (
    Code,
    Step,
    alter_column,
    alter_table,
    call,
    execute,
    set_column,
)
from project.schema.autogenerate.text import (
    cut,
    dotted,
    in_schema,
    literal,
    quoted,
    shown,
    sql_text,
    string,
)
from project.schema.snapshot import Item, Key, Snapshot, Value

#: What only ``ALTER COLUMN`` says of a column.
SETTINGS = ("storage", "compression", "statistics target", "parameters")


def written(item: Item, snapshot: Snapshot, *, numbered: bool = False) -> str | None:
    """Write ``sa.Column(…)``.

    Args:
        item: The column.
        snapshot: Where its type is looked up.
        numbered: Whether SQLAlchemy would make the column ``serial`` by itself, as it does with an
            integer that is the primary key.

    Returns:
        None where SQLAlchemy has no expression for the column's type.

    """
    attributes = item.attributes
    type_ = types.expression(str(attributes["type"]), snapshot, _text(attributes.get("collation")))
    if type_ is None:
        return None
    arguments = [literal(item.key.name[-1]), type_]
    serial = attributes.get("default") == "next number"
    if attributes.get("identity"):
        options = uncommon(counting(attributes))
        always = {"always": True} if attributes["identity"] == "always" else {}
        arguments.append(call("sa.Identity", **always, **options))
    if attributes.get("generated"):
        stored = attributes.get("generated when") == "stored"
        arguments.append(
            call("sa.Computed", sql_text(str(attributes["generated"])), persisted=stored)
        )
    return call(
        "sa.Column",
        *arguments,
        autoincrement=None if serial or not numbered or attributes.get("identity") else False,
        server_default=None if serial else types.default(item),
        nullable=False if not attributes["nullable"] else None,
        comment=attributes.get("comment"),
    )


def spelled(item: Item) -> str:
    """Write a column in SQL, for types that SQLAlchemy has no expression for."""
    attributes = item.attributes
    parts = [quoted(item.key.name[-1]), str(attributes["type"])]
    if attributes.get("collation"):
        parts.append(f"COLLATE {attributes['collation']}")
    if attributes.get("default") is not None:
        parts.append(f"DEFAULT {attributes['default']}")
    if attributes.get("generated"):
        when = str(attributes["generated when"]).upper()
        parts.append(f"GENERATED ALWAYS AS ({attributes['generated']}) {when}")
    if attributes.get("identity"):
        parts.append(numbering.identity(item))
    if not attributes["nullable"]:
        parts.append("NOT NULL")
    return " ".join(parts)


def added(item: Item, change: Change) -> Iterator[Step]:
    """Add a column to a table that is there.

    Raises:
        MissingValueError: the rows that are there would have no value.

    """
    yield from _with_values(item, change)
    yield from set_up(item)


def _with_values(item: Item, change: Change) -> Iterator[Step]:
    table = item.key.name[:2]
    attributes = item.attributes
    online = change.online(table)
    existed = Key("table", table) in change.before.items
    value, default = change.hints.backfill.get(item.key.name), _text(attributes.get("default"))
    later: list[Step] = []
    if default == "next number":
        later = list(numbering.made(item, change))
        value = f"nextval({string(dotted(numbering.sequence_name(item)))})"
    elif default is not None and (value or (online and item.key in change.volatile)):
        later = [default_set(item.key, types.default(item))]
        value = value or default
    elif attributes.get("identity") and existed and online:
        yield from _identified(item, change)
        return
    elif attributes.get("generated") or attributes.get("identity"):
        value = None
    required = not attributes["nullable"] and not attributes.get("identity")
    unknown = required and value is None and default is None and not attributes.get("generated")
    if not existed or (value is None and not unknown):
        yield from [_add(item, change), *later]
        return
    if unknown and not change.back:
        raise MissingValueError(
            item.key,
            f"{shown(item.key.name)} is new and NOT NULL, and the rows that are there have no"
            ' value for it. Say which with info={"backfill": "<SQL>"} in the model, or give it a'
            " server_default.",
        )
    if item.key in change.constant and value is not None and default != "next number":
        at_once = replace(item, attributes={**attributes, "default": value})
        yield from [_add(at_once, change), default_set(item.key, types.default(item))]
        return
    nullable = required or bool(attributes["nullable"])
    bare = {**attributes, "default": None, "nullable": nullable}
    yield from [_add(replace(item, attributes=bare), change), *later]
    if value is None:
        yield from filling.lost(item, change)
    elif required:
        yield from filling.required(item.key, value, change.manner(table))
    else:
        yield from filling.filled(item.key, value, change.manner(table))


def _identified(item: Item, change: Change) -> Iterator[Step]:
    """Add an identity beside requests: the rows get their numbers of a sequence that then goes."""
    plain = {k: v for k, v in item.attributes.items() if k not in NUMBERING} | {"nullable": True}
    yield _add(replace(item, attributes=plain), change)
    make, number, replace_by_identity = numbering.lent(item, change)
    yield from make
    yield from filling.required(item.key, number, change.manner(item.key.name))
    yield replace_by_identity


def _add(item: Item, change: Change) -> Step:
    column = written(item, change.after)
    *schema, table, _ = item.key.name
    stored = item.attributes.get("generated when") == "stored"
    why = ""
    if change.online(item.key.name[:2]) and stored:
        why = "Rewrites the table while nobody can use it: PostgreSQL has no other way."
    if column is None:
        sql = f"ALTER TABLE {dotted(item.key.name[:2])} ADD COLUMN {{}}{spelled(item)}"
        added_, again = (sql.replace("{}", word, 1) for word in ("", "IF NOT EXISTS "))
        return execute(added_, rank.ADD_COLUMN, why=why, again=again)
    arguments = (literal(table), column)
    return Step(
        call("op.add_column", *arguments, schema=in_schema(schema)),
        rank.ADD_COLUMN,
        why=why,
        again=call("op.add_column", *arguments, if_not_exists=True, schema=in_schema(schema)),
    )


def set_up(item: Item) -> Iterator[Step]:
    """Say of a column that was made what its definition does not."""
    for setting in SETTINGS:
        if item.attributes.get(setting) is not None:
            yield _setting(item.key, setting, None, item.attributes[setting])


def dropped(key: Key, change: Change) -> Iterator[Step]:
    """Drop a column; its indexes and constraints go with it."""
    *schema, table, column = key.name
    arguments = (literal(table), literal(column))
    why = f"loses: {shown(key.name)}, which the models no longer have"
    if key in change.after.items:
        why = f"loses: {shown(key.name)}, which is computed from now on"
    if change.back or change.before.items[key].attributes.get("generated"):
        why = ""
    yield Step(
        call("op.drop_column", *arguments, schema=in_schema(schema)),
        rank.DROP_COLUMN,
        why=why,
        again=call("op.drop_column", *arguments, if_exists=True, schema=in_schema(schema)),
    )


def altered(before: Item, after: Item, change: Change) -> Iterator[Step] | None:
    """Change a column in place; None where it must be made anew, as one that is computed."""
    names = differing(before, after)
    old, new = before.attributes, after.attributes
    if "inherited" in names or (new.get("inherited") and names & {"type", "collation"}):
        return iter(())  # it comes with the parent's
    for aspect in ("nullable", "type", "collation"):
        if aspect in names and _comes_with_its_parent(after, aspect, change):
            before = replace(before, attributes={**before.attributes, aspect: new.get(aspect)})
    if before.attributes != old:
        return _altered(before, after, change)
    if names & {"generated", "generated when", "type"} and (
        old.get("generated") or new.get("generated")
    ):
        plain = old.get("generated when") == "stored" and not new.get("generated")
        if not plain or "type" in names:
            return None
        return _no_longer_computed(before, after, change)
    if "type" in names and _numbers(before) and not _numbers(after):
        return _no_longer_numbered(before, after, change)
    return _altered(before, after, change)


def _comes_with_its_parent(after: Item, aspect: str, change: Change) -> bool:
    """Tell whether a column of a parent is changed in the same way, and this one with it."""
    table = change.after.items[Key("table", after.key.name[:2])].attributes
    parents = [*strings(table.get("inherits")), *filter(None, [_text(table.get("partition of"))])]
    for parent in parents:
        key = Key("column", (*path(parent), after.key.name[-1]))
        if key in change.before.items and key in change.after.items:
            sides = change.before, change.after
            was, becomes = (side.items[key].attributes.get(aspect) for side in sides)
            if was != becomes and becomes == after.attributes.get(aspect):
                return True
    return False


def _no_longer_computed(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Keep the values that were computed last."""
    yield set_column(after.key, "DROP EXPRESSION IF EXISTS", rank.ALTER_COLUMN)
    plain = {k: v for k, v in before.attributes.items() if not k.startswith("generated")}
    yield from _altered(replace(before, attributes=plain), after, change)


#: What a column that numbers its rows has beside others.
NUMBERING = {"default", "identity", "numbered by", "sequence", "sequence comment"}


def _numbers(item: Item) -> bool:
    attributes = item.attributes
    return attributes.get("default") == "next number" or bool(attributes.get("identity"))


def _no_longer_numbered(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Take the numbers away before the type changes, which may be one that cannot have them."""
    plain = {k: v for k, v in before.attributes.items() if k not in NUMBERING}
    yield from numbering.altered(before, replace(after, attributes=plain), change)
    yield from _altered(replace(before, attributes=plain), after, change)


def _altered(before: Item, after: Item, change: Change) -> Iterator[Step]:
    names = differing(before, after)
    old, new = before.attributes, after.attributes
    yield from _valued(before, after, change)
    for setting in SETTINGS:
        if setting in names:
            yield _setting(after.key, setting, old.get(setting), new.get(setting))
    if "not null validated" in names and new.get("not null validated") is None:
        yield from filling.required(after.key, None, "beside")
    yield from numbering.sequence_altered(before, after, change)
    yield from _not_null_altered(before, after)
    if "comment" in names:
        comment = Code(literal(new.get("comment")))
        yield alter_column(after.key, rank.COMMENT, comment=comment)


def _valued(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Change what values a column may have, and where they come from."""
    names = differing(before, after)
    old, new = before.attributes, after.attributes
    defaults = {old.get("default"), new.get("default")}
    counts = any(side.get(name) for side in (old, new) for name in ("identity", "numbered by"))
    numbered = counts or "next number" in defaults
    nullability = list(filling.nullability(after, change)) if "nullable" in names else []
    if names & {"type", "collation"}:
        if _numbers(after) and not _numbers(before) and old.get("default") is not None:
            yield numbering.without_default(after)
            before = replace(before, attributes={**old, "default": None})
        if new["nullable"] and not numbered:
            # What makes the new value may make none.
            yield from nullability
            nullability = []
        yield from conversions.retyped(before, after, change)
        names -= {"default"} if "next number" not in defaults else set()
    # An identity wants NOT NULL before it is one, and until it is none any more.
    if not new["nullable"]:
        yield from nullability
    if names & {"identity", "default", "numbered by"}:
        if numbered:
            yield from numbering.altered(before, after, change)
        else:
            yield default_set(after.key, types.default(after))
    if new["nullable"]:
        yield from nullability


def _not_null_altered(before: Item, after: Item) -> Iterator[Step]:
    """Rename or comment on what PostgreSQL 18 keeps of NOT NULL as a constraint."""
    names = differing(before, after)
    usual = cut(f"{after.key.name[1]}_{after.key.name[2]}_not_null")
    old, new = (str(i.attributes.get("not null name") or usual) for i in (before, after))
    if old != new and not before.attributes["nullable"] and not after.attributes["nullable"]:
        words = f"RENAME CONSTRAINT {quoted(old)} TO {quoted(new)}"
        yield alter_table(after.key, words, rank.ALTER_TABLE)
    if "not null comment" in names and not after.attributes["nullable"]:
        comment = after.attributes.get("not null comment")
        text = "NULL" if comment is None else string(str(comment))
        on = f"{quoted(new)} ON {dotted(after.key.name[:2])}"
        yield execute(f"COMMENT ON CONSTRAINT {on} IS {text}", rank.COMMENT)


def default_set(key: Key, default: Code | None) -> Step:
    """Set a column's default, or none."""
    return alter_column(key, rank.ALTER_COLUMN, server_default=default or Code("None"))


def _setting(key: Key, setting: str, old: Value, new: Value) -> Step:
    words = {
        "storage": f"SET STORAGE {str(new or 'default').upper()}",
        "compression": f"SET COMPRESSION {new or 'default'}",
        "statistics target": f"SET STATISTICS {-1 if new is None else new}",
    }.get(setting)
    if words is None:
        words = options(old, new)
    return set_column(key, words, rank.ALTER_COLUMN)


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
