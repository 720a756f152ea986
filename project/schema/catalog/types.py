"""Types that a user makes: enums, domains, composites, ranges; and collations."""

_SOURCE = """
    FROM pg_type AS type
    JOIN visible_schema AS schema ON schema.oid = typnamespace
    WHERE NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_type'::regclass AND objid = type.oid
    )
"""

ENUM = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'values', (
            SELECT jsonb_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum
            WHERE enumtypid = type.oid
        ),
        'comment', obj_description(type.oid, 'pg_type')
    ), false
    {_SOURCE} AND typtype = 'e'
"""

DOMAIN = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'type', format_type(typbasetype, typtypmod),
        'nullable', NOT typnotnull,
        'default', typdefault,
        'collation', (
            SELECT typcollation::regcollation::text FROM pg_type AS base
            WHERE base.oid = type.typbasetype AND base.typcollation <> type.typcollation
        ),
        'comment', obj_description(type.oid, 'pg_type')
    ), false
    {_SOURCE} AND typtype = 'd'
"""

DOMAIN_CONSTRAINT = """
    SELECT ARRAY[nspname, typname, conname], jsonb_build_object(
        'definition', pg_get_constraintdef(constr.oid),
        'comment', obj_description(constr.oid, 'pg_constraint')
    ), conname ~ '_check[0-9]*$'
    FROM pg_constraint AS constr
    JOIN pg_type AS type ON type.oid = contypid
    JOIN visible_schema AS schema ON schema.oid = typnamespace
    WHERE contype = 'c' AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_type'::regclass AND objid = type.oid
    )
"""

COMPOSITE = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'attributes', (
            SELECT jsonb_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod),
                CASE WHEN attcollation <> attribute.typcollation
                    THEN 'COLLATE ' || attcollation::regcollation END) ORDER BY attnum)
            FROM pg_attribute JOIN pg_type AS attribute ON attribute.oid = atttypid
            WHERE attrelid = type.typrelid AND attnum > 0 AND NOT attisdropped
        ),
        'comment', obj_description(type.oid, 'pg_type')
    ), false
    {_SOURCE} AND typtype = 'c'
    AND (SELECT relkind FROM pg_class WHERE pg_class.oid = typrelid) = 'c'
"""

RANGE = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'subtype', (
            SELECT concat_ws(' ', rngsubtype::regtype,
                'multirange ' || rngmultitypid::regtype,
                'COLLATE ' || nullif(rngcollation, 0)::regcollation,
                'canonical ' || nullif(rngcanonical, 0)::regprocedure,
                'difference ' || nullif(rngsubdiff, 0)::regprocedure)
            FROM pg_range AS range WHERE rngtypid = type.oid
        ),
        'operator class', (
            SELECT opcname FROM pg_range JOIN pg_opclass ON pg_opclass.oid = rngsubopc
            WHERE rngtypid = type.oid
        ),
        'comment', obj_description(type.oid, 'pg_type')
    ), false
    {_SOURCE} AND typtype = 'r'
"""

COLLATION = """
    SELECT ARRAY[nspname, collname], jsonb_build_object(
        'provider', collprovider,
        'deterministic', collisdeterministic,
        'locale', coalesce(
            to_jsonb(coll) ->> 'colllocale', to_jsonb(coll) ->> 'colliculocale', collcollate),
        'rules', to_jsonb(coll) ->> 'collicurules',
        'comment', obj_description(coll.oid, 'pg_collation')
    ), false
    FROM pg_collation AS coll
    JOIN visible_schema AS schema ON schema.oid = collnamespace
    WHERE NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_collation'::regclass AND objid = coll.oid
    )
"""

TYPES = {
    "enum": ENUM,
    "domain": DOMAIN,
    "domain constraint": DOMAIN_CONSTRAINT,
    "composite type": COMPOSITE,
    "range": RANGE,
    "collation": COLLATION,
}
