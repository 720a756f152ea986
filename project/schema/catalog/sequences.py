"""Sequences, and which of them are no more than how a column counts."""

from project.schema.catalog.kind import Kind
from project.schema.catalog.parts import described, own

#: How a sequence counts, on one line.
COUNTING = """
    concat_ws(' ', seqtypid::regtype, 'from', seqstart, 'by', seqincrement,
        'within', seqmin, seqmax, 'cache', seqcache, CASE WHEN seqcycle THEN 'cycle' END)
"""

# A sequence that belongs to one column, and whose name the server may have chosen, is an attribute
# of that column: after the table is renamed it keeps its old name, which means nothing. Its name is
# told where neither the table nor the column is in it.
OWNED = f"""
    owned AS MATERIALIZED (
        SELECT DISTINCT ON (refobjid, refobjsubid)
            seqrelid, refobjid AS table_oid, refobjsubid AS number, {COUNTING} AS counting,
            format('nextval(%L::regclass)', seqrelid::regclass) AS next_number,
            CASE WHEN sequence.relnamespace <> parent.relnamespace
                OR sequence.relname !~ '_seq[0-9]*$'
                OR NOT (starts_with(sequence.relname, parent.relname || '_')
                    OR strpos(sequence.relname, '_' || attname || '_seq') > 0
                    OR octet_length(sequence.relname) > 60)
                THEN seqrelid::regclass::text END AS sequence_name,
            sequence.relpersistence AS sequence_persistence,
            {described("pg_class", "seqrelid")} AS sequence_comment
        FROM pg_sequence
        JOIN pg_depend AS owner ON owner.classid = 'pg_class'::regclass AND owner.objid = seqrelid
            AND owner.refclassid = 'pg_class'::regclass AND owner.refobjsubid > 0
        JOIN pg_class AS sequence ON sequence.oid = seqrelid
        JOIN relation AS parent ON parent.oid = refobjid
        JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
        LEFT JOIN pg_attrdef ON adrelid = refobjid AND adnum = refobjsubid
        WHERE owner.deptype = 'i' OR (owner.deptype = 'a' AND sequence.relname ~ '_seq[0-9]*$')
        -- A column may own several; its own is that of the identity, or of the default.
        ORDER BY refobjid, refobjsubid, owner.deptype DESC, EXISTS (
            SELECT FROM pg_depend AS used WHERE used.classid = 'pg_attrdef'::regclass
                AND used.objid = pg_attrdef.oid AND used.refobjid = seqrelid
        ) DESC, seqrelid
    )
"""

SEQUENCE = f"""
    SELECT ARRAY[nspname, relname], jsonb_build_object(
        'type', seqtypid::regtype::text,
        'start', seqstart,
        'increment', seqincrement,
        'minimum', seqmin,
        'maximum', seqmax,
        'cache', seqcache,
        'cycle', seqcycle,
        'persistence', CASE relpersistence WHEN 'p' THEN 'permanent' ELSE 'unlogged' END,
        'owned by', (
            SELECT attrelid::regclass::text || '.' || attname FROM pg_depend
            JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
            WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype = 'a'
                AND refobjsubid > 0
        ),
        'comment', {described("pg_class", "class.oid")}
    ), 'user'
    FROM pg_sequence
    JOIN relation AS class ON class.oid = pg_sequence.seqrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    WHERE class.oid NOT IN (SELECT seqrelid FROM owned) AND {own("pg_class", "class.oid")}
"""

SEQUENCES = {"sequence": Kind(SEQUENCE, "SELECT FROM pg_sequence")}
