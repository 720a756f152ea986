"""Types that a user makes: enums, domains, composites, ranges, base types; and collations."""

from project.schema.catalog.constraints import CONSTRAINTS_OF_ALL, DEFINITION, VALIDATED
from project.schema.catalog.kind import Kind
from project.schema.catalog.parts import FIRST, described, named_by, own

_SOURCE = f"""
    FROM pg_type AS type
    JOIN visible_schema AS schema ON schema.oid = typnamespace
    WHERE {own("pg_type", "type.oid")}
"""

ENUM = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'values', (
            SELECT jsonb_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum
            WHERE enumtypid = type.oid
        ),
        'comment', {described("pg_type", "type.oid")}
    ), 'user'
    {_SOURCE} AND typtype = 'e'
"""

DOMAIN = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'type', format_type(typbasetype, typtypmod),
        'nullable', NOT typnotnull,
        'default', coalesce(pg_get_expr(typdefaultbin, 0), typdefault),
        'collation', (
            SELECT type.typcollation::regcollation::text FROM pg_type AS base
            WHERE base.oid = type.typbasetype AND base.typcollation <> type.typcollation
        ),
        'not null name', (
            SELECT conname FROM pg_constraint WHERE contypid = type.oid AND contype = 'n'
            AND conname !~ '_not_null[0-9]*$'
        ),
        'comment', {described("pg_type", "type.oid")}
    ), 'user'
    {_SOURCE} AND typtype = 'd'
"""

DOMAIN_CONSTRAINT = f"""
    SELECT ARRAY[nspname, typname, conname], jsonb_build_object(
        'definition', {DEFINITION},
        'validated', {VALIDATED},
        'comment', {described("pg_constraint", "constr.oid")}
    ), {named_by("conname", "_check", "typname || '_check'")}
    FROM {CONSTRAINTS_OF_ALL}
    JOIN pg_type AS type ON type.oid = contypid
    JOIN visible_schema AS schema ON schema.oid = typnamespace
    WHERE contype = 'c' AND {own("pg_type", "type.oid")}
"""

COMPOSITE = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'attributes', (
            SELECT jsonb_agg(concat_ws(' ', quote_ident(attname), format_type(atttypid, atttypmod),
                CASE WHEN attcollation <> attribute.typcollation
                    THEN 'COLLATE ' || attcollation::regcollation END) ORDER BY attnum)
            FROM pg_attribute JOIN pg_type AS attribute ON attribute.oid = atttypid
            WHERE attrelid = type.typrelid AND attnum > 0 AND NOT attisdropped
        ),
        'comments of attributes', (
            SELECT jsonb_agg(attname || ': ' || col_description(attrelid, attnum) ORDER BY attnum)
            FROM pg_attribute
            WHERE attrelid = type.typrelid AND col_description(attrelid, attnum) IS NOT NULL
        ),
        'comment', {described("pg_type", "type.oid")}
    ), 'user'
    {_SOURCE} AND typtype = 'c'
    AND (SELECT relkind FROM pg_class WHERE pg_class.oid = typrelid) = 'c'
"""

RANGE = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'subtype', rngsubtype::regtype::text,
        'multirange', rngmultitypid::regtype::text,
        'operator class', opcname,
        'collation', nullif(rngcollation, 0)::regcollation::text,
        'canonical function', nullif(rngcanonical::oid, 0)::regprocedure::text,
        'difference function', nullif(rngsubdiff::oid, 0)::regprocedure::text,
        'comment', {described("pg_type", "type.oid")}
    ), 'user'
    FROM pg_range
    JOIN pg_type AS type ON type.oid = rngtypid
    JOIN visible_schema AS schema ON schema.oid = typnamespace
    JOIN pg_opclass ON pg_opclass.oid = rngsubopc
    WHERE {own("pg_type", "type.oid")}
"""

# What is no row, array, multirange or other type that PostgreSQL makes along with another.
BASE_TYPE = f"""
    SELECT ARRAY[nspname, typname], jsonb_build_object(
        'defined', typisdefined,
        'input', typinput::text,
        'output', typoutput::text,
        'receive', typreceive::text,
        'send', typsend::text,
        'modifier input', typmodin::text,
        'modifier output', typmodout::text,
        'analyze', typanalyze::text,
        'length', typlen,
        'by value', typbyval,
        'alignment', typalign,
        'storage', typstorage,
        'category', typcategory,
        'preferred', typispreferred,
        'delimiter', typdelim,
        'element', nullif(typelem, 0)::regtype::text,
        'default', typdefault,
        'collatable', typcollation <> 0,
        'comment', {described("pg_type", "type.oid")}
    ), 'user'
    {_SOURCE} AND (typtype = 'p' OR typtype = 'b' AND NOT EXISTS (
        SELECT FROM pg_type AS element WHERE element.typarray = type.oid
    ))
"""

COLLATION = f"""
    SELECT ARRAY[nspname, collname], jsonb_build_object(
        'provider', CASE collprovider
            WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'default' END,
        'deterministic', collisdeterministic,
        'locale', coalesce(
            to_jsonb(coll) ->> 'colllocale', to_jsonb(coll) ->> 'colliculocale', collcollate),
        'ctype', collctype,
        'rules', to_jsonb(coll) ->> 'collicurules',
        'comment', {described("pg_collation", "coll.oid")}
    ), 'user'
    FROM pg_collation AS coll
    JOIN visible_schema AS schema ON schema.oid = collnamespace
    WHERE {own("pg_collation", "coll.oid")}
"""

_DOMAINS = f"SELECT FROM pg_type WHERE oid >= {FIRST} AND typtype = 'd'"

TYPES = {
    "enum": Kind(ENUM, f"SELECT FROM pg_type WHERE oid >= {FIRST} AND typtype = 'e'"),
    "domain": Kind(DOMAIN, _DOMAINS),
    "domain constraint": Kind(DOMAIN_CONSTRAINT, _DOMAINS),
    "composite type": Kind(
        COMPOSITE, f"SELECT FROM pg_class WHERE oid >= {FIRST} AND relkind = 'c'"
    ),
    "range": Kind(RANGE, f"SELECT FROM pg_range WHERE rngtypid >= {FIRST}"),
    # No type of the user's is read as arrays are, but arrays.
    "base type": Kind(
        BASE_TYPE,
        f"SELECT FROM pg_type WHERE oid >= {FIRST}"
        " AND (typtype = 'p' OR typtype = 'b' AND typinput <> 'array_in'::regproc)",
    ),
    "collation": Kind(COLLATION, f"SELECT FROM pg_collation WHERE oid >= {FIRST}"),
}
