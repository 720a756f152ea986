"""Operations on types that a user makes: enums, domains, composites, ranges; and collations."""

import re
from collections.abc import Iterator

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, RefusedError, differing
from project.schema.autogenerate.definitions import plainly, strings
from project.schema.autogenerate.step import Once, Step, execute
from project.schema.autogenerate.text import dotted, quoted, string, unquoted
from project.schema.snapshot import Item, Key


def _type(item: Item, statement: str) -> Step:
    """Create a type; there is no IF NOT EXISTS for one."""
    missing = f"SELECT WHERE to_regtype({string(dotted(item.key.name))}) IS NULL"
    return execute(statement, rank.CREATE_TYPE, again=Once(missing, (statement,)))


def enum(item: Item, _: Change) -> Iterator[Step]:
    """Create an enum."""
    labels = ", ".join(string(label) for label in strings(item.attributes["values"]))
    yield _type(item, f"CREATE TYPE {dotted(item.key.name)} AS ENUM ({labels})")


def enum_altered(before: Item, after: Item, change: Change) -> list[Step]:
    """Add labels in their places.

    One that goes or moves takes another type: see :mod:`rebuilding`.
    """
    if "values" not in differing(before, after):
        return []
    old, new = strings(before.attributes["values"]), strings(after.attributes["values"])
    steps = []
    for place, label in enumerate(new):
        if label in old:
            continue
        where = f" AFTER {string(new[place - 1])}" if place else f" BEFORE {string(old[0])}"
        if place and place == len(new) - 1:
            where = ""
        add = f"ADD VALUE IF NOT EXISTS {string(label)}{where}"
        used = _is_used(label, after.key, change)
        why = "A new label can be used once it is committed." if used else ""
        steps.append(
            execute(
                f"ALTER TYPE {dotted(after.key.name)} {add}", rank.CREATE_TYPE, alone=used, why=why
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
    ) or any(string(label) in value for value in change.hints.backfill.values())


def domain(item: Item, _: Change) -> Iterator[Step]:
    """Create a domain; its checks are objects of their own."""
    attributes = item.attributes
    sql = f"CREATE DOMAIN {dotted(item.key.name)} AS {attributes['type']}"
    if attributes.get("collation"):
        sql += f" COLLATE {attributes['collation']}"
    if attributes.get("default") is not None:
        sql += f" DEFAULT {attributes['default']}"
    if not attributes["nullable"]:
        sql += " NOT NULL"
    yield _type(item, sql)


def domain_altered(before: Item, after: Item, _: Change) -> list[Step] | None:
    """Change a domain's default or whether it may be NULL."""
    names = differing(before, after) - {"comment"}
    if not names <= {"default", "nullable", "not null name"}:
        return None
    alter = f"ALTER DOMAIN {dotted(after.key.name)}"
    steps = []
    if "default" in names:
        default = after.attributes.get("default")
        words = "DROP DEFAULT" if default is None else f"SET DEFAULT {default}"
        steps.append(execute(f"{alter} {words}", rank.CREATE_TYPE))
    usual = f"{after.key.name[-1]}_not_null"
    old, new = (str(item.attributes.get("not null name") or usual) for item in (before, after))
    if "nullable" in names:
        # A constraint of its own from PostgreSQL 17 on, and until then a word.
        given = "SET NOT NULL" if new == usual else f"ADD CONSTRAINT {quoted(new)} NOT NULL"
        words = "DROP NOT NULL" if after.attributes["nullable"] else given
        steps.append(execute(f"{alter} {words}", rank.ALTER_COLUMN))
    elif old != new and not after.attributes["nullable"]:
        words = f"RENAME CONSTRAINT {quoted(old)} TO {quoted(new)}"
        steps.append(execute(f"{alter} {words}", rank.ALTER_COLUMN))
    return steps


def domain_constraint(item: Item, change: Change) -> Iterator[Step]:
    """Add a check to a domain; the rows of one that is there are looked at while requests go on."""
    name, definition = quoted(item.key.name[-1]), plainly(str(item.attributes["definition"]))
    alter = f"ALTER DOMAIN {dotted(item.key.name[:2])}"
    validated = bool(item.attributes["validated"])
    later = validated and Key("domain", item.key.name[:2]) in change.before.items
    tail = " NOT VALID" if later or not validated else ""
    add = f"{alter} ADD CONSTRAINT {name} {definition}{tail}"
    where = f"contypid = to_regtype({string(dotted(item.key.name[:2]))})"
    where += f" AND conname = {string(item.key.name[-1])}"
    missing = f"SELECT WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE {where})"
    yield execute(add, rank.CREATE_TYPE, again=Once(missing, (add,)))
    if later:
        yield _validate(item)


def _validate(item: Item) -> Step:
    name, alter = quoted(item.key.name[-1]), f"ALTER DOMAIN {dotted(item.key.name[:2])}"
    return execute(f"{alter} VALIDATE CONSTRAINT {name}", rank.VALIDATE, alone=True)


def domain_constraint_altered(before: Item, after: Item, _: Change) -> list[Step] | None:
    """Validate a check."""
    only = differing(before, after) - {"comment"} == {"validated"}
    return [_validate(after)] if only and after.attributes["validated"] else None


def composite(item: Item, _: Change) -> Iterator[Step]:
    """Create a composite type."""
    listed = ", ".join(strings(item.attributes["attributes"]))
    yield _type(item, f"CREATE TYPE {dotted(item.key.name)} AS ({listed})")


def _attributes(item: Item) -> dict[str, str]:
    """Return the attributes of a composite type: each as it is defined, by its name in SQL."""
    found = {}
    for text in strings(item.attributes["attributes"]):
        name = re.match(r'"(?:[^"]|"")*"|\S+', text)
        assert name is not None, text  # noqa: S101
        found[name[0]] = text
    return found


def is_altered_in_place(before: Item, after: Item) -> bool:
    """Tell whether attributes of a composite type only go, or come after all others."""
    old, new = _attributes(before), _attributes(after)
    kept = [text for name, text in old.items() if name in new]
    return list(new.values())[: len(kept)] == kept


def composite_altered(before: Item, after: Item, change: Change) -> list[Step] | None:
    """Add attributes of a composite type and drop some; rows that have it are not written anew."""
    if "attributes" not in differing(before, after) or not is_altered_in_place(before, after):
        return None
    old, new = _attributes(before), _attributes(after)
    name = dotted(after.key.name)
    steps = []
    for attribute in old:
        if attribute not in new:
            drop = f"ALTER TYPE {name} DROP ATTRIBUTE {{}}{attribute}"
            steps.append(
                execute(
                    drop.format(""),
                    rank.CREATE_TYPE,
                    why="" if change.back else f"loses: {name}.{attribute}, of all that have it",
                    again=drop.format("IF EXISTS "),
                )
            )
    for attribute, text in new.items():
        if attribute not in old:
            add = f"ALTER TYPE {name} ADD ATTRIBUTE {text}"
            where = f"attrelid = {string(name)}::regclass"
            where += f" AND attname = {string(unquoted(attribute))}"
            missing = f"SELECT WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE {where})"
            steps.append(execute(add, rank.CREATE_TYPE, again=Once(missing, (add,))))
    return steps


def range_(item: Item, _: Change) -> Iterator[Step]:
    """Create a range type.

    Raises:
        RefusedError: it has a canonical function, which needs the type to be there before it.

    """
    attributes = item.attributes
    if attributes.get("canonical function"):
        raise RefusedError(f"{item.key} has a function of its own; write CREATE TYPE by hand.")
    words = [f"subtype = {attributes['subtype']}"]
    words.append(f"subtype_opclass = {attributes['operator class']}")
    if attributes.get("collation") not in {None, '"default"'}:
        words.append(f"collation = {attributes['collation']}")
    if attributes.get("difference function"):
        words.append(f"subtype_diff = {str(attributes['difference function']).partition('(')[0]}")
    words.append(f"multirange_type_name = {attributes['multirange']}")
    yield _type(item, f"CREATE TYPE {dotted(item.key.name)} AS RANGE ({', '.join(words)})")


def collation(item: Item, _: Change) -> Iterator[Step]:
    """Create a collation."""
    attributes = item.attributes
    tail = f"{dotted(item.key.name)} (provider = {attributes['provider']}"
    locale, ctype = str(attributes["locale"]), attributes.get("ctype")
    if ctype in {None, locale}:
        tail += f", locale = {string(locale)}"
    else:
        tail += f", lc_collate = {string(locale)}, lc_ctype = {string(str(ctype))}"
    tail += "" if attributes["deterministic"] else ", deterministic = false"
    tail += f", rules = {string(str(attributes['rules']))})" if attributes.get("rules") else ")"
    again = f"CREATE COLLATION IF NOT EXISTS {tail}"
    yield execute(f"CREATE COLLATION {tail}", rank.CREATE_TYPE, again=again)
