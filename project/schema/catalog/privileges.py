"""Who owns what, and who may do what with it: read only where it is asked for.

The owner's own privileges and PUBLIC's usual ones are written out (``acldefault``), so that an
object on which nothing was ever granted equals one on which the same was granted.
"""


def _granted(column: str, kind: str, owner: str) -> str:
    """Write an access list as an array of "role: privileges", whatever order it was granted in."""
    return f"""
        SELECT jsonb_agg(grants ORDER BY grants) FROM (
            SELECT coalesce(rolname, 'public') || ': ' || string_agg(
                privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END, ', '
                ORDER BY privilege_type) AS grants
            FROM aclexplode(coalesce({column}, acldefault({kind}, {owner})))
            LEFT JOIN pg_roles ON pg_roles.oid = grantee
            GROUP BY rolname
        ) AS listed
    """


def _privileges(name: str, source: str, column: str, kind: str, owner: str) -> str:
    return f"""
        SELECT ARRAY[{name}], jsonb_build_object(
            'owner', {owner}::regrole::text,
            'grants', ({_granted(column, kind, owner)})
        ), false
        FROM {source}
    """


_IN_SCHEMA = "JOIN visible_schema AS schema ON schema.oid ="

PRIVILEGES = {
    "privileges on schema": _privileges(
        "schema.nspname",
        "pg_namespace JOIN visible_schema AS schema ON schema.oid = pg_namespace.oid",
        *("nspacl", "'n'", "nspowner"),
    ),
    "privileges on relation": _privileges(
        "nspname, relname",
        f"pg_class {_IN_SCHEMA} relnamespace AND relkind IN ('r', 'p', 'f', 'v', 'm')"
        " AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_class'::regclass"
        " AND objid = pg_class.oid)",
        *("relacl", "'r'", "relowner"),
    ),
    "privileges on sequence": _privileges(
        "nspname, relname",
        f"pg_class {_IN_SCHEMA} relnamespace AND relkind = 'S' AND NOT EXISTS ("
        "SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'i')",
        *("relacl", "'s'", "relowner"),
    ),
    "privileges on column": _privileges(
        "nspname, relname, attname",
        f"pg_attribute JOIN pg_class ON pg_class.oid = attrelid {_IN_SCHEMA} relnamespace"
        " AND attacl IS NOT NULL",
        *("attacl", "'c'", "relowner"),
    ),
    "privileges on function": _privileges(
        "nspname, proname || '(' || pg_get_function_identity_arguments(pg_proc.oid) || ')'",
        f"pg_proc {_IN_SCHEMA} pronamespace AND NOT EXISTS (SELECT FROM member"
        " WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid)",
        *("proacl", "'f'", "proowner"),
    ),
    "privileges on type": _privileges(
        "nspname, typname",
        f"pg_type {_IN_SCHEMA} typnamespace AND typtype IN ('e', 'd', 'r') AND NOT EXISTS (SELECT"
        " FROM member WHERE classid = 'pg_type'::regclass AND objid = pg_type.oid)",
        *("typacl", "'T'", "typowner"),
    ),
    "default privileges": """
        SELECT ARRAY[coalesce(nspname, ''), defaclrole::regrole::text, defaclobjtype::text],
        jsonb_build_object('grants', defaclacl::text), false
        FROM pg_default_acl LEFT JOIN visible_schema AS schema ON schema.oid = defaclnamespace
    """,
}
