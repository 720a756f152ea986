"""Signs of relations: while a relation's sign is the same, the catalog tells the same of it.

PostgreSQL changes no row of its catalog in place, but for what it counts: a change writes a new
one, elsewhere (``ctid``), by another transaction (``xmin``). A sign is made from both, of all rows
that tell of a relation: to make the signs of all takes a fifth of the time in which they are read.

What is written about one relation may name another, as a foreign key does. The server notes that
the one depends on the other, so the dependents of what has changed are found without a look at
what they say. Everything else (types, functions, schemas, …) may stand in any expression, and has
one sign in common.

Sources:
    https://www.postgresql.org/docs/current/ddl-system-columns.html
    https://www.postgresql.org/docs/current/catalog-pg-depend.html

"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from project.schema.catalog.parts import FIRST

#: Whose sign stands for everything but relations.
ALL_ELSE = 0

#: Rows that tell of a relation: the catalog, and whose they are.
TELLING = {
    "pg_class": "oid",
    "pg_attribute": "attrelid",
    "pg_index": "indexrelid",
    "pg_constraint": "conrelid",
    "pg_attrdef": "adrelid",
    "pg_trigger": "tgrelid",
    "pg_inherits": "inhrelid",
    "pg_foreign_table": "ftrelid",
    "pg_sequence": "seqrelid",
    "pg_description": "objoid",
}

#: Likewise, where it takes longer to tell whose they are.
TELLING_FROM_AFAR = (
    # The parameters of what holds its long values.
    f"""class.oid FROM pg_class AS class JOIN pg_class AS told ON told.oid = class.reltoastrelid
        WHERE class.oid >= {FIRST} AND told.oid >= {FIRST}""",
    # The comments on its constraints.
    f"""conrelid FROM pg_constraint JOIN pg_description AS told ON objoid = pg_constraint.oid
        WHERE conrelid >= {FIRST} AND objoid >= {FIRST}""",
    # Which sequences are its columns'.
    f"""refobjid FROM pg_depend AS told WHERE refclassid = 'pg_class'::regclass
        AND refobjid >= {FIRST} AND refobjsubid > 0 AND classid = 'pg_class'::regclass""",
)

#: Catalogs of all else that an expression, a definition or a type may name.
ELSE = (
    *("pg_am", "pg_collation", "pg_enum", "pg_extension", "pg_foreign_server", "pg_namespace"),
    *("pg_opclass", "pg_operator", "pg_opfamily", "pg_proc", "pg_tablespace", "pg_ts_config"),
    "pg_ts_dict",
)

ELSE_FROM_AFAR = (
    # Neither the type of a relation's rows, nor arrays, which are called after what they are of.
    f"""pg_type AS told WHERE oid >= {FIRST} AND typrelid = 0
        AND (typcategory <> 'A' OR typtype <> 'b')""",
    # What belongs to extensions.
    "pg_depend AS told WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'",
)


def _signed() -> Iterator[str]:
    """Yield queries for the relation that a row tells of, and the row's part of the sign."""
    sources = (
        *(f"{whose} FROM {c} AS told WHERE {whose} >= {FIRST}" for c, whose in TELLING.items()),
        *TELLING_FROM_AFAR,
        *(f"{ALL_ELSE} FROM {catalog} AS told WHERE oid >= {FIRST}" for catalog in ELSE),
        *(f"{ALL_ELSE} FROM {source}" for source in ELSE_FROM_AFAR),
    )
    for number, source in enumerate(sources):
        whose, _, rest = source.partition(" FROM ")
        # Rows of two catalogs may have the same place and be of the same transaction.
        row = f"hashtidextended(told.ctid, told.xmin::text::int8 + ({number}::int8 << 32))"
        yield f"SELECT {whose} AS oid, {row} AS row FROM {rest}"
    # The rows of roles are not everybody's to read.
    yield f"SELECT {ALL_ELSE}, hashtextextended(rolname, oid::int8) FROM pg_roles"


SIGNS = f"""
    WITH signs AS (
        SELECT oid, bit_xor(row) AS sign FROM ({" UNION ALL ".join(_signed())}) AS signed
        GROUP BY oid
    )
    SELECT class.oid::int8, coalesce(indrelid, refobjid, class.oid)::int8, nspname, relname, sign
    FROM signs JOIN pg_class AS class USING (oid)
    JOIN pg_namespace AS schema ON schema.oid = relnamespace
    LEFT JOIN pg_index ON indexrelid = class.oid
    LEFT JOIN pg_depend AS owner ON relkind = 'S' AND owner.classid = 'pg_class'::regclass
        AND owner.objid = class.oid AND owner.refobjsubid > 0 AND owner.deptype IN ('a', 'i')
    UNION ALL SELECT {ALL_ELSE}, {ALL_ELSE}, '', '', sign FROM signs WHERE oid = {ALL_ELSE}
"""


#: The relations whose numbers are given, and those that depend on them or on the types of their
#: rows.
AFFECTED = """
    SELECT unnest($1::oid[])
    UNION SELECT coalesce(indrelid, dependent.oid) FROM (
        SELECT CASE classid WHEN 'pg_class'::regclass THEN objid
            ELSE coalesce(conrelid, adrelid, tgrelid) END AS oid
        FROM (
            SELECT classid, objid FROM pg_depend
            WHERE refclassid = 'pg_class'::regclass AND refobjid = ANY ($1::oid[])
            UNION SELECT classid, objid FROM pg_depend
            WHERE refclassid = 'pg_type'::regclass AND refobjid IN (
                SELECT unnest(ARRAY[oid, typarray]) FROM pg_type WHERE typrelid = ANY ($1::oid[])
            )
        ) AS object
        LEFT JOIN pg_constraint AS constr
            ON classid = 'pg_constraint'::regclass AND constr.oid = objid
        LEFT JOIN pg_attrdef AS def ON classid = 'pg_attrdef'::regclass AND def.oid = objid
        LEFT JOIN pg_trigger AS trigger ON classid = 'pg_trigger'::regclass AND trigger.oid = objid
    ) AS dependent LEFT JOIN pg_index ON indexrelid = dependent.oid
"""


class Relation(NamedTuple):
    """A relation as it was when the signs were made."""

    goes_with: int  # the table of an index or of a column's sequence; else the relation itself
    name: tuple[str, str]
    sign: int


#: By the number that the server has given them.
Relations = Mapping[int, Relation]


def relations(rows: Iterable[tuple[Any, ...]]) -> Relations:
    """Return what :data:`SIGNS` has answered."""
    return {oid: Relation(of, (schema, name), sign) for oid, of, schema, name, sign in rows}


def changed(before: Relations, now: Relations) -> set[int]:
    """Return the relations that are new, gone or not what they were, and what those go with."""
    differing = {oid for oid in before.keys() | now.keys() if before.get(oid) != now.get(oid)}
    both = [known[oid] for known in (before, now) for oid in differing & known.keys()]
    return differing | {relation.goes_with for relation in both}
