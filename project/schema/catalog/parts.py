"""Pieces that the queries share."""

#: The user's schemas, and what belongs to an extension: neither the system's own objects nor those
#: are anybody's to change.
VISIBLE = """
    visible_schema AS MATERIALIZED (
        SELECT oid, nspname FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    ),
    member AS MATERIALIZED (
        SELECT classid, objid FROM pg_depend
        WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    )
"""

#: Objects of a lower number were made with the cluster (``FirstNormalObjectId``).
FIRST = 16384

#: Names of options whose values are nobody's to read.
HIDDEN = "pass|secret|token|credential|(api|private|access|account|sas)_?key"


#: Catalogs of which an empty database has thousands of rows, and what tells whose a row is: what
#: initdb makes has a number below 16384 (FirstNormalObjectId in transam.h), and what a user makes
#: has none. The schema "public" is the exception: its comment may be the user's.
LARGE = {
    "pg_attribute": "attrelid",
    "pg_class": "oid",
    "pg_constraint": "oid",
    "pg_description": "objoid",
    "pg_index": "indexrelid",
    "pg_proc": "oid",
}

USERS = "".join(
    f"{catalog} AS NOT MATERIALIZED"
    f" (SELECT * FROM pg_catalog.{catalog} WHERE {catalog}.{number} >= {FIRST}),"
    for catalog, number in LARGE.items()
)


def own(catalog: str, oid: str) -> str:
    """Write the condition that an object belongs to no extension."""
    return (
        f"NOT EXISTS (SELECT FROM member WHERE classid = '{catalog}'::regclass AND objid = {oid})"
    )


def described(catalog: str, oid: str) -> str:
    """Write the comment of an object.

    ``obj_description`` says the same, and is a function of SQL, which is begun anew for each row.
    """
    return f"""(
            SELECT description FROM pg_catalog.pg_description
            WHERE objoid = {oid} AND classoid = '{catalog}'::regclass AND objsubid = 0
        )"""


def listed(options: str) -> str:
    """Write an array in the order of its texts, whatever order they were given in.

    The order is that of the bytes: two databases may collate differently.
    """
    # Mostly there are none, and nothing is to be sorted.
    return f"""CASE WHEN {options} IS NOT NULL THEN (
            SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest({options}) AS o
        ) END"""


def unveiled(options: str) -> str:
    """Write options of a foreign object, without the values of those that are secrets."""
    return f"""(
        SELECT jsonb_agg(
            CASE WHEN name ~* '{HIDDEN}' THEN name || '=***' ELSE o END ORDER BY name COLLATE "C")
        FROM unnest({options}) AS o, split_part(o, '=', 1) AS name
    )"""


def named_by(name: str, suffix: str, choice: str) -> str:
    """Write who may have chosen a name, as :class:`~project.schema.snapshot.Item` has it.

    Args:
        name: The name.
        suffix: How names end that the server makes up: ``_.+_key``.
        choice: How such a name begins if the server made it up for the table as it is now. Long
            names are cut somewhere, so that nothing can be said of their beginning.

    """
    return f"""CASE
        WHEN {name} !~ '{suffix}[0-9]*$' THEN 'user'
        WHEN octet_length({name}) > 60 OR starts_with({name}, {choice}) THEN 'server'
        ELSE 'history' END"""
