"""The tables of a database, with all that a new row has to satisfy."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from project.schema.rows.types import types
from project.schema.rows.values import Type

#: Schema and table.
Name = tuple[str, str]


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    type: Type
    position: int
    nullable: bool
    default: str | None  # its expression
    serves: bool  # the server gives the value: an identity, or a sequence as the default
    generated: bool
    #: The sequence named after the column, where the column does not draw from it by itself: then
    #: the application does, as SQLAlchemy with a ``Sequence`` that is no server default.
    sequence: str | None = None


@dataclass(frozen=True)
class Rule:
    """Something that may refuse a row, and the columns that it looks at."""

    name: str
    columns: tuple[str, ...]
    expression: str  # as PostgreSQL prints it; for partitions, all their keys and bounds


@dataclass(frozen=True)
class ForeignKey:
    """A reference to a row of another table, or of the same."""

    name: str
    columns: tuple[str, ...]
    parent: Name
    parent_root: Name  # the partitioned table, if the parent is a partition of one
    parent_columns: tuple[str, ...]
    optional: bool  # a NULL, or under MATCH FULL nothing but NULL, makes it no reference


@dataclass(frozen=True)
class Table:
    """One table, or a partitioned table with all its partitions."""

    name: Name
    partitioned: bool
    columns: tuple[Column, ...]
    checks: tuple[Rule, ...]
    uniques: tuple[Rule, ...]  # and exclusion constraints
    foreign_keys: tuple[ForeignKey, ...]
    distinct: bool = False  # whether values differ where no rule wants it, too

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the columns."""
        return frozenset(self.by_name)

    @cached_property
    def unique(self) -> frozenset[str]:
        """The columns that shall have other values in each row.

        Of several that are unique together the last is enough: an order has many lines.
        """
        if self.distinct:
            return self.names
        return frozenset(rule.columns[-1] for rule in self.uniques if rule.columns)

    @cached_property
    def referring(self) -> frozenset[str]:
        """The columns that are part of a reference."""
        return frozenset(column for key in self.foreign_keys for column in key.columns)


class _Found(NamedTuple):
    oid: int
    schema: str
    name: str
    partitioned: bool


#: A partition is part of its root; what an extension made belongs to the extension.
TABLES = """
    SELECT class.oid, nspname AS schema, relname AS name, relkind = 'p' AS partitioned
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND nspname NOT IN ('pg_catalog', 'information_schema')
        AND nspname !~ '^pg_(toast|temp)'
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend
            WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = class.oid AND deptype = 'e'
        )
    ORDER BY nspname COLLATE "C", relname COLLATE "C"
"""

COLUMNS = """
    SELECT attrelid AS table, attname AS name, attnum AS position, atttypid AS type,
        atttypmod AS modifier, attnotnull AS not_null,
        attidentity <> '' AS identity, attgenerated <> '' AS generated,
        pg_catalog.pg_get_expr(adbin, adrelid) AS default,
        (
            SELECT sequence.oid::regclass::text
            FROM pg_catalog.pg_class AS owner JOIN pg_catalog.pg_class AS sequence
                ON sequence.relnamespace = owner.relnamespace AND sequence.relkind = 'S'
                AND sequence.relname = owner.relname || '_' || attname || '_seq'
            WHERE owner.oid = attrelid AND adbin IS NULL AND attidentity = ''
        ) AS sequence
    FROM pg_catalog.pg_attribute
    LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = ANY (%(tables)s) AND attnum > 0 AND NOT attisdropped
    ORDER BY attrelid, attnum
"""

#: Constraints and indexes of partitions count as their root's: the server names theirs when it
#: refuses a row. The rule without a name is that a partition must take the row.
RULES = """
    SELECT * FROM (
    SELECT coalesce(pg_catalog.pg_partition_root(conrelid), conrelid)::oid AS table,
        conname AS name,
        true AS is_check, pg_catalog.pg_get_expr(conbin, conrelid) AS text
    FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid <> 0
    UNION ALL
    SELECT coalesce(pg_catalog.pg_partition_root(indrelid), indrelid)::oid, relname,
        false, pg_catalog.pg_get_indexdef(indexrelid)
    FROM pg_catalog.pg_index JOIN pg_catalog.pg_class AS class ON class.oid = indexrelid
    WHERE (indisunique OR indisexclusion) AND indrelid >= 16384  -- not the system's own
    UNION ALL
    SELECT coalesce(pg_catalog.pg_partition_root(oid), oid)::oid, '', true,
        string_agg(
            concat_ws(' ', pg_catalog.pg_get_partkeydef(oid),
                pg_catalog.pg_get_expr(relpartbound, oid)),
            ' ' ORDER BY oid
        )
    FROM pg_catalog.pg_class WHERE relkind = 'p' OR relispartition
    GROUP BY 1
    ) AS rule WHERE rule.table = ANY (%(tables)s)
    ORDER BY 1, 2, 3
"""

FOREIGN_KEYS = """
    SELECT conrelid AS table, conname AS name, confmatchtype = 'f' AS full,
        parent_space.nspname AS schema, parent.relname AS parent,
        root_space.nspname AS root_schema, root.relname AS root,
        array(
            SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
            JOIN pg_catalog.pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place
        ) AS columns,
        array(
            SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS part (number, place)
            JOIN pg_catalog.pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place
        ) AS parent_columns
    FROM pg_catalog.pg_constraint
    JOIN pg_catalog.pg_class AS parent ON parent.oid = confrelid
    JOIN pg_catalog.pg_namespace AS parent_space ON parent_space.oid = parent.relnamespace
    JOIN pg_catalog.pg_class AS root
        ON root.oid = coalesce(pg_catalog.pg_partition_root(confrelid), confrelid)
    JOIN pg_catalog.pg_namespace AS root_space ON root_space.oid = root.relnamespace
    WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY (%(tables)s)
    ORDER BY conrelid, conname COLLATE "C"
"""


def tables(
    connection: psycopg.Connection,
    values: Mapping[str, Collection[str]] | None = None,
    only: Collection[Name] | None = None,
) -> dict[Name, Table]:
    """Read all tables, in a handful of queries however many there are.

    Args:
        connection: To the database.
        values: What columns hold, by a pattern of ``schema.table.column`` as fnmatch has it.
        only: The tables to read, if not all.

    """
    with connection.cursor(row_factory=dict_row) as cursor:
        found = [
            table
            for table in (_Found(**row) for row in cursor.execute(TABLES, prepare=True))
            if only is None or (table.schema, table.name) in only
        ]
        given = {"tables": [table.oid for table in found]}
        attributes = cursor.execute(COLUMNS, given, prepare=True).fetchall()
        rules = cursor.execute(RULES, given, prepare=True).fetchall()
        keys = cursor.execute(FOREIGN_KEYS, given, prepare=True).fetchall()
    known = types(connection, {(row["type"], row["modifier"]) for row in attributes})
    columns = {
        oid: tuple(_column(row, known) for row in rows) for oid, rows in _grouped(attributes)
    }
    rules_of, keys_of = dict(_grouped(rules)), dict(_grouped(keys))
    for table in found:
        columns[table.oid] = tuple(
            _told(column, f"{table.schema}.{table.name}.{column.name}", values or {})
            for column in columns.get(table.oid, ())
        )
    return {
        (table.schema, table.name): _table(
            table,
            columns.get(table.oid, ()),
            rules_of.get(table.oid, []),
            keys_of.get(table.oid, []),
        )
        for table in found
    }


def _told(column: Column, name: str, values: Mapping[str, Collection[str]]) -> Column:
    for pattern, samples in values.items():
        if fnmatchcase(name, pattern):
            return replace(column, type=replace(column.type, samples=tuple(samples)))
    return column


def _grouped(rows: list[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield the rows of each table; they come in the order of tables."""
    for oid, group in groupby(rows, itemgetter("table")):
        yield oid, list(group)


def _table(
    found: _Found,
    columns: tuple[Column, ...],
    rules: list[dict[str, Any]],
    keys: list[dict[str, Any]],
) -> Table:
    names = [column.name for column in columns]
    nullable = {column.name for column in columns if column.nullable}
    told = {
        is_check: tuple(
            Rule(row["name"], mentioned(names, row["text"]), row["text"])
            for row in rules
            if row["is_check"] == is_check
        )
        for is_check in (True, False)
    }
    return Table(
        (found.schema, found.name),
        found.partitioned,
        columns,
        told[True],
        told[False],
        tuple(_foreign_key(row, nullable) for row in keys),
    )


def mentioned(names: Iterable[str], text: str) -> tuple[str, ...]:
    """Return the names that a text of SQL has in it; one too many costs a try, no more."""
    words = set(re.findall(r'"(?:[^"]|"")+"|\w+', text))
    return tuple(
        name for name in names if name in words or '"' + name.replace('"', '""') + '"' in words
    )


def _column(row: dict[str, Any], known: Mapping[tuple[int, int], Type]) -> Column:
    type_ = known[row["type"], row["modifier"]]
    serial = row["default"] is not None and row["default"].startswith("nextval(")
    return Column(
        row["name"],
        type_,
        row["position"],
        nullable=not (row["not_null"] or type_.not_null),
        default=None if row["generated"] else row["default"],
        serves=row["identity"] or serial,
        generated=row["generated"],
        sequence=row["sequence"],
    )


def _foreign_key(row: dict[str, Any], nullable: set[str]) -> ForeignKey:
    columns = tuple(row["columns"])
    return ForeignKey(
        row["name"],
        columns,
        (row["schema"], row["parent"]),
        (row["root_schema"], row["root"]),
        tuple(row["parent_columns"]),
        optional=nullable.issuperset(columns) if row["full"] else not nullable.isdisjoint(columns),
    )
