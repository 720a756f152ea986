"""Operations on tables as a whole."""

from collections.abc import Iterator, Mapping, Sequence

from project.schema.autogenerate import columns, constraints, numbering, partitions, rank
from project.schema.autogenerate.change import Change, RefusedError, differing
from project.schema.autogenerate.definitions import parse, path, strings, with_
from project.schema.autogenerate.parameters import options
from project.schema.autogenerate.programs import ENABLED
from project.schema.autogenerate.step import Code, Once, Step, alter_table, call
from project.schema.autogenerate.text import dotted, in_schema, literal, quoted, shown, string
from project.schema.snapshot import Item, Key, Value

#: What a table is from its first day.
FIXED = {"partitioned by": "partitioning", "foreign": "kind", "of type": "row type"}

#: What a statement after CREATE TABLE says, with what goes without saying.
LATER = {
    "row security": "off",
    "replica identity": "default",
    "toast storage parameters": None,
    "switched triggers": None,
}

#: ``ENABLE`` or ``DISABLE``, and whether it holds for the owner, too.
SECURITY = {
    "off": ("DISABLE", "NO FORCE"),
    "enabled": ("ENABLE", "NO FORCE"),
    "forced": ("ENABLE", "FORCE"),
    "forced once enabled": ("DISABLE", "FORCE"),
}


def created(
    item: Item, parts: Sequence[Item], inline: Sequence[Item], change: Change
) -> Iterator[Step]:
    """Create a table with its columns and those constraints that can stand with it.

    Args:
        item: The table.
        parts: Its columns.
        inline: Its constraints.
        change: What the table is part of.

    Raises:
        RefusedError: it is a foreign table.

    """
    if item.attributes.get("partition of"):
        yield partitions.created(item)
        return
    if item.attributes.get("foreign"):
        raise RefusedError(f"{item.key} is a foreign table; write CREATE FOREIGN TABLE by hand.")
    own = [column for column in parts if not column.attributes.get("inherited")]
    key = _key(inline)
    arguments, later = _columns(own, key, change)
    # A key needs its columns.
    late = [
        constraint
        for constraint in inline
        if any(column.key in change.built_after.get(constraint.key, ()) for column in later)
    ]
    given = [constraints.inline(constraint) for constraint in inline if constraint not in late]
    arguments += [text for text in given if text is not None]
    yield _create(item, arguments)
    for column in later:
        for step in columns.added(column, change):
            yield Step(step.code, rank.CREATE_TABLE, step.alone, step.why, step.again)
    for constraint in late:
        yield from constraints.added(constraint, change)
    for column in own:
        if column not in later:
            yield from columns.set_up(column)
    for attribute, usual in LATER.items():
        if item.attributes.get(attribute) != usual:
            yield from _changed(item, attribute, usual)


def _key(inline: Sequence[Item]) -> tuple[str, ...]:
    """Return the columns of the primary key."""
    found = [parse(constraint) for constraint in inline]
    return next((c.columns for c in found if c is not None and c.kind == "primary"), ())


def _columns(
    own: Sequence[Item], key: tuple[str, ...], change: Change
) -> tuple[list[str], list[Item]]:
    """Write the columns; return also those that only SQL can say, and all after them."""
    arguments: list[str] = []
    later: list[Item] = []
    for column in own:
        alone = key == (column.key.name[-1],)
        written = columns.written(column, change.after, numbered=alone)
        serial = column.attributes.get("default") == "next number"
        if written is None or later or (serial and not (alone and numbering.is_serial(column))):
            later.append(column)
        else:
            arguments.append(written)
    return arguments, later


def _create(item: Item, arguments: Sequence[str]) -> Step:
    *schema, table = item.key.name
    attributes = item.attributes
    method = attributes.get("access method")
    given: dict[str, object] = {
        "prefixes": Code('["UNLOGGED"]') if attributes["persistence"] == "unlogged" else None,
        "postgresql_partition_by": attributes.get("partitioned by"),
        "postgresql_inherits": _inherits(attributes.get("inherits")),
        "postgresql_with": with_(attributes.get("storage parameters")),
        "postgresql_using": method if method != "heap" else None,
        "postgresql_tablespace": attributes.get("tablespace"),
        "comment": attributes.get("comment"),
        "schema": in_schema(schema),
    }
    return Step(
        call("op.create_table", literal(table), *arguments, **given),
        rank.CREATE_TABLE,
        again=call("op.create_table", literal(table), *arguments, **given, if_not_exists=True),
    )


def _inherits(value: Value) -> Code | None:
    names = [".".join(path(name)).removeprefix("public.") for name in strings(value)]
    return Code(f"({', '.join(map(literal, names))},)") if names else None


def dropped(item: Item, change: Change) -> Iterator[Step]:
    """Drop a table."""
    if item.key in change.handed_over:
        yield from partitions.handed_over(item, change)
        return
    *schema, table = item.key.name
    loses = f"loses: {shown(item.key.name)}, which the models no longer have"
    if_exists = call("op.drop_table", literal(table), if_exists=True, schema=in_schema(schema))
    again: str | Once = if_exists
    if Key("view", item.key.name) in change.after.items:
        # What a failed try has made has the same name, and is no table.
        name = dotted(item.key.name)
        there = f"SELECT FROM pg_class WHERE oid = to_regclass({string(name)})"
        again = Once(f"{there} AND relkind IN ('r', 'p')", (f"DROP TABLE {name}",))
    yield Step(
        call("op.drop_table", literal(table), schema=in_schema(schema)),
        rank.DROP_TABLE,
        why="" if change.back else loses,
        again=again,
    )


def altered(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Change what a table has apart from its columns.

    Raises:
        RefusedError: PostgreSQL cannot change it in place.

    """
    names = differing(before, after)
    if "partition of" in names:
        names -= {"partition"}
    for attribute in sorted(names):
        if attribute in FIXED:
            raise RefusedError(
                f"The {FIXED[attribute]} of {after.key} cannot be changed in place: make a new"
                " table, copy the rows and swap the names, in steps written by hand."
            )
        if attribute in {"partition", "partition of"}:
            yield from partitions.attached(before, after, change)
        elif attribute == "inherits":
            yield from _inheriting(before, after, change)
        else:
            yield from _changed(after, attribute, before.attributes.get(attribute))


def _changed(item: Item, attribute: str, old: Value) -> Iterator[Step]:
    new = item.attributes.get(attribute)
    if attribute == "comment":
        yield _commented(item)
    elif attribute == "row security":
        yield from _secured(item.key, str(old), str(new))
    elif attribute == "replica identity":
        if new != "index":  # which says so itself
            yield alter_table(item.key, f"REPLICA IDENTITY {str(new).upper()}", rank.REQUIRE)
    elif attribute == "switched triggers":
        yield from _switched(item.key, dict(map(_state, strings(old))), strings(new))
    else:
        yield _set(item, attribute, old)


def _inheriting(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Let a table inherit of others than before.

    Raises:
        RefusedError: it has not the checks of a parent of its own, which PostgreSQL asks for.

    """
    table = after.key
    was, becomes = (set(strings(item.attributes.get("inherits"))) for item in (before, after))
    for parent in sorted(was - becomes):
        yield alter_table(table, f"NO INHERIT {parent}", rank.DROP_PROGRAM)
    for parent in sorted(becomes - was):
        checks = [
            item.key.name[-1]
            for item in change.after.of_kind("constraint")
            if item.key.name[:2] == table.name
            and item.attributes.get("inherited")
            and Key("constraint", (*path(parent), item.key.name[-1])) in change.after.items
        ]
        if checks:
            raise RefusedError(
                f"Before {table} can inherit of {parent}, PostgreSQL asks for the same checks on"
                f" it, as its own: declare {', '.join(checks)} on it as well."
            )
        # It wants columns and validated checks like the parent's.
        yield alter_table(table, f"INHERIT {parent}", rank.REQUIRE)


def _commented(item: Item) -> Step:
    *schema, table = item.key.name
    comment = item.attributes.get("comment")
    arguments = [literal(table)] + ([] if comment is None else [literal(comment)])
    operation = "op.drop_table_comment" if comment is None else "op.create_table_comment"
    return Step(call(operation, *arguments, schema=in_schema(schema)), rank.COMMENT)


def _secured(key: Key, old: str, new: str) -> Iterator[Step]:
    enabled, forced = SECURITY[new]
    yield alter_table(key, f"{enabled} ROW LEVEL SECURITY", rank.REQUIRE)
    if SECURITY[old][1] != forced:
        yield alter_table(key, f"{forced} ROW LEVEL SECURITY", rank.REQUIRE)


def _state(trigger: str) -> tuple[str, str]:
    name, _, state = trigger.rpartition(" ")
    return name, state


def _switched(key: Key, old: Mapping[str, str], new: Sequence[str]) -> Iterator[Step]:
    """Switch the triggers of a partition that are not as its parent has them, and the others back.

    Back is on, mostly; where it is not, the proof says so.
    """
    becomes = {**dict.fromkeys(old, "origin"), **dict(map(_state, new))}
    for name, state in sorted(becomes.items()):
        if old.get(name) != state:
            words = f"{ENABLED[state]} TRIGGER {quoted(name)}"
            yield alter_table(key, words, rank.CREATE_PROGRAM)


def _set(item: Item, attribute: str, old: Value) -> Step:
    new = item.attributes.get(attribute)
    why = ""
    if attribute == "persistence":
        words = f"SET {'LOGGED' if new == 'permanent' else 'UNLOGGED'}"
        why = "Writes the table anew while nobody can use it."
    elif attribute == "storage parameters":
        words = options(old, new)
    elif attribute == "toast storage parameters":
        words = options(old, new, "toast.")
    elif attribute == "access method":
        words = f"SET ACCESS METHOD {new}"
    elif attribute == "tablespace":
        words = f"SET TABLESPACE {new or 'pg_default'}"
    else:
        raise RefusedError(
            f"The {attribute} of {item.key} has no operation; write it by hand: {string(str(new))}."
        )
    return alter_table(item.key, words, rank.ALTER_TABLE, why=why)
