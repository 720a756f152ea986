"""Who owns what, and who may do what with it: read only where it is asked for.

The owner's own privileges and PUBLIC's usual ones are written out (``acldefault``), so that an
object on which nothing was ever granted equals one on which the same was granted.
"""

from project.schema.catalog.parts import FIRST, own
from project.schema.catalog.programs import FUNCTION_NAME


def _listed(access: str) -> str:
    """Write an access list as an array of "role: privileges", whatever order it was granted in."""
    return f"""
        SELECT jsonb_agg(grants ORDER BY grants COLLATE "C") FROM (
            SELECT coalesce(rolname, 'public') || ': ' || string_agg(
                privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END, ', '
                ORDER BY privilege_type) AS grants
            FROM aclexplode({access})
            LEFT JOIN pg_roles ON pg_roles.oid = grantee
            GROUP BY rolname
        ) AS listed
    """


def _granted(column: str, kind: str, owner: str) -> str:
    return _listed(f"coalesce({column}, acldefault({kind}, {owner}))")


def _privileges(name: str, source: str, column: str, kind: str, owner: str) -> str:
    return f"""
        SELECT ARRAY[{name}], jsonb_build_object(
            'owner', {owner}::regrole::text,
            'grants', ({_granted(column, kind, owner)})
        ), 'user'
        FROM {source}
    """


def _owner(name: str, source: str, owner: str) -> str:
    return f"""
        SELECT ARRAY[{name}], jsonb_build_object('owner', {owner}::regrole::text), 'user'
        FROM {source} WHERE {own(source, f"{source}.oid")}
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
        f" AND {own('pg_class', 'pg_class.oid')}",
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
        f"nspname, {FUNCTION_NAME}",
        f"pg_proc {_IN_SCHEMA} pronamespace AND {own('pg_proc', 'pg_proc.oid')}",
        *("proacl", "'f'", "proowner"),
    ),
    "privileges on type": _privileges(
        "nspname, typname",
        f"pg_type {_IN_SCHEMA} typnamespace AND typtype IN ('e', 'd', 'r')"
        f" AND {own('pg_type', 'pg_type.oid')}",
        *("typacl", "'T'", "typowner"),
    ),
    "privileges on language": _privileges(
        "lanname",
        f"pg_language WHERE oid >= {FIRST} AND {own('pg_language', 'pg_language.oid')}",
        *("lanacl", "'l'", "lanowner"),
    ),
    "privileges on foreign data wrapper": _privileges(
        "fdwname",
        f"pg_foreign_data_wrapper WHERE {own('pg_foreign_data_wrapper', 'oid')}",
        *("fdwacl", "'F'", "fdwowner"),
    ),
    "privileges on foreign server": _privileges(
        "srvname",
        f"pg_foreign_server WHERE {own('pg_foreign_server', 'oid')}",
        *("srvacl", "'S'", "srvowner"),
    ),
    "owner of publication": _owner("pubname", "pg_publication", "pubowner"),
    "owner of event trigger": _owner("evtname", "pg_event_trigger", "evtowner"),
    "default privileges": f"""
        SELECT ARRAY[coalesce(nspname, ''), defaclrole::regrole::text, CASE defaclobjtype
            WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
            WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END],
        jsonb_build_object('grants', ({_listed("defaclacl")})), 'user'
        FROM pg_default_acl LEFT JOIN visible_schema AS schema ON schema.oid = defaclnamespace
    """,
}
