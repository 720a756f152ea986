"""Schemas, extensions, tables and their columns."""

from project.schema.catalog.kind import Kind
from project.schema.catalog.parts import described, listed, own, unveiled
from project.schema.catalog.programs import ENABLED

SCHEMA = f"""
    SELECT ARRAY[nspname], jsonb_build_object(
        -- Every new database has this comment; a restored one may have lost it.
        'comment', nullif({described("pg_namespace", "schema.oid")}, 'standard public schema')
    ), 'user'
    FROM visible_schema AS schema
    WHERE {own("pg_namespace", "schema.oid")}
"""

EXTENSION = f"""
    SELECT ARRAY[extname], jsonb_build_object(
        'schema', nspname,
        'version', extversion,
        'comment', {described("pg_extension", "extension.oid")}
    ), 'user'
    FROM pg_extension AS extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
"""

TABLE = Kind.of_many(
    name="nspname, relname",
    attributes={
        "foreign": "relkind = 'f'",
        "persistence": "CASE relpersistence WHEN 'p' THEN 'permanent' ELSE 'unlogged' END",
        "partitioned by": "pg_get_partkeydef(class.oid)",
        "partition of": """CASE WHEN relispartition THEN (
            SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = class.oid
        ) END""",
        "partition": "pg_get_expr(relpartbound, class.oid)",
        "inherits": """CASE WHEN NOT relispartition THEN (
            SELECT jsonb_agg(inhparent::regclass::text ORDER BY inhseqno) FROM pg_inherits
            WHERE inhrelid = class.oid
        ) END""",
        "of type": "nullif(reloftype, 0)::regtype::text",
        "storage parameters": listed("class.reloptions"),
        "toast storage parameters": f"""(
            SELECT {listed("toast.reloptions")} FROM pg_class AS toast
            WHERE toast.oid = class.reltoastrelid
        )""",
        "access method": "amname",
        "tablespace": "spcname",
        "replica identity": """CASE relreplident
            WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
            ELSE 'index' END""",
        "row security": """CASE
            WHEN relforcerowsecurity AND relrowsecurity THEN 'forced'
            WHEN relforcerowsecurity THEN 'forced once enabled'
            WHEN relrowsecurity THEN 'enabled'
            ELSE 'off' END""",
        # Those of a partition are its parent's, unless they were switched here.
        "switched triggers": f"""CASE WHEN relispartition AND relhastriggers THEN (
            SELECT jsonb_agg(child.tgname || ' ' || {ENABLED.format("child.tgenabled")}
                ORDER BY child.tgname)
            FROM pg_trigger AS child JOIN pg_trigger AS parent ON parent.oid = child.tgparentid
            WHERE child.tgrelid = class.oid AND NOT child.tgisinternal
                AND child.tgenabled <> parent.tgenabled
        ) END""",
        "server": "srvname",
        "options": unveiled("ftoptions"),
        "comment": described("pg_class", "class.oid"),
    },
    named_by="'user'",
    source=f"""
    FROM relation AS class
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    LEFT JOIN pg_am ON pg_am.oid = relam
    LEFT JOIN pg_tablespace ON pg_tablespace.oid = reltablespace
    LEFT JOIN pg_foreign_table ON ftrelid = class.oid
    LEFT JOIN pg_foreign_server ON pg_foreign_server.oid = ftserver
    WHERE relkind IN ('r', 'p', 'f') AND {own("pg_class", "class.oid")}
    """,
)

# Columns come in their order, of which the snapshot keeps what it needs.
COLUMN = Kind.of_many(
    name="nspname, relname, attname",
    attributes={
        "type": "format_type(atttypid, atttypmod)",
        "nullable": "NOT attnotnull",
        "default": """CASE
            WHEN attgenerated <> '' THEN NULL
            WHEN next_number IS NOT NULL AND pg_get_expr(adbin, adrelid) = next_number
                THEN 'next number'
            ELSE pg_get_expr(adbin, adrelid) END""",
        "numbered by": "counting",
        "sequence": "sequence_name",
        "sequence persistence": """CASE WHEN sequence_persistence <> relpersistence THEN
            CASE sequence_persistence WHEN 'p' THEN 'permanent' ELSE 'unlogged' END END""",
        "sequence comment": "sequence_comment",
        "identity": "CASE attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END",
        "generated": "CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid) END",
        "generated when": "CASE attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END",
        "collation": """CASE WHEN attcollation <> typcollation THEN
            attcollation::regcollation::text END""",
        "storage": """CASE WHEN attstorage <> typstorage THEN CASE attstorage
            WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main'
            ELSE 'extended' END END""",
        "compression": "CASE attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END",
        "statistics target": "nullif(attstattarget, -1)",
        "parameters": listed("attoptions"),
        "options": f"CASE WHEN attfdwoptions IS NOT NULL THEN {unveiled('attfdwoptions')} END",
        "inherited": "NOT attislocal",
        "not null validated": "nullif(convalidated, true)",
        "not null inherited by children": "nullif(NOT connoinherit, true)",
        "not null name": "CASE WHEN conname !~ '_not_null[0-9]*$' THEN conname END",
        "not null comment": f"""CASE WHEN conname IS NOT NULL THEN
            {described("pg_constraint", "not_null.oid")} END""",
        "comment": "description",
    },
    named_by="'user'",
    source=f"""
    FROM pg_attribute
    JOIN relation AS class ON class.oid = attrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    JOIN pg_type ON pg_type.oid = atttypid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    LEFT JOIN owned ON table_oid = attrelid AND number = attnum
    LEFT JOIN pg_description ON pg_description.classoid = 'pg_class'::regclass
        AND objoid = attrelid AND objsubid = attnum
    -- PostgreSQL 18 keeps NOT NULL as a constraint, too.
    LEFT JOIN pg_constraint AS not_null
        ON conrelid = attrelid AND contype = 'n' AND conkey = ARRAY[attnum]
    WHERE relkind IN ('r', 'p', 'f') AND attnum > 0 AND NOT attisdropped
        AND {own("pg_class", "class.oid")}
    ORDER BY attrelid, attnum
    """,
)

TABLES = {
    "schema": Kind(SCHEMA),
    "extension": Kind(EXTENSION),
    "table": TABLE,
    "column": COLUMN,
}
