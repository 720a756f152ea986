"""Which object of a database is built on which: ``pg_depend``, by the names of the snapshot.

Source: PostgreSQL, "System Catalogs", pg_depend. What a function's body says in a string is no
dependency to the server, and none here.
"""

from collections.abc import Mapping

import psycopg

from project.schema.catalog.parts import VISIBLE
from project.schema.catalog.postgresql import pinned
from project.schema.catalog.programs import FUNCTION_NAME
from project.schema.snapshot import Key

#: Kind and name of everything that can depend or be depended on; with the table of what is part of
#: one. A view is built on by its rule, a column's default by an object of its own.
_OBJECTS = f"""
    object AS MATERIALIZED (
        SELECT 'pg_class'::regclass AS class, class.oid, 0 AS part,
            CASE WHEN relkind IN ('v', 'm') THEN 'view' WHEN relkind = 'S' THEN 'sequence'
                ELSE 'table' END AS kind,
            ARRAY[nspname, relname] AS name
        FROM pg_class AS class JOIN visible_schema AS schema ON schema.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
        UNION ALL
        SELECT 'pg_class'::regclass, class.oid, attnum, 'column', ARRAY[nspname, relname, attname]
        FROM pg_class AS class JOIN visible_schema AS schema ON schema.oid = relnamespace
        JOIN pg_attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
        WHERE relkind IN ('r', 'p', 'f')
        UNION ALL
        SELECT 'pg_class'::regclass, class.oid, attnum, 'view', ARRAY[nspname, relname]
        FROM pg_class AS class JOIN visible_schema AS schema ON schema.oid = relnamespace
        JOIN pg_attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
        WHERE relkind IN ('v', 'm')
        UNION ALL
        SELECT 'pg_attrdef'::regclass, def.oid, 0, 'column', ARRAY[nspname, relname, attname]
        FROM pg_attrdef AS def JOIN pg_class AS class ON class.oid = adrelid
        JOIN visible_schema AS schema ON schema.oid = relnamespace
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        UNION ALL
        SELECT 'pg_class'::regclass, index.oid, 0, 'index',
            ARRAY[nspname, class.relname, index.relname]
        FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
        JOIN pg_class AS class ON class.oid = indrelid
        JOIN visible_schema AS schema ON schema.oid = class.relnamespace
        WHERE NOT EXISTS (
            SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')
        )
        UNION ALL
        SELECT 'pg_class'::regclass, conindid, 0, 'constraint', ARRAY[nspname, relname, conname]
        FROM pg_constraint JOIN pg_class AS class ON class.oid = conrelid
        JOIN visible_schema AS schema ON schema.oid = relnamespace
        WHERE contype IN ('p', 'u', 'x')
        UNION ALL
        SELECT 'pg_constraint'::regclass, constr.oid, 0, 'constraint',
            ARRAY[nspname, relname, conname]
        FROM pg_constraint AS constr JOIN pg_class AS class ON class.oid = conrelid
        JOIN visible_schema AS schema ON schema.oid = relnamespace WHERE contype <> 'n'
        UNION ALL
        SELECT 'pg_constraint'::regclass, constr.oid, 0, 'domain constraint',
            ARRAY[nspname, typname, conname]
        FROM pg_constraint AS constr JOIN pg_type AS type ON type.oid = contypid
        JOIN visible_schema AS schema ON schema.oid = typnamespace WHERE contype <> 'n'
        UNION ALL
        SELECT 'pg_type'::regclass, type.oid, 0,
            CASE element.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range'
                ELSE CASE relkind WHEN 'c' THEN 'composite type' WHEN 'v' THEN 'view'
                    WHEN 'm' THEN 'view' ELSE 'table' END END,
            ARRAY[nspname, element.typname]
        -- An array of a type, and a multirange, stand for the type itself.
        FROM pg_type AS type
        LEFT JOIN pg_range ON rngmultitypid = type.oid
        JOIN pg_type AS element ON element.oid = coalesce(
            rngtypid, CASE WHEN type.typcategory = 'A' THEN nullif(type.typelem, 0) END, type.oid)
        JOIN visible_schema AS schema ON schema.oid = element.typnamespace
        LEFT JOIN pg_class ON pg_class.oid = element.typrelid
        WHERE element.typtype IN ('e', 'd', 'r', 'c')
        UNION ALL
        SELECT 'pg_proc'::regclass, proc.oid, 0,
            CASE prokind WHEN 'a' THEN 'aggregate' ELSE 'function' END,
            ARRAY[nspname, {FUNCTION_NAME}]
        FROM pg_proc AS proc JOIN visible_schema AS schema ON schema.oid = pronamespace
        UNION ALL
        SELECT 'pg_trigger'::regclass, trigger.oid, 0, 'trigger', ARRAY[nspname, relname, tgname]
        FROM pg_trigger AS trigger JOIN pg_class AS class ON class.oid = tgrelid
        JOIN visible_schema AS schema ON schema.oid = relnamespace WHERE NOT tgisinternal
        UNION ALL
        SELECT 'pg_rewrite'::regclass, rule.oid, 0,
            CASE rulename WHEN '_RETURN' THEN 'view' ELSE 'rule' END,
            CASE rulename WHEN '_RETURN' THEN ARRAY[nspname, relname]
                ELSE ARRAY[nspname, relname, rulename] END
        FROM pg_rewrite AS rule JOIN pg_class AS class ON class.oid = ev_class
        JOIN visible_schema AS schema ON schema.oid = relnamespace
        UNION ALL
        SELECT 'pg_policy'::regclass, policy.oid, 0, 'policy', ARRAY[nspname, relname, polname]
        FROM pg_policy AS policy JOIN pg_class AS class ON class.oid = polrelid
        JOIN visible_schema AS schema ON schema.oid = relnamespace
        UNION ALL
        SELECT 'pg_collation'::regclass, coll.oid, 0, 'collation', ARRAY[nspname, collname]
        FROM pg_collation AS coll JOIN visible_schema AS schema ON schema.oid = collnamespace
        UNION ALL
        SELECT 'pg_statistic_ext'::regclass, stat.oid, 0, 'statistics', ARRAY[nspname, stxname]
        FROM pg_statistic_ext AS stat JOIN visible_schema AS schema ON schema.oid = stxnamespace
        UNION ALL
        SELECT 'pg_event_trigger'::regclass, event.oid, 0, 'event trigger', ARRAY[evtname::text]
        FROM pg_event_trigger AS event
        UNION ALL
        SELECT 'pg_namespace'::regclass, schema.oid, 0, 'schema', ARRAY[nspname]
        FROM visible_schema AS schema
        UNION ALL
        SELECT 'pg_extension'::regclass, extension.oid, 0, 'extension', ARRAY[extname::text]
        FROM pg_extension AS extension
    )
"""

# An object of an extension stands for the extension: the type citext is built on by a column.
_QUERY = f"""
    WITH {VISIBLE}, {_OBJECTS},
    edge AS (
        SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid FROM pg_depend
        WHERE deptype IN ('n', 'a', 'i', 'P', 'S')
    )
    SELECT DISTINCT dependent.kind, dependent.name,
        coalesce(extension.kind, referenced.kind), coalesce(extension.name, referenced.name)
    FROM edge
    JOIN object AS dependent
        ON (dependent.class, dependent.oid, dependent.part) = (classid, objid, objsubid)
    LEFT JOIN object AS referenced
        ON (referenced.class, referenced.oid, referenced.part) =
            (refclassid, refobjid, refobjsubid)
    LEFT JOIN pg_depend AS membership ON membership.deptype = 'e'
        AND (membership.classid, membership.objid) = (edge.refclassid, edge.refobjid)
    LEFT JOIN object AS extension ON extension.class = 'pg_extension'::regclass
        AND extension.oid = membership.refobjid
    WHERE coalesce(extension.kind, referenced.kind) IS NOT NULL
        AND (dependent.kind, dependent.name) <>
            (coalesce(extension.kind, referenced.kind), coalesce(extension.name, referenced.name))
    UNION
    SELECT 'index', ARRAY[n.nspname, c.relname, i.relname], 'column',
        ARRAY[n.nspname, c.relname, attname]
    FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid JOIN pg_class AS c ON c.oid = indrelid
    JOIN visible_schema AS n ON n.oid = c.relnamespace
    JOIN pg_attribute ON attrelid = c.oid AND attnum = ANY (indkey)
"""

#: What each object is built on.
Dependencies = Mapping[Key, frozenset[Key]]


def dependencies(connection: psycopg.Connection) -> Dependencies:
    """Read what each object of the database is built on, without what belongs to the server.

    Args:
        connection: In no transaction.

    """
    found: dict[Key, set[Key]] = {}
    with pinned(connection):
        for kind, name, other, other_name in connection.execute(_QUERY.encode()):
            key = Key(kind, tuple(name))
            found.setdefault(key, set()).add(Key(other, tuple(other_name)))
    return {key: frozenset(keys) for key, keys in found.items()}


_SEQUENCES = f"""
    WITH {VISIBLE}
    SELECT ARRAY[schema.nspname, class.relname, attname], ARRAY[space.nspname, sequence.relname]
    FROM pg_depend
    JOIN pg_class AS sequence ON sequence.oid = objid AND sequence.relkind = 'S'
    JOIN pg_namespace AS space ON space.oid = sequence.relnamespace
    JOIN pg_class AS class ON class.oid = refobjid
    JOIN visible_schema AS schema ON schema.oid = class.relnamespace
    JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
    WHERE pg_depend.classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
        AND refobjsubid > 0 AND deptype IN ('a', 'i')
"""


def sequences(connection: psycopg.Connection) -> Mapping[Key, tuple[str, ...]]:
    """Read which sequence belongs to which column; a snapshot leaves out names made by the server.

    Args:
        connection: In no transaction.

    """
    with pinned(connection):
        rows = connection.execute(_SEQUENCES.encode()).fetchall()
    return {Key("column", tuple(column)): tuple(sequence) for column, sequence in rows}


_FUNCTIONS = f"""
    WITH {VISIBLE}
    SELECT ARRAY[nspname, {FUNCTION_NAME}],
        pg_get_functiondef(proc.oid)
    FROM pg_proc AS proc JOIN visible_schema AS schema ON schema.oid = pronamespace
    WHERE prokind <> 'a'
"""


def statements(connection: psycopg.Connection) -> Mapping[Key, str]:
    """Read the statement that makes each function.

    Args:
        connection: In no transaction.

    """
    with pinned(connection):
        rows = connection.execute(_FUNCTIONS.encode()).fetchall()
    return {Key("function", tuple(name)): str(definition) for name, definition in rows}


_GRANTS = f"""
    WITH {VISIBLE},
    thing AS (
        SELECT 'view' AS kind, ARRAY[nspname, relname] AS name,
            class.oid::regclass::text AS called, relacl AS given, relowner AS owner
        FROM pg_class AS class JOIN visible_schema AS schema ON schema.oid = relnamespace
        WHERE relkind IN ('v', 'm')
        UNION ALL
        SELECT 'function', ARRAY[nspname, {FUNCTION_NAME}],
            CASE prokind WHEN 'p' THEN 'PROCEDURE ' ELSE 'FUNCTION ' END
            || proc.oid::regprocedure::text, proacl, proowner
        FROM pg_proc AS proc JOIN visible_schema AS schema ON schema.oid = pronamespace
    )
    SELECT kind, name, 'REVOKE ALL ON ' || called || ' FROM PUBLIC', 0 AS place FROM thing
    WHERE kind = 'function' AND NOT EXISTS (SELECT FROM aclexplode(given) WHERE grantee = 0)
        AND given IS NOT NULL
    UNION ALL
    SELECT kind, name, format('GRANT %s ON %s TO %s%s',
        string_agg(privilege_type, ', ' ORDER BY privilege_type), called,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END), 1
    FROM thing, aclexplode(given)
    WHERE grantee <> owner AND (kind, grantee) <> ('function', 0)
    GROUP BY kind, name, called, grantee, is_grantable
    ORDER BY 1, 2, 4, 3
"""


def grants(connection: psycopg.Connection) -> Mapping[Key, list[str]]:
    """Read the statements that grant on views and functions what is granted, to others than owners.

    Args:
        connection: In no transaction.

    """
    found: dict[Key, list[str]] = {}
    with pinned(connection):
        for kind, name, statement, _ in connection.execute(_GRANTS.encode()):
            found.setdefault(Key(kind, tuple(name)), []).append(statement)
    return found
