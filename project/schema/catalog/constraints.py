"""What is demanded of a table's rows, and what finds them: constraints, indexes, statistics."""

from project.schema.catalog.kind import Kind
from project.schema.catalog.parts import FIRST, described, listed, named_by, own

#: The columns of a constraint, as the server writes them into a name.
_COLUMNS = """(
    SELECT string_agg(attname, '_' ORDER BY place)
    FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = number
)"""

_CHOICE = f"""class.relname || CASE
    WHEN contype = 'p' THEN '_pkey'
    WHEN contype = 'c' AND cardinality(conkey) IS DISTINCT FROM 1 THEN '_check'
    WHEN contype = 'x' THEN '_'
    ELSE '_' || {_COLUMNS} END"""

#: All constraints. Before PostgreSQL 18, which may leave one unenforced, all are: a name that is
#: no column of the catalog is looked for outside.
CONSTRAINTS_OF_ALL = """
    (SELECT true AS conenforced) AS older
    CROSS JOIN LATERAL (SELECT *, conenforced AS enforced FROM pg_constraint) AS constr
"""

#: A definition without what one statement of ALTER changes: those are attributes of their own.
DEFINITION = """CASE WHEN condeferrable OR NOT convalidated OR NOT enforced
    THEN regexp_replace(pg_get_constraintdef(constr.oid),
        '( DEFERRABLE)?( INITIALLY DEFERRED)?( NOT ENFORCED)?( NOT VALID)?$', '')
    ELSE pg_get_constraintdef(constr.oid) END"""

#: A constraint that is not enforced cannot be validated, so that says nothing of it.
VALIDATED = "convalidated OR NOT enforced"

#: Not of checks, which no trigger enforces.
_SWITCHED = """(contype <> 'c' AND EXISTS (
    SELECT FROM pg_trigger WHERE tgconstraint = constr.oid AND tgenabled <> 'O'
))"""

CONSTRAINT = Kind.of_many(
    name="nspname, class.relname, conname",
    attributes={
        "definition": DEFINITION,
        "deferrable": """CASE WHEN condeferred THEN 'initially deferred'
            WHEN condeferrable THEN 'initially immediate' ELSE 'no' END""",
        "validated": VALIDATED,
        "enforced": "enforced",
        "inherited": "NOT conislocal",
        "storage parameters": listed("index.reloptions"),
        "tablespace": "spcname",
        "replica identity": "nullif(indisreplident, false)",
        "clustered": "nullif(indisclustered, false)",
        "comment": described("pg_constraint", "constr.oid"),
        "comment of index": described("pg_class", "index.oid"),
        # A superuser may have switched off what enforces it.
        "triggers": f"CASE WHEN {_SWITCHED} THEN 'disabled' END",
    },
    named_by=f"""CASE contype
        WHEN 'p' THEN {named_by("conname", "_pkey", _CHOICE)}
        WHEN 'u' THEN {named_by("conname", "_.+_key", _CHOICE)}
        WHEN 'f' THEN {named_by("conname", "_.+_fkey", _CHOICE)}
        WHEN 'c' THEN {named_by("conname", "_check", _CHOICE)}
        ELSE {named_by("conname", "_.+_excl", _CHOICE)} END""",
    source=f"""
    FROM {CONSTRAINTS_OF_ALL}
    JOIN relation AS class ON class.oid = conrelid
    JOIN visible_schema AS schema ON schema.oid = class.relnamespace
    LEFT JOIN pg_class AS index ON index.oid = conindid AND contype IN ('p', 'u', 'x')
    LEFT JOIN pg_index ON indexrelid = index.oid
    LEFT JOIN pg_tablespace ON pg_tablespace.oid = index.reltablespace
    WHERE contype IN ('p', 'u', 'f', 'c', 'x')
        -- That of a partition is that of its parent, unless somebody did something to it.
        AND (conparentid = 0 OR index.reloptions IS NOT NULL OR index.reltablespace <> 0
            OR indisclustered OR indisreplident OR {_SWITCHED}
            OR {described("pg_constraint", "constr.oid")} IS NOT NULL
            OR {described("pg_class", "index.oid")} IS NOT NULL)
        AND {own("pg_class", "class.oid")}
    """,
)

#: As ``pg_get_indexdef`` prints it.
_STORAGE = """CASE WHEN index.reloptions IS NOT NULL THEN (
    SELECT ' WITH (' || string_agg(
        quote_ident(name) || '=' || CASE WHEN quote_ident(value) = value THEN value
            ELSE quote_literal(value) END, ', ' ORDER BY place) || ')'
    FROM unnest(index.reloptions) WITH ORDINALITY AS o (option, place),
        split_part(option, '=', 1) AS name, substring(option FROM strpos(option, '=') + 1) AS value
) END"""

_INDEX_COLUMNS = """(
    SELECT string_agg(attname, '_' ORDER BY attnum) FROM pg_attribute WHERE attrelid = indexrelid
)"""

INDEX = Kind.of_many(
    name="nspname, class.relname, index.relname",
    attributes={
        "unique": "indisunique",
        # The text after the names: method, columns, INCLUDE, NULLS NOT DISTINCT, WHERE.
        "definition": f"""replace(
            substring(pg_get_indexdef(indexrelid) FROM ' (USING .*)'),
            coalesce({_STORAGE}, ''), '')""",
        "storage parameters": listed("index.reloptions"),
        "valid": "indisvalid",
        "clustered": "indisclustered",
        "replica identity": "nullif(indisreplident, false)",
        "tablespace": "spcname",
        # Those of expressions: others are the column's.
        "statistics targets": """CASE WHEN 0 = ANY (indkey) THEN (
            SELECT jsonb_agg(attname || ' ' || attstattarget ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = indexrelid AND attstattarget >= 0
        ) END""",
        "comment": described("pg_class", "indexrelid"),
    },
    named_by=named_by("index.relname", "_.+_idx", f"class.relname || '_' || {_INDEX_COLUMNS}"),
    source=f"""
    FROM pg_index
    JOIN pg_class AS index ON index.oid = indexrelid
    JOIN relation AS class ON class.oid = indrelid
    JOIN visible_schema AS schema ON schema.oid = class.relnamespace
    LEFT JOIN pg_tablespace ON pg_tablespace.oid = index.reltablespace
    WHERE class.relkind IN ('r', 'p', 'm')
    -- The index of a partition is that of its parent, unless somebody did something to it.
    AND (NOT index.relispartition OR index.reloptions IS NOT NULL OR index.reltablespace <> 0
        OR indisclustered OR indisreplident OR {described("pg_class", "indexrelid")} IS NOT NULL)
    AND NOT EXISTS (
        SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')
    )
    AND {own("pg_class", "class.oid")} AND {own("pg_class", "index.oid")}
    """,
)

_STATISTICS_COLUMNS = """(
    SELECT class.relname || '_' || coalesce(attname, '') FROM pg_attribute
    WHERE attrelid = stxrelid AND attnum = stxkeys[0]
)"""

STATISTICS = f"""
    SELECT ARRAY[nspname, stxname], jsonb_build_object(
        -- The text after the name.
        'definition', regexp_replace(
            pg_get_statisticsobjdef(stat.oid), '^CREATE STATISTICS [^(]*?(?=\\(| ON )', ''),
        'target', nullif(to_jsonb(stat) ->> 'stxstattarget', '-1'),
        'comment', {described("pg_statistic_ext", "stat.oid")}
    ), {named_by("stxname", "_stat", f"coalesce({_STATISTICS_COLUMNS}, class.relname)")}
    FROM pg_statistic_ext AS stat
    JOIN visible_schema AS schema ON schema.oid = stxnamespace
    JOIN pg_class AS class ON class.oid = stxrelid
    WHERE {own("pg_statistic_ext", "stat.oid")}
"""

CONSTRAINTS = {
    "constraint": CONSTRAINT,
    "index": INDEX,
    "statistics": Kind(STATISTICS, f"SELECT FROM pg_statistic_ext WHERE oid >= {FIRST}"),
}
