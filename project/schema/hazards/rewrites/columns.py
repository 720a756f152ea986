"""Columns that are filled, or of another type, while their table is in use."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from project.schema.autogenerate import columns, filling, types
from project.schema.autogenerate.change import Manner
from project.schema.autogenerate.step import Step, call, executed, in_sql
from project.schema.autogenerate.text import cut, dotted, in_schema, literal, quoted, string
from project.schema.hazards.actions import Action
from project.schema.hazards.rewrites.catalogs import (
    Catalogs,
    Path,
    alone,
    alter_column,
    drop_constraint,
    path,
    required,
)
from project.schema.hazards.rewrites.constraints import concurrently, keyed, not_valid
from project.schema.reviewing.observation import Work
from project.schema.snapshot import Item, Key

#: A literal between dollars.
DOLLARS = re.compile(r"\$(\w*)\$(.*?)\$\1\$", re.DOTALL)


def added(action: Action, catalogs: Catalogs) -> str:
    """Add a column without values, and fill it a thousand rows or two at a time."""
    table = path(action.table)
    item = catalogs.column(table, action.column)
    if item is None or catalogs.column(table, action.column, was=True) is not None:
        return ""
    keys = list(_keys(table, item, catalogs))
    add = _added(table, item, catalogs) or (whole(item, catalogs) if keys else "")
    return "\n".join(filter(None, (add, *keys)))


def _keys(table: Path, item: Item, catalogs: Catalogs) -> Iterator[str]:
    """Make the keys that the column alone is, as a clause of it says."""
    for begins, kind in (("PRIMARY KEY", "primary key"), ("UNIQUE", "unique")):
        listed = f"{begins} ({quoted(item.key.name[-1])})"
        made = catalogs.made("constraint", table, begins=listed)
        if made is not None:
            yield keyed(Action(kind, ".".join(table), name=made.key.name[-1]), catalogs)


def _added(table: Path, item: Item, catalogs: Catalogs) -> str:
    attributes, column = item.attributes, item.key.name[-1]
    if attributes.get("generated"):
        return "\n".join(_kept_up(table, item, str(attributes["generated"]), catalogs))
    if attributes.get("identity") or attributes.get("default") == "next number":
        return _numbered(table, item, catalogs)
    default = types.default(item)
    if default is None:
        return ""
    lines = [
        _add(item, catalogs),
        alter_column(table, column, server_default=default),
        filled(item.key, "DEFAULT", catalogs),
    ]
    if not attributes["nullable"]:
        lines.append(required(table, column))
    return "\n".join(lines)


def _add(item: Item, catalogs: Catalogs) -> str:
    """Add a column as such: of its type, and nothing else."""
    bare = {**item.attributes, "nullable": True, "default": None, "generated": "", "identity": None}
    return whole(replace(item, attributes=bare), catalogs)


def whole(item: Item, catalogs: Catalogs) -> str:
    """Add a column with all that belongs to it."""
    *schema, table, _ = item.key.name
    written = columns.written(item, catalogs.after)
    if written is None:
        where = dotted((*schema, table))
        return executed(f"ALTER TABLE {where} ADD COLUMN {columns.spelled(item)}")
    return call("op.add_column", literal(table), written, schema=in_schema(schema))


def filled(key: Key, value: str, catalogs: Catalogs, among: str = "") -> str:
    """Give a value to rows that have none, and commit in between."""
    manner: Manner = "in parts" if catalogs.is_partitioned(key.name[:2]) else "beside"
    steps: list[Step] = list(filling.filled(key, value, manner, among=among))
    return alone(*(step.code for step in steps))


def _numbered(table: Path, item: Item, catalogs: Catalogs) -> str:
    column = item.key.name[-1]
    sequence = dotted((table[0], cut(f"{table[1]}_{column}_seq")))
    interim = dotted((table[0], cut(f"{table[1]}_{column}_numbers")))
    identity = str(item.attributes.get("identity") or "")
    drawn = interim if identity else sequence
    where = f"ALTER TABLE {dotted(table)} ALTER COLUMN {quoted(column)}"
    lines = [
        executed(f"CREATE SEQUENCE {drawn} AS {item.attributes['type']}"),
        _add(item, catalogs),
        alter_column(table, column, server_default=in_sql(f"nextval('{drawn}')")),
        filled(item.key, "DEFAULT", catalogs),
        required(table, column),
    ]
    if not identity:
        lines.append(
            executed(f"ALTER SEQUENCE {sequence} OWNED BY {dotted(table)}.{quoted(column)}")
        )
        return "\n".join(lines)
    own = f"pg_get_serial_sequence('{dotted(table)}', '{column}')"
    return "\n".join(
        [
            *lines,
            executed(f"{where} DROP DEFAULT"),
            executed(f"{where} ADD GENERATED {identity.upper()} AS IDENTITY"),
            executed(f"SELECT setval({own}, nextval('{drawn}'))"),
            executed(f"DROP SEQUENCE {drawn}"),
        ]
    )


def _kept_up(table: Path, item: Item, value: str, catalogs: Catalogs) -> list[str]:
    """Add a column that a trigger keeps up with what it is made of, and fill it."""
    column = item.key.name[-1]
    program = dotted((table[0], cut(f"{table[1]}_{column}_kept_up")))
    trigger = quoted(cut(f"{table[1]}_{column}_kept_up"))
    return [
        _add(item, catalogs),
        executed(
            f"CREATE FUNCTION {program}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" SELECT {value} INTO NEW.{quoted(column)} FROM (SELECT NEW.*) AS {quoted(table[1])};"
            " RETURN NEW; END $$"
        ),
        executed(
            f"CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {dotted(table)} FOR EACH ROW"
            f" EXECUTE FUNCTION {program}()"
        ),
        filled(item.key, value, catalogs, f"({value}) IS NOT NULL"),
    ]


def retyped(action: Action, work: tuple[Work, ...], catalogs: Catalogs) -> str:
    """Change a type: what is rebuilt with it is taken away first, or the column is made anew."""
    table = path(action.table)
    kinds = {each.kind for each in work}
    if kinds == {"scan"}:
        return _rechecked(action, table, catalogs)
    if kinds <= {"build", "scan"}:
        return _reindexed(action, table, work, catalogs)
    return _beside(action, table, catalogs)


def _rechecked(action: Action, table: Path, catalogs: Catalogs) -> str:
    named = [
        item
        for item in catalogs.parts("constraint", table)
        if str(item.attributes["definition"]).startswith("CHECK")
        and action.column in re.findall(r"\w+", str(item.attributes["definition"]))
    ]
    lines = [*(drop_constraint(table, item.key.name[-1]) for item in named), executed(action.sql)]
    remade = (catalogs.after.items.get(item.key, item) for item in named)
    return "\n".join([*lines, *map(not_valid, remade)]) if named else ""


def _reindexed(action: Action, table: Path, work: tuple[Work, ...], catalogs: Catalogs) -> str:
    names = {each.index for each in work if each.kind == "build"}
    items = [item for item in catalogs.parts("index", table) if item.key.name[-1] in names]
    if len(items) < len(names):
        return ""  # of a key, which cannot go
    schema = in_schema(table)
    drops = [
        call(
            "op.drop_index",
            literal(item.key.name[-1]),
            table_name=table[1],
            postgresql_concurrently=True,
            schema=schema,
        )
        for item in items
    ]
    remade = [catalogs.after.items.get(item.key, item) for item in items]
    return "\n".join(
        (
            "# meanwhile queries do without the index; where they cannot, make the column anew",
            *(alone(*drops), executed(action.sql), alone(*map(concurrently, remade))),
        )
    )


#: To add a column of a domain that checks something writes the table anew.
OF_A_DOMAIN = (
    "# keep the type that the domain is made of, and give the column its check: NOT VALID\n"
    "# first, and validated in op.get_context().autocommit_block()"
)


def _beside(action: Action, table: Path, catalogs: Catalogs) -> str:
    column, item = action.column, catalogs.column(table, action.column)
    if item is None or catalogs.column(table, column, was=True) is None:
        return ""
    if Key("domain", path(str(item.attributes["type"]))) in catalogs.after.items:
        return OF_A_DOMAIN
    using = re.search(r"\bUSING\b(.*)", action.text, re.IGNORECASE | re.DOTALL)
    value = using[1].strip() if using else f"{quoted(column)}::{item.attributes['type']}"
    value = DOLLARS.sub(lambda found: string(found[2]), value)  # it comes to stand within others
    new = Item(Key("column", (*table, cut(f"{column}_new"))), {**item.attributes, "comment": None})
    lines = [
        "# a column beside it, which a trigger keeps up:",
        *_kept_up(table, new, value, catalogs),
    ]
    if not item.attributes["nullable"]:
        lines.append(required(table, new.key.name[-1]))
    built, left = _built_on(table, column, catalogs)
    lines += [each.code for each in built]
    if item.attributes.get("identity") or item.attributes.get("default") == "next number":
        left.append("its numbers")
    if left:
        lines += [
            f"# before {new.key.name[-1]} gets its name it needs what {column} has:",
            f"# {', '.join(left)}",
            '# (with info={"expand": True} in the model, autogenerate writes all of it)',
        ]
        return "\n".join(lines)
    trigger = cut(f"{table[1]}_{new.key.name[-1]}_kept_up")
    lines += [
        f"# then, or a release later where code minds what {column} is:",
        executed(f"DROP TRIGGER {quoted(trigger)} ON {dotted(table)}"),
        executed(f"DROP FUNCTION {dotted((table[0], trigger))}()"),
        call("op.drop_column", literal(table[1]), literal(column), schema=in_schema(table)),
        alter_column(table, new.key.name[-1], new_column_name=column),
        *(each.renamed for each in built),
    ]
    if item.attributes.get("default") is not None:
        lines.append(alter_column(table, column, server_default=types.default(item)))
    return "\n".join(lines)


@dataclass(frozen=True)
class _Part:
    """What stands on a column, made anew on the one beside it."""

    code: str
    renamed: str


def _built_on(table: Path, column: str, catalogs: Catalogs) -> tuple[list[_Part], list[str]]:
    """Make what stands on a column for the one beside it; name what takes more than that."""
    built: list[_Part] = []
    left: list[str] = []
    word = re.compile(rf'(?<![\w"]){re.escape(quoted(column))}(?![\w"])')
    other = quoted(cut(f"{column}_new"))
    keys = set()
    for item in (*catalogs.parts("constraint", table), *catalogs.parts("index", table)):
        definition, name = str(item.attributes["definition"]), item.key.name[-1]
        mine, _, referred = definition.partition(" REFERENCES ")
        if not word.search(mine) or name in keys:
            continue
        if definition.startswith(("PRIMARY KEY", "UNIQUE", "EXCLUDE")):
            keys.add(name)
            left.append(name)
            continue
        said = word.sub(lambda _: other, mine) + (f" REFERENCES {referred}" if referred else "")
        anew = replace(
            item,
            key=Key(item.key.kind, (*table, cut(f"{name}_new"))),
            attributes={**item.attributes, "definition": said},
        )
        interim, old = quoted(cut(f"{name}_new")), quoted(name)
        if item.key.kind == "index":
            words = f"ALTER INDEX {dotted((table[0], cut(f'{name}_new')))} RENAME TO {old}"
            built.append(_Part(alone(concurrently(anew)), executed(words)))
        else:
            words = f"ALTER TABLE {dotted(table)} RENAME CONSTRAINT {interim} TO {old}"
            built.append(_Part(not_valid(anew), executed(words)))
    referring = (
        item.key.name[-1]
        for item in catalogs.before.of_kind("constraint")
        if re.search(
            rf"REFERENCES {re.escape(dotted(table))}\([^)]*{re.escape(quoted(column))}\b"
            rf"|REFERENCES {re.escape('.'.join(table))}\([^)]*{re.escape(quoted(column))}\b",
            str(item.attributes["definition"]),
        )
    )
    views = (
        item.key.name[-1]
        for item in catalogs.before.of_kind("view")
        if {table[1], column} <= set(re.findall(r"\w+", str(item.attributes["definition"])))
    )
    return built, [*left, *referring, *views]
