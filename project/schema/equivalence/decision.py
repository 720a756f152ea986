"""Which differences are none: for each kind and attribute, who decides."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import psycopg
from psycopg import sql

from project.schema.equivalence import text
from project.schema.equivalence.definitions import same_definition
from project.schema.equivalence.expressions import (
    Connection,
    copied,
    folded,
    rule,
    same,
    same_value,
    tree,
    undone,
    with_single_casts,
)
from project.schema.equivalence.knowledge import knowledge
from project.schema.equivalence.meaning import meaning
from project.schema.snapshot import (
    MISSING,
    Difference,
    Item,
    Key,
    Snapshot,
    Value,
    name_says_nothing,
)

#: Tells whether two values of an attribute of an item mean the same.
Decision = Callable[[Connection, Item, str, str], bool]

#: How the server calls the sequence of a column: table, column, "seq".
MADE_UP_SEQUENCE = re.compile(r"[^_.]_.+_seq\d*$")

#: What the reader of a catalog says where its role may not look.
NOT_SHOWN = "not shown to this role"


def without_equivalents(
    differences: Iterable[Difference], expected: Snapshot, found: Snapshot, connection: Connection
) -> list[Difference]:
    """Leave out the differences that are none to the server.

    Args:
        differences: What differs between the two.
        expected: The one side.
        found: The other.
        connection: To a scratch database that holds the expected side, in autocommit mode. It is
            left as it was.

    """
    left = [
        difference
        for difference in differences
        if not _equivalent(connection, expected.items.get(difference.key), difference)
    ]
    here, there = _same_but_for_names(connection, left, expected, found)
    return [
        difference
        for difference in left
        if (difference.expected is not MISSING and difference.key not in here)
        or (difference.found is not MISSING and difference.key not in there)
    ]


def _same_but_for_names(
    connection: Connection, differences: Iterable[Difference], expected: Snapshot, found: Snapshot
) -> tuple[set[Key], set[Key]]:
    """Find items of the one side that are there on the other under a name that says nothing.

    Two constraints without names that were made in another order have each other's name.
    """
    keys = dict.fromkeys(difference.key for difference in differences)
    others = [found.items[key] for key in keys if key in found.items]
    here: set[Key] = set()
    there: set[Key] = set()
    for item in (expected.items[key] for key in keys if key in expected.items):
        for other in others:
            if (
                item.key.kind == other.key.kind
                and item.key.name[:-1] == other.key.name[:-1]
                and item.key != other.key
                and other.key not in there
                and name_says_nothing(item, other)
                and _same_attributes(connection, item, other)
            ):
                here.add(item.key)
                there.add(other.key)
                break
    return here, there


def _same_attributes(connection: Connection, item: Item, other: Item) -> bool:
    names = item.attributes.keys() | other.attributes.keys()
    pairs = [(name, item.attributes.get(name), other.attributes.get(name)) for name in names]
    return all(
        one == two or _equivalent(connection, item, Difference(item.key, name, one, two))
        for name, one, two in pairs
    )


def _equivalent(connection: Connection, item: Item | None, difference: Difference) -> bool:
    if item is None or difference.attribute is None:
        return False
    one, other = difference.expected, difference.found
    attribute = (difference.key.kind, difference.attribute)
    if NOT_SHOWN in {one, other}:
        return True
    if attribute == ("column", "sequence"):
        # None is a name that the server made up; another one may be left from before two renames.
        return None in {one, other} and bool(MADE_UP_SEQUENCE.search(str(one or other)))
    if attribute in PARAMETERS:
        return _parameters(one) == _parameters(other)
    if isinstance(one, str) and isinstance(other, str):
        decide = DECISIONS.get(attribute)
        return decide is not None and decide(connection, item, one, other)
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        decide = PARTS.get(attribute)
        return decide is not None and all(
            a == b or decide(connection, item, str(a), str(b))
            for a, b in zip(one, other, strict=True)
        )
    return False


def _parameters(value: "Value | object") -> set[str]:
    return {text.parameter(str(option)) for option in value} if isinstance(value, tuple) else set()


def _column_default(connection: Connection, item: Item, one: str, other: str) -> bool:
    type_ = str(item.attributes["type"])
    # A default that casts to a type which is to go keeps it there, and has to go first.
    if text.same_text(one, other, type_) and all(
        map(partial(_is_type, connection), (*text.casts(one), *text.casts(other)))
    ):
        return True
    return same_value(connection, one, other, type_)


def _is_type(connection: Connection, name: str) -> bool:
    return connection.execute("SELECT to_regtype(%s) IS NOT NULL", [name]).fetchone() == (True,)


def _argument(connection: Connection, _: Item, one: str, other: str) -> bool:
    """Compare what stands after DEFAULT, which the server has cast to the argument's type."""
    (head, default, value), (other_head, other_default, other_value) = (
        part.partition(" DEFAULT ") for part in (one, other)
    )
    if (head, default) != (other_head, other_default) or not default:
        return False
    return same_value(connection, value, other_value, "text")


def _on_table(connection: Connection, item: Item, one: str, other: str) -> bool:
    schema, table, _ = item.key.name
    if text.same_reference(one, other):
        return True
    return same_definition(connection, item.key.kind, (schema, table), one, other)


#: A table as printed, with its schema.
TABLE = r'((?:"(?:[^"]|"")+"|\w+))\.((?:"(?:[^"]|"")+"|\w+))'


def _schema_and_name(table: re.Match[str]) -> tuple[str, str]:
    schema, name = (part.strip('"').replace('""', '"') for part in table.groups()[:2])
    return schema, name


def _statistics(connection: Connection, _: Item, one: str, other: str) -> bool:
    table = re.search(rf" FROM {TABLE}$", one)
    if table is None or not other.endswith(table[0]):
        return False
    return same_definition(connection, "statistics", _schema_and_name(table), one, other)


def _published(connection: Connection, _: Item, one: str, other: str) -> bool:
    """Compare which rows of a table are published."""
    parts = [
        re.fullmatch(rf"{TABLE}(.*?) WHERE (\(.*\))", each, re.DOTALL) for each in (one, other)
    ]
    if parts[0] is None or parts[1] is None or parts[0].group(1, 2, 3) != parts[1].group(1, 2, 3):
        return False
    return _expressions(connection, _schema_and_name(parts[0]), parts[0][4], parts[1][4])


def _generated(connection: Connection, item: Item, one: str, other: str) -> bool:
    schema, table, _ = item.key.name
    type_ = item.attributes["type"]
    one, other = (f"({each})::{type_}" for each in (one, other))
    return _expressions(connection, (schema, table), one, other)


def _condition(connection: Connection, item: Item, one: str, other: str) -> bool:
    schema, table, _ = item.key.name
    return _expressions(connection, (schema, table), one, other)


def _expressions(
    connection: Connection,
    table: tuple[str, str],
    one: str,
    other: str,
    *names: str,
) -> bool:
    try:
        with copied(connection, *table) as copy:
            source = ", ".join(f"{copy} AS {name}" for name in names) or copy
            return same(connection, one, other, f"FROM {source}")
    except psycopg.Error:
        return False


WHEN = re.compile(r"(.*) WHEN \((.*)\) (EXECUTE FUNCTION .*)", re.DOTALL)


def _trigger(connection: Connection, item: Item, one: str, other: str) -> bool:
    """Compare the conditions; what stands around them is the same or is not."""
    schema, table, _ = item.key.name
    one, other = text.with_columns_in_order(one), text.with_columns_in_order(other)
    if one == other:
        return True
    parts = [WHEN.fullmatch(definition) for definition in (one, other)]
    if parts[0] is None or parts[1] is None or parts[0].group(1, 3) != parts[1].group(1, 3):
        return False
    return _expressions(connection, (schema, table), parts[0][2], parts[1][2], "old", "new")


def _view(connection: Connection, _: Item, one: str, other: str) -> bool:
    with undone(connection):
        one, other = (text.one_name_for_now(query.removesuffix(";")) for query in (one, other))
        return any(
            _same_trees(connection, [tree(connection, write(query)) for query in (one, other)])
            for write in (str, partial(folded, connection))
        )


def _same_trees(connection: Connection, trees: Iterable[str | None]) -> bool:
    stored = tuple(trees)
    known = knowledge(connection, *stored)
    one, other = (tree and meaning(tree, known) for tree in stored)
    return one is not None and one == other


def _rule(connection: Connection, item: Item, one: str, other: str) -> bool:
    schema, table, name = item.key.name
    relation = sql.Identifier(schema, table).as_string(connection)
    with undone(connection):
        understood = [
            rule(
                connection,
                with_single_casts(connection, text.one_name_for_now(create)).replace(
                    "CREATE RULE", "CREATE OR REPLACE RULE", 1
                ),
                relation,
                name,
            )
            for create in (one, other)
        ]
        return _same_trees(connection, understood)


def _domain_check(connection: Connection, item: Item, one: str, other: str) -> bool:
    """Compare two checks of a domain as those of a table with one column, VALUE."""
    query = "SELECT format_type(typbasetype, typtypmod) FROM pg_type WHERE oid = %s::regtype"
    checks = [re.fullmatch(r"CHECK \((.*)\)", check, re.DOTALL) for check in (one, other)]
    if checks[0] is None or checks[1] is None:
        return False
    schema, domain, _ = item.key.name
    with undone(connection):
        name = sql.Identifier(schema, domain).as_string(connection)
        row = connection.execute(query, [name]).fetchone()
        source = f"FROM (SELECT NULL::{row[0]} AS value OFFSET 0) AS domain" if row else ""
        return same(connection, checks[0][1], checks[1][1], source)


def _partition(_: Connection, __: Item, one: str, other: str) -> bool:
    return text.same_partition(one, other)


def _body(_: Connection, item: Item, one: str, other: str) -> bool:
    return text.same_body(one, other, str(item.attributes["language"]))


DECISIONS: Mapping[tuple[str, str], Decision] = {
    ("table", "partition"): _partition,
    ("column", "default"): _column_default,
    ("domain", "default"): _column_default,
    ("column", "generated"): _generated,
    ("constraint", "definition"): _on_table,
    ("index", "definition"): _on_table,
    ("statistics", "definition"): _statistics,
    ("domain constraint", "definition"): _domain_check,
    ("policy", "using"): _condition,
    ("policy", "with check"): _condition,
    ("trigger", "definition"): _trigger,
    ("rule", "definition"): _rule,
    ("view", "definition"): _view,
    ("function", "body"): _body,
}

#: Of attributes with several values, each part is decided by itself.
PARTS: Mapping[tuple[str, str], Decision] = {
    ("function", "arguments"): _argument,
    ("publication", "tables"): _published,
}

PARAMETERS = {
    ("table", "storage parameters"),
    ("table", "toast storage parameters"),
    ("index", "storage parameters"),
    ("constraint", "storage parameters"),
    ("view", "parameters"),
    ("view", "toast storage parameters"),
}
