"""Which tables new revisions touch, and rows for them."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import psycopg
from psycopg import sql

from project.schema import rows
from project.schema.connections import Connection
from project.schema.hazards.actions import actions
from project.schema.hazards.data import Picture
from project.schema.reviewing.observation import Observation, Relation
from project.schema.rows.proposals import FIRST_EXTREME, LAST_EXTREME, WITH_NULLS
from project.schema.snapshot import Snapshot, differences
from project.schema.walking.roundtrip import SEED

Name = tuple[str, str]

#: Rows of a table that is touched: enough to tell a few of them from most of them.
ROWS = 60

#: Rows of the others, to refer to.
FEW_ROWS = 4


def names(connection: Connection) -> set[Name]:
    """Read the names of all tables and views, but for partitions."""
    found = connection.execute(
        "SELECT nspname, relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace"
        " WHERE relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition AND nspname !~ '^pg_'"
        " AND nspname <> 'information_schema'"
    )
    return {(schema, name) for schema, name in found}


def touched(observation: Observation, catalog: Snapshot, later: Snapshot) -> set[Name]:
    """Return the tables that the revisions lock, read or write, and what uses their types."""
    before = observation.before
    known = {(relation.schema, relation.name): relation for relation in before.values()}
    named_ones = _differing(catalog, later) | _of_failures(observation)
    named_ones |= set(_of_rights(observation)) | _of_programs(observation)
    relations = [known[name] for name in named_ones & known.keys()]
    for statement in observation.own:
        relations += [lock.relation for lock in statement.locks]
        relations += [work.table for work in statement.work]
    found: set[Name] = set()
    for relation in relations:
        table: Relation | None = before.get(relation.of, relation)
        while table is not None:
            found.add((table.schema, table.name))
            table = before.get(table.parent)
    return found


def _differing(catalog: Snapshot, later: Snapshot) -> set[Name]:
    """Name what is not what it was, and the tables that it matters to."""
    found: set[Name] = set()
    types: set[str] = set()
    called: set[str] = set()
    for difference in differences(catalog, later):
        if difference.key.kind in ("enum", "domain", "domain constraint", "composite type"):
            types.add(difference.key.name[1])
        if difference.key.kind == "function":
            called.add(difference.key.name[1].partition("(")[0])
        if difference.key.kind == "publication":
            found |= _without_key(catalog)  # whose rows cannot be named to a subscriber
        if len(difference.key.name) > 1:
            found.add((difference.key.name[0], difference.key.name[1]))
    for item in catalog.of_kind("column"):
        if any(name in str(item.attributes["type"]) for name in types):
            found.add((item.key.name[0], item.key.name[1]))
    return found | _calling(called, catalog)


def _calling(functions: Collection[str], catalog: Snapshot) -> set[Name]:
    """Name the tables and views with a trigger, a rule, a default that calls a function."""
    if not functions:
        return set()
    called = re.compile(rf"\b(?:{'|'.join(map(re.escape, functions))})\(")
    return {
        (item.key.name[0], item.key.name[1])
        for item in catalog.items.values()
        if len(item.key.name) > 1 and called.search(str(list(item.attributes.values())))
    }


def _of_failures(observation: Observation) -> set[Name]:
    """Name what statements that failed would have touched."""
    failed = (statement for statement in observation.own if statement.error)
    return {named(a.table) for statement in failed for a in actions(statement.sql) if a.table}


#: What does something else, perhaps, once there are rows.
PROGRAM = re.compile(r"\s*(?:DO|CALL|SELECT|WITH)\b", re.IGNORECASE)


def _of_programs(observation: Observation) -> set[Name]:
    """Name what blocks speak of: where there are no rows, they may leave no trace of it."""
    words: set[str] = set()
    for statement in observation.own:
        if PROGRAM.match(statement.sql):
            words.update(re.findall(r"\w+", statement.sql))
    tables = (relation for relation in observation.before.values() if relation.is_table)
    return {(table.schema, table.name) for table in tables if table.name in words}


#: Rights on a whole schema, or a role that is no member of another any more.
REVOKED = re.compile(
    r"\bREVOKE\s+[^;]*?\bON\s+(?:ALL\s+\w+\s+IN\s+)?SCHEMA\s+(?P<schemas>[^;]*?)\s+FROM\b"
    r"|\bREVOKE\s+(?:[\w\s]+\bFOR\s+)?[\w\s,\"]+?\s+FROM\b",
    re.IGNORECASE,
)

#: Tables that show what whoever lost a right to all of them meets.
SHOWN = 5


def _of_rights(observation: Observation) -> Iterator[Name]:
    """Name some tables of schemas on which a right is taken away, which locks none of them."""
    tables = sorted((r.schema, r.name) for r in observation.before.values() if r.is_table)
    for statement in observation.own:
        for found in REVOKED.finditer(statement.sql):
            named_ones = re.findall(r"\w+", found["schemas"] or "")
            some = [name for name in tables if not named_ones or name[0] in named_ones]
            yield from some[:SHOWN]


def _without_key(catalog: Snapshot) -> set[Name]:
    with_key = {
        item.key.name[:2]
        for item in catalog.of_kind("constraint")
        if str(item.attributes["definition"]).startswith("PRIMARY KEY")
    }
    return {(i.key.name[0], i.key.name[1]) for i in catalog.of_kind("table")} - with_key


def named(table: str) -> Name:
    """Take a name as a statement has it to pieces."""
    schema, _, name = table.rpartition(".")
    return schema or "public", name


def fill(
    connection: Connection,
    some: set[Name],
    most: set[Name],
    leave_out: Collection[Name],
    values: Mapping[str, Collection[str]],
) -> None:
    """Fill tables and those that they refer to; some of them with more rows."""
    parents: dict[Name, set[Name]] = {}
    for child_schema, child, schema, name in connection.execute(
        "SELECT cn.nspname, c.relname, pn.nspname, p.relname FROM pg_constraint"
        " JOIN pg_class AS c ON c.oid = conrelid"
        " JOIN pg_namespace AS cn ON cn.oid = c.relnamespace"
        " JOIN pg_class AS p ON p.oid = confrelid"
        " JOIN pg_namespace AS pn ON pn.oid = p.relnamespace"
        " WHERE contype = 'f'"
    ):
        parents.setdefault((child_schema, child), set()).add((schema, name))
    reached, new = set(some), set(some)
    while new:
        new = {parent for child in new for parent in parents.get(child, ())} - reached
        reached |= new
    everything = names(connection)
    # A new unique constraint is told by its probe; failing on its rows would hide what comes after.
    known = {
        name: replace(table, distinct=True)
        for name, table in rows.tables(connection, values).items()
    }
    for wanted, count in ((reached, FEW_ROWS), (most, ROWS)):
        rows.fill(
            connection,
            seed=SEED,
            rows=count,
            leave_out=[*leave_out, *(everything - wanted)],
            known=known,
        )
    # How many rows there are tells the observer how large a part a statement reads or changes.
    for name in sorted(reached):
        connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*name)))


def nulls(picture: Picture) -> Iterator[tuple[str, str]]:
    """Yield table and column where there is a NULL."""
    for (_, table), contents in picture.contents.items():
        for place, column in enumerate(contents.columns):
            if any(row[place] is None for row in contents.rows):
                yield table, column


#: What stays of a table's rows, by their numbers, on which a migration fails: ever less.
LESS = (
    f"number = {WITH_NULLS} OR number BETWEEN {FIRST_EXTREME} AND {LAST_EXTREME}",
    "number > 0",
    "true",
)

#: The rows come in the order in which they were made.
WITHOUT = """
    DELETE FROM {table} WHERE (tableoid, ctid) IN (
        SELECT tableoid, ctid FROM (
            SELECT tableoid, ctid, row_number() OVER (ORDER BY tableoid, ctid) - 1 AS number
            FROM {table}
        ) AS numbered WHERE {which}
    )
"""


#: For each foreign key to a table, or to what it is a part of: its own table, and what deletes the
#: rows that refer to none.
ORPHANS = """
SELECT conrelid::regclass::text, format(
    'DELETE FROM %%s AS here WHERE %%s AND NOT EXISTS (SELECT FROM %%s AS there WHERE %%s)',
    conrelid::regclass,
    (
        SELECT string_agg(format('here.%%I IS NOT NULL', attname), ' AND ')
        FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)
    ),
    confrelid::regclass,
    (
        SELECT string_agg(format('there.%%I = here.%%I', there.attname, here.attname), ' AND ')
        FROM unnest(conkey, confkey) AS pair (here, there)
        JOIN pg_attribute AS here ON here.attrelid = conrelid AND here.attnum = pair.here
        JOIN pg_attribute AS there ON there.attrelid = confrelid AND there.attnum = pair.there
    )
)
FROM pg_constraint
WHERE contype = 'f' AND convalidated AND conparentid = 0 AND confrelid IN (
    SELECT %(table)s::regclass UNION SELECT relid FROM pg_partition_ancestors(%(table)s::regclass)
)
"""


def without(connection: Connection, table: str, which: str) -> None:
    """Delete rows of a table, and with them those that refer to them."""
    name = sql.Identifier(*table.split("."))
    delete = sql.SQL(WITHOUT).format(table=name, which=sql.SQL(which))
    try:
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(delete)
            fewer = [name.as_string(connection)]
            for each in fewer:
                for referring, orphans in connection.execute(ORPHANS, {"table": each}).fetchall():
                    if connection.execute(orphans.encode()).rowcount:
                        fewer.append(referring)
            for each in dict.fromkeys(fewer):
                connection.execute(f"ANALYZE {each}".encode())
    except psycopg.Error:
        return  # it is no table, and the next attempt fails as this one did
