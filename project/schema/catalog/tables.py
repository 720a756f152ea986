"""Schemas, tables and what belongs to them."""

SCHEMA = """
    SELECT ARRAY[nspname], jsonb_build_object(
        'comment', obj_description(schema.oid, 'pg_namespace')
    ), false
    FROM visible_schema AS schema
    WHERE NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_namespace'::regclass AND objid = schema.oid
    )
"""

EXTENSION = """
    SELECT ARRAY[extname], jsonb_build_object(
        'schema', nspname,
        'version', extversion
    ), false
    FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
"""

TABLE = """
    SELECT ARRAY[nspname, relname], jsonb_build_object(
        'foreign', relkind = 'f',
        'persistence', CASE relpersistence WHEN 'p' THEN 'permanent' ELSE 'unlogged' END,
        'partitioned by', pg_get_partkeydef(class.oid),
        'partition of', (
            SELECT inhparent::regclass::text FROM pg_inherits
            WHERE inhrelid = class.oid AND relispartition
        ),
        'partition', pg_get_expr(relpartbound, class.oid),
        'inherits', (
            SELECT jsonb_agg(inhparent::regclass::text ORDER BY inhseqno) FROM pg_inherits
            WHERE inhrelid = class.oid AND NOT relispartition
        ),
        'of type', nullif(reloftype, 0)::regtype::text,
        'storage parameters', CASE WHEN reloptions IS NOT NULL THEN
            (SELECT jsonb_agg(o ORDER BY o) FROM unnest(reloptions) AS o) END,
        'toast storage parameters', (
            SELECT jsonb_agg(o ORDER BY o) FROM pg_class AS toast, unnest(toast.reloptions) AS o
            WHERE toast.oid = class.reltoastrelid
        ),
        'access method', amname,
        'tablespace', spcname,
        'replica identity', CASE relreplident
            WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
            ELSE (
                SELECT 'index ' || indexrelid::regclass::text FROM pg_index
                WHERE indrelid = class.oid AND indisreplident
            ) END,
        'row security', CASE
            WHEN relforcerowsecurity THEN 'forced' WHEN relrowsecurity THEN 'enabled'
            ELSE 'off' END,
        'server', (
            SELECT srvname || coalesce(' ' || ftoptions::text, '') FROM pg_foreign_table
            JOIN pg_foreign_server ON pg_foreign_server.oid = ftserver
            WHERE ftrelid = class.oid
        ),
        'comment', obj_description(class.oid, 'pg_class')
    ), false
    FROM pg_class AS class
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    LEFT JOIN pg_am ON pg_am.oid = relam
    LEFT JOIN pg_tablespace ON pg_tablespace.oid = reltablespace
    WHERE relkind IN ('r', 'p', 'f') AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = class.oid
    )
"""

#: How a sequence counts, on one line.
_COUNTING = """
    concat_ws(' ', seqtypid::regtype, 'from', seqstart, 'by', seqincrement,
        'within', seqmin, seqmax, 'cache', seqcache, CASE WHEN seqcycle THEN 'cycle' END)
"""

# A sequence that belongs to one column, and whose name the server may have chosen, is an attribute
# of that column: after the table is renamed it keeps its old name, which means nothing.
_OWNED = f"""
    owned AS MATERIALIZED (
        SELECT seqrelid, refobjid AS table_oid, refobjsubid AS number, deptype = 'i' AS identity,
            {_COUNTING} AS counting
        FROM pg_sequence
        JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = seqrelid
            AND refclassid = 'pg_class'::regclass AND refobjsubid > 0
        JOIN pg_class AS sequence ON sequence.oid = seqrelid
        WHERE deptype = 'i' OR (deptype = 'a' AND sequence.relname ~ '_seq[0-9]*$')
    )
"""

COLUMN = f"""
    , {_OWNED}
    SELECT ARRAY[nspname, relname, attname], jsonb_strip_nulls(jsonb_build_object(
        'type', format_type(atttypid, atttypmod),
        'nullable', NOT attnotnull,
        'default', CASE
            WHEN attgenerated <> '' THEN NULL
            WHEN NOT identity AND pg_get_expr(adbin, adrelid) ~ '^nextval\\(' THEN 'next number'
            ELSE pg_get_expr(adbin, adrelid) END,
        'numbered by', counting,
        'identity', CASE attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
        'generated', CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid) END,
        'generated when', CASE attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END,
        'collation', CASE WHEN attcollation <> typcollation THEN
            attcollation::regcollation::text END,
        'storage', CASE WHEN attstorage <> typstorage THEN attstorage END,
        'compression', nullif(attcompression, ''),
        'statistics target', nullif(attstattarget, -1),
        'parameters', CASE WHEN attoptions IS NOT NULL THEN
            (SELECT jsonb_agg(o ORDER BY o) FROM unnest(attoptions) AS o) END,
        'inherited', NOT attislocal,
        'not null unvalidated', nullif(NOT convalidated, false),
        'not null of this table only', nullif(connoinherit, false),
        'comment', description
    )), false
    FROM pg_attribute
    JOIN pg_class AS class ON class.oid = attrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    JOIN pg_type ON pg_type.oid = atttypid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    LEFT JOIN owned ON table_oid = attrelid AND number = attnum
    LEFT JOIN pg_description ON pg_description.classoid = 'pg_class'::regclass
        AND objoid = attrelid AND objsubid = attnum
    -- PostgreSQL 18 keeps NOT NULL as a constraint, too.
    LEFT JOIN pg_constraint ON conrelid = attrelid AND contype = 'n' AND conkey = ARRAY[attnum]
    WHERE relkind IN ('r', 'p', 'f') AND attnum > 0 AND NOT attisdropped AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = class.oid
    )
"""

CONSTRAINT = """
    SELECT ARRAY[nspname, relname, conname], jsonb_build_object(
        'definition', pg_get_constraintdef(constr.oid),
        'inherited', NOT conislocal,
        'storage parameters', (
            SELECT jsonb_agg(o ORDER BY o) FROM pg_class AS i, unnest(i.reloptions) AS o
            WHERE i.oid = conindid AND contype IN ('p', 'u', 'x')
        ),
        'tablespace', (
            SELECT spcname FROM pg_class AS i JOIN pg_tablespace AS s ON s.oid = reltablespace
            WHERE i.oid = conindid AND contype IN ('p', 'u', 'x')
        ),
        'clustered', (
            SELECT nullif(indisclustered, false) FROM pg_index
            WHERE indexrelid = conindid AND contype IN ('p', 'u', 'x')
        ),
        'comment', obj_description(constr.oid, 'pg_constraint')
    ), conname ~ CASE contype
        WHEN 'p' THEN '_pkey[0-9]*$' WHEN 'u' THEN '_key[0-9]*$' WHEN 'f' THEN '_fkey[0-9]*$'
        WHEN 'c' THEN '_check[0-9]*$' ELSE '_excl[0-9]*$' END
    FROM pg_constraint AS constr
    JOIN pg_class AS class ON class.oid = conrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    WHERE contype IN ('p', 'u', 'f', 'c', 'x') AND conparentid = 0 AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = class.oid
    )
"""

INDEX = """
    SELECT ARRAY[nspname, class.relname, index.relname], jsonb_build_object(
        'unique', indisunique,
        -- The text after the names: method, columns, INCLUDE, NULLS NOT DISTINCT, WITH, WHERE.
        'definition', substring(pg_get_indexdef(indexrelid)
            FROM strpos(pg_get_indexdef(indexrelid), ' USING ') + 1),
        'on this table only', pg_get_indexdef(indexrelid) ~ ' ON ONLY ',
        'valid', indisvalid,
        'clustered', indisclustered,
        'tablespace', spcname,
        'statistics targets', (
            SELECT jsonb_agg(attname || ' ' || attstattarget ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = indexrelid AND attstattarget >= 0
        ),
        'comment', obj_description(indexrelid, 'pg_class')
    ), index.relname ~ '_idx[0-9]*$'
    FROM pg_index
    JOIN pg_class AS index ON index.oid = indexrelid
    JOIN pg_class AS class ON class.oid = indrelid
    JOIN visible_schema AS schema ON schema.oid = class.relnamespace
    LEFT JOIN pg_tablespace ON pg_tablespace.oid = index.reltablespace
    WHERE class.relkind IN ('r', 'p', 'm')
    AND NOT index.relispartition
    AND NOT EXISTS (
        SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')
    )
    AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid IN (class.oid, index.oid)
    )
"""

SEQUENCE = f"""
    , {_OWNED}
    SELECT ARRAY[nspname, relname], jsonb_build_object(
        'counting', {_COUNTING},
        'persistence', CASE relpersistence WHEN 'p' THEN 'permanent' ELSE 'unlogged' END,
        'owned by', (
            SELECT attrelid::regclass::text || '.' || attname FROM pg_depend
            JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
            WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype = 'a'
                AND refobjsubid > 0
        ),
        'comment', obj_description(class.oid, 'pg_class')
    ), false
    FROM pg_sequence
    JOIN pg_class AS class ON class.oid = pg_sequence.seqrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    WHERE class.oid NOT IN (SELECT seqrelid FROM owned) AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = class.oid
    )
"""

STATISTICS = """
    SELECT ARRAY[nspname, stxname], jsonb_build_object(
        -- The text after the name.
        'definition', regexp_replace(
            pg_get_statisticsobjdef(stat.oid), '^CREATE STATISTICS [^(]*?(?=\\(| ON )', ''),
        'target', nullif(to_jsonb(stat) ->> 'stxstattarget', '-1'),
        'comment', obj_description(stat.oid, 'pg_statistic_ext')
    ), stxname ~ '_stat[0-9]*$'
    FROM pg_statistic_ext AS stat
    JOIN visible_schema AS schema ON schema.oid = stxnamespace
    WHERE NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_statistic_ext'::regclass AND objid = stat.oid
    )
"""

TABLES = {
    "schema": SCHEMA,
    "extension": EXTENSION,
    "table": TABLE,
    "column": COLUMN,
    "constraint": CONSTRAINT,
    "index": INDEX,
    "sequence": SEQUENCE,
    "statistics": STATISTICS,
}
