"""Operations on tables as a whole."""

from collections.abc import Iterator, Sequence

from project.schema.autogenerate import columns, constraints, rank
from project.schema.autogenerate.change import Change, RefusedError
from project.schema.autogenerate.columns import options
from project.schema.autogenerate.step import Code, Step, call, execute
from project.schema.autogenerate.text import dotted, in_schema, literal, quoted, string
from project.schema.snapshot import Item, Key, Value

#: What a table is from its first day.
FIXED = {"partitioned by": "partitioning", "foreign": "kind", "of type": "row type"}


def created(
    item: Item, parts: Sequence[Item], inline: Sequence[Item], change: Change
) -> Iterator[Step]:
    """Create a table with its columns and those constraints that can stand with it.

    Args:
        item: The table.
        parts: Its columns.
        inline: Its constraints.
        change: What the table is part of.

    """
    *schema, table = item.key.name
    attributes = item.attributes
    if attributes.get("partition of"):
        yield _partition(item)
        return
    if attributes.get("foreign"):
        raise RefusedError(f"{item.key} is a foreign table; write CREATE FOREIGN TABLE by hand.")
    keys = [c for c in inline if str(c.attributes["definition"]).startswith("PRIMARY KEY (")]
    key = constraints.parse(str(keys[0].attributes["definition"])) if keys else None
    arguments, later = [literal(table)], []
    for column in parts:
        if column.attributes.get("inherited"):
            continue
        alone = key is not None and key.columns == (column.key.name[-1],)
        written = columns.written(column, change.after, numbered=alone)
        serial = column.attributes.get("default") == "next number"
        if written is None or later or (serial and not (alone and columns.is_serial(column))):
            later.append(column)
        else:
            arguments.append(written)
    with_key = not any(column.key.name[-1] in key.columns for column in later) if key else True
    for constraint in inline:
        text = constraints.inline(constraint)
        if text is not None and with_key:
            arguments.append(text)
    options_: dict[str, object] = {
        "prefixes": Code('["UNLOGGED"]') if attributes["persistence"] == "unlogged" else None,
        "postgresql_partition_by": attributes.get("partitioned by"),
        "postgresql_inherits": _inherits(attributes.get("inherits")),
        "postgresql_with": _with(attributes.get("storage parameters")),
        "postgresql_using": attributes.get("access method")
        if attributes.get("access method") not in {None, "heap"}
        else None,
        "postgresql_tablespace": attributes.get("tablespace"),
        "comment": attributes.get("comment"),
        "schema": in_schema(schema),
    }
    yield Step(
        call("op.create_table", *arguments, **options_),
        rank.CREATE_TABLE,
        again=call("op.create_table", *arguments, **options_, if_not_exists=True),
    )
    for column in later:
        for step in columns.added(column, change):
            yield Step(step.code, rank.CREATE_TABLE, step.alone, step.why, step.again)
    if not with_key:
        for constraint in inline:
            yield from constraints.added(constraint, change)
    for column in parts:
        for setting in columns.SETTINGS:
            if column.attributes.get(setting) is not None and column not in later:
                yield columns._setting(column.key, setting, None, column.attributes[setting])
    for attribute in ("row security", "replica identity", "toast storage parameters"):
        usual: Value = {"row security": "off", "replica identity": "default"}.get(attribute)
        if attributes.get(attribute) != usual:
            yield from _changed(item.key, attribute, usual, attributes.get(attribute))


def _partition(item: Item) -> Step:
    parent = item.attributes["partition of"]
    persistence = "UNLOGGED " if item.attributes["persistence"] == "unlogged" else ""
    by = item.attributes.get("partitioned by")
    tail = f" PARTITION BY {by}" if by else ""
    bound = item.attributes["partition"]
    return execute(
        f"CREATE {persistence}TABLE {dotted(item.key.name)} PARTITION OF {parent} {bound}{tail}",
        rank.CREATE_TABLE,
    )


def _inherits(value: Value) -> Code | None:
    if not isinstance(value, tuple):
        return None
    names = [".".join(constraints.path(str(name))).removeprefix("public.") for name in value]
    return Code(f"({', '.join(map(literal, names))},)")


def _with(value: Value) -> Code | None:
    if not isinstance(value, tuple):
        return None
    pairs = [str(option).split("=", 1) for option in value]
    return Code("{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in pairs) + "}")


def dropped(item: Item, change: Change) -> Iterator[Step]:
    """Drop a table."""
    *schema, table = item.key.name
    name = columns.name(item.key)
    yield Step(
        call("op.drop_table", literal(table), schema=in_schema(schema)),
        rank.DROP_TABLE,
        why="" if change.back else f"loses: {name}, which the models no longer have",
        again=call("op.drop_table", literal(table), if_exists=True, schema=in_schema(schema)),
    )


def altered(before: Item, after: Item) -> Iterator[Step]:
    """Change what a table has apart from its columns.

    Raises:
        RefusedError: PostgreSQL cannot change it in place.

    """
    names = before.attributes.keys() | after.attributes.keys()
    for attribute in sorted(names):
        old, new = before.attributes.get(attribute), after.attributes.get(attribute)
        if old == new:
            continue
        if attribute in FIXED:
            raise RefusedError(
                f"The {FIXED[attribute]} of {after.key} cannot be changed in place: make a new"
                " table, copy the rows and swap the names, in steps written by hand."
            )
        if attribute == "partition" and old is not None and new is not None:
            parent = after.attributes["partition of"]
            yield from _changed(after.key, "partition of", parent, parent, after)
        elif attribute != "partition":
            yield from _changed(after.key, attribute, old, new, after)


def _changed(
    key: Key, attribute: str, old: Value, new: Value, after: Item | None = None
) -> Iterator[Step]:
    *schema, table = key.name
    alter = f"ALTER TABLE {dotted(key.name)}"
    position = rank.ALTER_TABLE
    if attribute == "comment":
        if new is None:
            code = call("op.drop_table_comment", literal(table), schema=in_schema(schema))
        else:
            code = call(
                "op.create_table_comment", literal(table), literal(new), schema=in_schema(schema)
            )
        yield Step(code, rank.COMMENT)
    elif attribute == "persistence":
        yield execute(
            f"{alter} SET {'LOGGED' if new == 'permanent' else 'UNLOGGED'}",
            position,
            why="Writes the table anew while nobody can read it.",
        )
    elif attribute == "storage parameters":
        yield execute(f"{alter} {options(old, new)}", position)
    elif attribute == "toast storage parameters":
        yield execute(f"{alter} {options(old, new, 'toast.')}", position)
    elif attribute == "access method":
        yield execute(f"{alter} SET ACCESS METHOD {new}", position)
    elif attribute == "tablespace":
        yield execute(f"{alter} SET TABLESPACE {new or 'pg_default'}", position)
    elif attribute == "row security":
        words = {
            "off": ("DISABLE", "NO FORCE"),
            "enabled": ("ENABLE", "NO FORCE"),
            "forced": ("ENABLE", "FORCE"),
        }[str(new)]
        yield execute(f"{alter} {words[0]} ROW LEVEL SECURITY", rank.REQUIRE)
        if (old == "forced") != (new == "forced"):
            yield execute(f"{alter} {words[1]} ROW LEVEL SECURITY", rank.REQUIRE)
    elif attribute == "replica identity":
        identity = str(new)
        words_ = identity.upper()
        if identity.startswith("index "):
            words_ = f"USING INDEX {quoted(constraints.path(identity.removeprefix('index '))[-1])}"
        yield execute(f"{alter} REPLICA IDENTITY {words_}", rank.REQUIRE)
    elif attribute == "inherits":
        was = set(old) if isinstance(old, tuple) else set()
        becomes = set(new) if isinstance(new, tuple) else set()
        for parent in sorted(map(str, was - becomes)):
            yield execute(f"{alter} NO INHERIT {parent}", position)
        for parent in sorted(map(str, becomes - was)):
            yield execute(f"{alter} INHERIT {parent}", position)
    elif attribute == "partition of":
        if old is not None:
            yield execute(f"ALTER TABLE {old} DETACH PARTITION {dotted(key.name)}", position)
        if new is not None and after is not None:
            bound = after.attributes["partition"]
            yield execute(
                f"ALTER TABLE {new} ATTACH PARTITION {dotted(key.name)} {bound}",
                rank.ALTER_COLUMN,
            )
    else:
        raise RefusedError(
            f"The {attribute} of {key} has no operation; write it by hand: {string(str(new))}."
        )
