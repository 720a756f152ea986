"""Operations on constraints and indexes: what the server prints, read and written as Alembic's."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, Path, RefusedError
from project.schema.autogenerate.step import Code, Step, call, execute
from project.schema.autogenerate.text import (
    dotted,
    in_schema,
    literal,
    parenthesized,
    quoted,
    split,
    sql_text,
    unquoted,
)
from project.schema.snapshot import Item, Key, Value

KINDS = {"PRIMARY KEY": "primary", "UNIQUE": "unique", "FOREIGN KEY": "foreign", "CHECK": "check"}


@dataclass(frozen=True)
class Constraint:
    """What a definition says, as far as Alembic has arguments for it.

    Attributes:
        kind: primary, unique, foreign or check.
        columns: Of the table itself; of a check its expression alone.
        options: The other arguments.
        referred: The table a foreign key refers to.

    """

    kind: str
    columns: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    referred: Path = ()
    referred_columns: tuple[str, ...] = ()


def parse(definition: str) -> Constraint | None:
    """Read what ``pg_get_constraintdef`` prints; None where Alembic has no words for all of it."""
    kind = next((kind for kind in KINDS if definition.startswith(kind)), None)
    if kind is None:
        return None
    rest = definition.removeprefix(kind).strip()
    options: dict[str, object] = {}
    if rest.startswith("NULLS NOT DISTINCT"):
        options["postgresql_nulls_not_distinct"] = True
        rest = rest.removeprefix("NULLS NOT DISTINCT").strip()
    inside, rest = parenthesized(rest)
    referred: Path = ()
    referred_columns: tuple[str, ...] = ()
    if kind == "FOREIGN KEY":
        found = re.match(r'REFERENCES ((?:"(?:[^"]|"")+"|[^"(\s])+)', rest)
        assert found is not None, definition  # noqa: S101
        referred = path(found[1])
        there, rest = parenthesized(rest[found.end() :].strip())
        referred_columns = tuple(unquoted(column) for column in split(there))
    if found := re.match(r"INCLUDE (\(.*)", rest):
        included, rest = parenthesized(found[1])
        options["postgresql_include"] = [unquoted(column) for column in split(included)]
    columns = (inside,) if kind == "CHECK" else tuple(unquoted(part) for part in split(inside))
    if any(re.search(r"\bWITHOUT OVERLAPS$|^PERIOD ", column) for column in columns):
        return None
    if not _take_words(rest, options):
        return None
    return Constraint(KINDS[kind], columns, options, referred, referred_columns)


#: What may follow, and the arguments that say it.
WORDS: tuple[tuple[str, str, object], ...] = (
    (r"MATCH (FULL|PARTIAL)", "match", None),
    (r"ON UPDATE (CASCADE|RESTRICT|SET NULL|SET DEFAULT)", "onupdate", None),
    (
        r"ON DELETE (CASCADE|RESTRICT|SET NULL(?: \(.*?\))?|SET DEFAULT(?: \(.*?\))?)",
        "ondelete",
        None,
    ),
    (r"DEFERRABLE", "deferrable", True),
    (r"INITIALLY (DEFERRED)", "initially", None),
    (r"NOT VALID", "postgresql_not_valid", True),
)


def _take_words(rest: str, options: dict[str, object]) -> bool:
    for pattern, argument, value in WORDS:
        if found := re.match(pattern, rest):
            options[argument] = value if value is not None else found[1]
            rest = rest[found.end() :].strip()
    return not rest


def path(name: str) -> Path:
    """Read a name with its schema."""
    return tuple(unquoted(part) for part in re.findall(r'"(?:[^"]|"")*"|[^.]+', name))


def inline(item: Item) -> str | None:
    """Write a constraint for ``op.create_table``; None where SQLAlchemy has no words for it."""
    constraint = parse(str(item.attributes["definition"]))
    if constraint is None or _beside(item):
        return None
    options = _shown(constraint.options)
    if constraint.options.get("postgresql_not_valid"):
        return None
    name = Code(f"op.f({literal(item.key.name[-1])})")
    if constraint.kind == "check":
        return call("sa.CheckConstraint", sql_text(constraint.columns[0]), name=name)
    columns = [literal(column) for column in constraint.columns]
    if constraint.kind == "foreign":
        prefix = "" if constraint.referred[0] == "public" else f"{constraint.referred[0]}."
        targets = [
            f"{prefix}{constraint.referred[-1]}.{column}" for column in constraint.referred_columns
        ]
        if any("." in part for part in (*constraint.referred, *constraint.referred_columns)):
            return None
        return call(
            "sa.ForeignKeyConstraint",
            f"[{', '.join(columns)}]",
            f"[{', '.join(map(literal, targets))}]",
            name=name,
            **options,
        )
    kind = {"primary": "sa.PrimaryKeyConstraint", "unique": "sa.UniqueConstraint"}[constraint.kind]
    return call(kind, *columns, name=name, **options)


def _beside(item: Item) -> bool:
    """Tell whether there is more to a constraint than its definition."""
    others = ("storage parameters", "tablespace", "clustered")
    return any(item.attributes.get(attribute) for attribute in others)


def _shown(given: Mapping[str, object]) -> dict[str, object]:
    return {
        name: Code(f"[{', '.join(map(literal, value))}]") if isinstance(value, list) else value
        for name, value in given.items()
    }


def added(item: Item, change: Change) -> Iterator[Step]:
    """Add a constraint to a table that is there."""
    table = item.key.name[:2]
    definition = str(item.attributes["definition"])
    constraint = parse(definition)
    online = change.online(table)
    unvalidated = definition.endswith("NOT VALID")
    stored = _stored(item)
    if constraint is None or (stored and not online):
        yield _added_as_sql(item, f"{definition}{stored}", online=online)
    elif constraint.kind in {"primary", "unique"} and online:
        yield from _through_an_index(item, constraint)
    elif constraint.kind in {"primary", "unique"}:
        yield Step(_operation(item, constraint), rank.ADD_CONSTRAINT)
    else:
        # A foreign key also locks the table that it refers to.
        known = online or (bool(constraint.referred) and change.online(constraint.referred))
        if known and not unvalidated and "NOT ENFORCED" not in definition:
            yield from _validated_later(item, constraint)
        else:
            yield Step(
                _operation(item, constraint), rank.ADD_CONSTRAINT, again=_again(item, constraint)
            )
    if item.attributes.get("clustered"):
        yield _clustered(item)
    if item.attributes.get("comment"):
        yield commented(item)


def _stored(item: Item) -> str:
    """Write how the index of a constraint is stored, where that is not as usual."""
    parameters, tablespace = (item.attributes.get(n) for n in ("storage parameters", "tablespace"))
    words = f" WITH ({', '.join(_strings(parameters))})" if parameters else ""
    return words + (f" USING INDEX TABLESPACE {tablespace}" if tablespace else "")


def _with(value: Value) -> Code | None:
    pairs = [option.split("=", 1) for option in _strings(value)]
    listed = ", ".join(f"{literal(name)}: {literal(setting)}" for name, setting in pairs)
    return Code(f"{{{listed}}}") if pairs else None


def _added_as_sql(item: Item, definition: str, *, online: bool) -> Step:
    table, name = dotted(item.key.name[:2]), quoted(item.key.name[-1])
    sql = f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
    drop = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
    why = ""
    if online and definition.startswith("EXCLUDE"):
        why = "Reads the whole table while nobody can use it: PostgreSQL has no other way."
    return execute(
        sql, rank.ADD_CONSTRAINT, why=why, again=f"{drop}, ADD CONSTRAINT {name} {definition}"
    )


def _operation(item: Item, constraint: Constraint, **more: object) -> str:
    *schema, table, name = item.key.name
    named = f"op.f({literal(name)})"
    options = {**_shown(constraint.options), **more}
    listed = f"[{', '.join(literal(column) for column in constraint.columns)}]"
    if constraint.kind == "check":
        operation, arguments = "op.create_check_constraint", [sql_text(constraint.columns[0])]
    elif constraint.kind == "foreign":
        operation = "op.create_foreign_key"
        there = f"[{', '.join(map(literal, constraint.referred_columns))}]"
        options["referent_schema"] = in_schema(constraint.referred[:-1])
        options["source_schema"] = in_schema(schema)
        arguments = [literal(constraint.referred[-1]), listed, there]
        return call(operation, named, literal(table), *arguments, **options)
    elif constraint.kind == "primary":
        operation, arguments = "op.create_primary_key", [listed]
    else:
        operation, arguments = "op.create_unique_constraint", [listed]
    return call(operation, named, literal(table), *arguments, **options, schema=in_schema(schema))


def _again(item: Item, constraint: Constraint, **more: object) -> str:
    drop = _drop(item.key, constraint.kind, if_exists=True)
    return f"{drop}\n{_operation(item, constraint, **more)}"


def _drop(key: Key, kind: str, *, if_exists: bool | None = None) -> str:
    *schema, table, name = key.name
    return call(
        "op.drop_constraint",
        f"op.f({literal(name)})",
        literal(table),
        type_={"primary": "primary", "foreign": "foreignkey"}.get(kind, kind) or None,
        if_exists=if_exists,
        schema=in_schema(schema),
    )


def _validated_later(item: Item, constraint: Constraint) -> Iterator[Step]:
    """Add a constraint in an instant, and look at the rows while requests go on."""
    table, name = dotted(item.key.name[:2]), quoted(item.key.name[-1])
    yield Step(
        _operation(item, constraint, postgresql_not_valid=True),
        rank.ADD_CONSTRAINT,
        again=_again(item, constraint, postgresql_not_valid=True),
    )
    yield execute(
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}",
        rank.VALIDATE,
        alone=True,
        why=_probe(item, constraint),
    )


def _probe(item: Item, constraint: Constraint) -> str:
    """Say which rows would refuse, and how to look for them before."""
    table = dotted(item.key.name[:2])
    columns = [quoted(column) for column in constraint.columns]
    if constraint.kind == "check":
        return f"assumes: no rows like: SELECT * FROM {table} WHERE NOT ({_one_line(constraint.columns[0])})"
    joined = " AND ".join(
        f"there.{quoted(b)} = here.{quoted(a)}"
        for a, b in zip(constraint.columns, constraint.referred_columns, strict=True)
    )
    missing = " AND ".join(f"here.{column} IS NOT NULL" for column in columns)
    return (
        f"assumes: no rows like: SELECT * FROM {table} AS here WHERE {missing}\n"
        f"AND NOT EXISTS (SELECT FROM {dotted(constraint.referred)} AS there WHERE {joined})"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _through_an_index(item: Item, constraint: Constraint) -> Iterator[Step]:
    """Build the index of a unique constraint or primary key beside running requests."""
    *schema, table, name = item.key.name
    options = dict(constraint.options)
    deferred = {key: options.pop(key) for key in ("deferrable", "initially") if key in options}
    columns = f"[{', '.join(literal(column) for column in constraint.columns)}]"
    where = (literal(name), literal(table))
    listed = ", ".join(quoted(column) for column in constraint.columns)
    whole = dotted(item.key.name[:2])
    yield execute(
        f"ALTER TABLE {whole} DROP CONSTRAINT IF EXISTS {quoted(name)}",
        rank.CREATE_INDEX,
        alone=True,
    )
    yield _index_dropped(item.key, rank.CREATE_INDEX)
    yield Step(
        call(
            "op.create_index",
            *where,
            columns,
            unique=True,
            postgresql_concurrently=True,
            **_shown(options),
            postgresql_with=_with(item.attributes.get("storage parameters")),
            postgresql_tablespace=item.attributes.get("tablespace"),
            schema=in_schema(schema),
        ),
        rank.CREATE_INDEX,
        alone=True,
        why=f"assumes: no rows repeat: SELECT {listed} FROM {whole} GROUP BY {listed}"
        " HAVING count(*) > 1",
    )
    words = "PRIMARY KEY" if constraint.kind == "primary" else "UNIQUE"
    ending = " DEFERRABLE" if deferred.get("deferrable") else ""
    ending += " INITIALLY DEFERRED" if deferred.get("initially") else ""
    yield execute(
        f"ALTER TABLE {whole} ADD CONSTRAINT {quoted(name)} {words} USING INDEX {quoted(name)}{ending}",
        rank.REQUIRE + 1,
    )


def _index_dropped(key: Key, position: int) -> Step:
    """Drop an index that may be left over from a try that failed, half built."""
    *schema, table, name = key.name
    return Step(
        call(
            "op.drop_index",
            f"op.f({literal(name)})",
            table_name=table,
            postgresql_concurrently=True,
            if_exists=True,
            schema=in_schema(schema),
        ),
        position,
        alone=True,
    )


def dropped(item: Item, change: Change) -> Iterator[Step]:
    """Drop a constraint."""
    del change
    constraint = parse(str(item.attributes["definition"]))
    kind = constraint.kind if constraint else ""
    position = rank.DROP_FOREIGN_KEY if kind == "foreign" else rank.DROP_CONSTRAINT
    yield Step(_drop(item.key, kind), position, again=_drop(item.key, kind, if_exists=True))


def altered(before: Item, after: Item, change: Change) -> Iterator[Step] | None:
    """Change a constraint in place; None where it must be made anew."""
    del change
    differing = {
        attribute
        for attribute in before.attributes.keys() | after.attributes.keys()
        if before.attributes.get(attribute) != after.attributes.get(attribute)
    }
    old, new = str(before.attributes["definition"]), str(after.attributes["definition"])
    steps: list[Step] = []
    if "definition" in differing:
        if old != f"{new} NOT VALID":
            return None
        table, name = dotted(after.key.name[:2]), quoted(after.key.name[-1])
        steps.append(
            execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}", rank.VALIDATE, alone=True)
        )
    if not differing <= {"definition", "comment", "clustered"}:
        return None
    if "clustered" in differing:
        steps.append(_clustered(after))
    if "comment" in differing:
        steps.append(commented(after))
    return iter(steps)


def _clustered(item: Item) -> Step:
    """Name the index by which ``CLUSTER`` orders the table."""
    on = item.attributes.get("clustered")
    words = f"CLUSTER ON {quoted(item.key.name[-1])}" if on else "SET WITHOUT CLUSTER"
    return execute(f"ALTER TABLE {dotted(item.key.name[:2])} {words}", rank.COMMENT)


def commented(item: Item) -> Step:
    """Comment on a constraint or an index."""
    comment = item.attributes.get("comment")
    text = "NULL" if comment is None else "'" + str(comment).replace("'", "''") + "'"
    name = quoted(item.key.name[-1])
    if item.key.kind == "constraint":
        what = f"CONSTRAINT {name} ON {dotted(item.key.name[:2])}"
    else:
        what = f"INDEX {dotted((item.key.name[0], item.key.name[-1]))}"
    return execute(f"COMMENT ON {what} IS {text}", rank.COMMENT)


@dataclass(frozen=True)
class Index:
    """What an index definition says: ``USING btree (a, lower(b) DESC) WHERE (a > 0)``."""

    method: str
    parts: tuple[str, ...]
    options: Mapping[str, object]


def parse_index(definition: str) -> Index | None:
    """Read an index definition; None where Alembic has no words for all of it."""
    found = re.match(r"USING (\w+) ", definition)
    if found is None:
        return None
    inside, rest = parenthesized(definition[found.end() :])
    options: dict[str, object] = {}
    if rest.startswith("INCLUDE "):
        included, rest = parenthesized(rest.removeprefix("INCLUDE "))
        options["postgresql_include"] = [unquoted(column) for column in split(included)]
    if rest.startswith("NULLS NOT DISTINCT"):
        options["postgresql_nulls_not_distinct"] = True
        rest = rest.removeprefix("NULLS NOT DISTINCT").strip()
    if rest.startswith("WITH "):
        given, rest = parenthesized(rest.removeprefix("WITH "))
        pairs = dict(part.split("=", 1) for part in split(given))
        options["postgresql_with"] = Code(
            "{"
            + ", ".join(f"{literal(k)}: {literal(v.strip(chr(39)))}" for k, v in pairs.items())
            + "}"
        )
    if rest.startswith("WHERE "):
        inner, rest = parenthesized(rest.removeprefix("WHERE "))
        options["postgresql_where"] = Code(f"sa.text({sql_text(inner)})")
    if rest:
        return None
    return Index(found[1], tuple(split(inside)), options)


def index_added(item: Item, change: Change, name: str | None = None) -> Iterator[Step]:
    """Create an index; under traffic beside running requests."""
    *schema, table, own = item.key.name
    attributes = item.attributes
    on_view = Key("view", item.key.name[:2]) in change.after.items
    online = change.online(item.key.name[:2]) and not on_view
    parsed = parse_index(str(attributes["definition"]))
    name = name or own
    if parsed is None or attributes.get("on this table only"):
        unique = "UNIQUE " if attributes["unique"] else ""
        only = "ONLY " if attributes.get("on this table only") else ""
        yield execute(
            f"CREATE {unique}INDEX {quoted(name)} ON {only}{dotted(item.key.name[:2])}"
            f" {attributes['definition']}",
            rank.CREATE_INDEX,
        )
    else:
        parts = [
            literal(unquoted(part))
            if re.fullmatch(r'"(?:[^"]|"")*"|[a-z_][a-z0-9_$]*', part)
            else f"sa.text({sql_text(part)})"
            for part in parsed.parts
        ]
        if online:
            yield _index_dropped(Key("index", (*schema, table, name)), rank.CREATE_INDEX)
        yield Step(
            call(
                "op.create_index",
                f"op.f({literal(name)})",
                literal(table),
                f"[{', '.join(parts)}]",
                unique=True if attributes["unique"] else None,
                postgresql_using=parsed.method if parsed.method != "btree" else None,
                **_shown(parsed.options),
                postgresql_tablespace=attributes.get("tablespace"),
                postgresql_concurrently=True if online else None,
                schema=in_schema(schema),
            ),
            rank.CREATE_INDEX
            if Key("table", item.key.name[:2]) in change.before.items
            else rank.CREATE_TABLE + 1
            if not on_view
            else rank.CREATE_PROGRAM + 1,
            alone=online,
            why=_repeating(item, parsed) if online else "",
        )
    if attributes.get("statistics targets"):
        for entry in _strings(attributes["statistics targets"]):
            column, _, target = entry.rpartition(" ")
            yield execute(
                f"ALTER INDEX {dotted((item.key.name[0], name))} ALTER COLUMN"
                f" {column if column.isdigit() else _position(item, column)} SET STATISTICS {target}",
                rank.COMMENT,
            )
    if attributes.get("clustered"):
        yield _clustered(item)
    if attributes.get("comment"):
        yield commented(item)


def _repeating(item: Item, index: Index) -> str:
    if not item.attributes["unique"]:
        return ""
    listed = ", ".join(index.parts)
    return (
        f"assumes: no rows repeat: SELECT {listed} FROM {dotted(item.key.name[:2])}"
        f" GROUP BY {listed} HAVING count(*) > 1"
    )


def _strings(value: Value) -> list[str]:
    return [str(part) for part in value] if isinstance(value, tuple) else []


def _position(item: Item, column: str) -> int:
    """Return the number of an index's column, which PostgreSQL calls ``expr`` if it is none."""
    parsed = parse_index(str(item.attributes["definition"]))
    parts = parsed.parts if parsed else ()
    expressions = [n for n, part in enumerate(parts, 1) if "(" in part]
    return expressions[0] if column.startswith("expr") and expressions else 1


def index_dropped(item: Item, change: Change) -> Iterator[Step]:
    """Drop an index; under traffic without a lock that others wait for."""
    *schema, table, name = item.key.name
    on_view = Key("view", item.key.name[:2]) in change.before.items
    if change.online(item.key.name[:2]) and not on_view:
        yield _index_dropped(item.key, rank.CREATE_INDEX - 1)
        return
    arguments = (f"op.f({literal(name)})",)
    yield Step(
        call("op.drop_index", *arguments, table_name=table, schema=in_schema(schema)),
        rank.DROP_INDEX,
        again=call(
            "op.drop_index", *arguments, table_name=table, if_exists=True, schema=in_schema(schema)
        ),
    )


def index_altered(before: Item, after: Item, change: Change) -> Iterator[Step] | None:
    """Change an index in place; None where it must be made anew."""
    differing = {
        attribute
        for attribute in before.attributes.keys() | after.attributes.keys()
        if before.attributes.get(attribute) != after.attributes.get(attribute)
    }
    if differing == {"comment"}:
        return iter([commented(after)])
    if differing == {"clustered"}:
        return iter([_clustered(after)])
    if not after.attributes["valid"]:
        raise RefusedError(f"{after.key} is invalid after it; no operation makes such an index.")
    if not change.online(after.key.name[:2]) or differing & {"valid", "on this table only"}:
        return None
    if parse_index(str(after.attributes["definition"])) is None:
        return None
    return _replaced(before, after, change)


def _replaced(before: Item, after: Item, change: Change) -> Iterator[Step]:
    """Build the new index before the old one goes, so that queries always have one."""
    *schema, _, name = after.key.name
    new = f"{name[:59]}_new"
    bare = {k: v for k, v in after.attributes.items() if k not in {"comment", "clustered"}}
    yield from index_added(Item(after.key, bare), change, new)
    yield _index_dropped(before.key, rank.CREATE_INDEX)
    yield execute(
        f"ALTER INDEX IF EXISTS {dotted((*schema, new) if schema else (new,))}"
        f" RENAME TO {quoted(name)}",
        rank.CREATE_INDEX,
        alone=True,
    )
    if after.attributes.get("comment"):
        yield commented(after)
    if after.attributes.get("clustered"):
        yield _clustered(after)
