"""A statement that a release may send, and the tables that it is about, as the catalog has them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

#: Tables and views that a service reads; a partition is read through its root.
RELATIONS = """
    SELECT class.oid::int8, nspname AS schema, relname AS name, relkind::text AS kind,
        coalesce((
            SELECT array_agg(attname::text ORDER BY place)
            FROM pg_index, unnest(indkey::int2[]) WITH ORDINALITY AS part (number, place)
            JOIN pg_attribute ON attnum = number
            WHERE indrelid = class.oid AND attrelid = class.oid AND indisprimary
        ), '{}') AS key,
        coalesce((
            SELECT json_agg(columns) FROM (
                SELECT (
                    SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute
                    WHERE attrelid = indrelid AND attnum = ANY (indkey::int2[])
                ) AS columns
                FROM pg_index
                WHERE indrelid = class.oid AND indisunique AND indpred IS NULL AND indexprs IS NULL
            ) AS found
        ), '[]') AS uniques
    FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition
        AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = class.oid
                AND deptype = 'e'
        )
    ORDER BY nspname, relname
"""

COLUMNS = """
    SELECT attrelid::int8 AS relation, attname AS name, format_type(atttypid, NULL) AS type,
        typtype::text AS kind, typcategory::text AS category,
        CASE WHEN typname IN ('varchar', 'bpchar') AND atttypmod > 4 THEN atttypmod - 4 END
            AS length,
        attnotnull OR typnotnull AS required, atthasdef AS has_default,
        attidentity::text AS identity, attgenerated <> '' AS generated,
        array(
            SELECT enumlabel::text FROM pg_enum WHERE enumtypid = atttypid ORDER BY enumsortorder
        ) AS labels
    FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
    WHERE attrelid = ANY (%s) AND attnum > 0 AND NOT attisdropped
    ORDER BY attrelid, attnum
"""


@dataclass(frozen=True)
class Column:
    """A column, as far as a statement needs it."""

    relation: int
    name: str
    type: str
    kind: str
    category: str
    length: int | None
    required: bool
    has_default: bool
    identity: str
    generated: bool
    labels: list[str]


@dataclass(frozen=True)
class Relation:
    """A table or a view."""

    oid: int
    schema: str
    name: str
    kind: str
    key: list[str]
    uniques: list[list[str]]

    @property
    def written(self) -> sql.Identifier:
        """Its name in a statement."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Probe:
    """One statement."""

    relation: Relation
    kind: str  # "SELECT", "WHERE", "INSERT", "UPDATE", "DELETE", "ON CONFLICT"
    columns: tuple[str, ...]  # that it names
    statement: str
    #: Whether a release surely sends the like; otherwise it only may: a NULL, an extreme value.
    usual: bool = True
    setup: str = ""  # executed before, by the owner; it may fail
    by_models: bool = False  # made by the release's models, not from its schema


def relations(
    connection: "psycopg.Connection[Any]", wanted: Collection[tuple[str, str]] | None = None
) -> Iterator[tuple[Relation, list[Column]]]:
    """Read the tables and views of a database, with their columns.

    Args:
        connection: To the database.
        wanted: Schema and name of those that matter; None for all.

    """
    with connection.cursor(row_factory=class_row(Relation)) as cursor:
        found = [
            relation
            for relation in cursor.execute(RELATIONS)
            if wanted is None or (relation.schema, relation.name) in wanted
        ]
    columns: dict[int, list[Column]] = {}
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        for column in cursor.execute(COLUMNS, [[relation.oid for relation in found]]):
            columns.setdefault(column.relation, []).append(column)
    for relation in found:
        if relation.oid in columns:
            yield relation, columns[relation.oid]
