"""What a connection is asked after each statement: its locks, and what was counted of relations.

What a transaction has done is visible to nobody else before it ends, so the connection itself is
asked. Both halves of each sum are needed: what a session has counted is handed over at some time
after its commit.

Sources:
    https://www.postgresql.org/docs/current/monitoring-stats.html (pg_stat_get_xact_…)
    https://www.postgresql.org/docs/current/functions-info.html (pg_xact_status)

"""

#: Of each relation: what it is, its file, and what has been read and written so far.
RELATIONS = """
    SELECT class.oid::int8 AS oid, nspname AS schema, relname AS name, relkind::text AS kind,
        relpersistence::text AS persistence, reltuples AS rows,
        coalesce(indrelid, 0)::int8 AS of, coalesce(inhparent, refobjid, 0)::int8 AS parent,
        coalesce(indisvalid, true) AS valid,
        coalesce(pg_relation_filenode(class.oid), 0)::int8 AS file,
        coalesce(pg_relation_size(class.oid), 0) AS bytes,
        pg_stat_get_numscans(class.oid) + pg_stat_get_xact_numscans(class.oid) AS scans,
        pg_stat_get_tuples_returned(class.oid)
            + pg_stat_get_xact_tuples_returned(class.oid) AS read,
        pg_stat_get_tuples_inserted(class.oid)
            + pg_stat_get_xact_tuples_inserted(class.oid) AS inserted,
        pg_stat_get_tuples_updated(class.oid)
            + pg_stat_get_xact_tuples_updated(class.oid) AS updated,
        pg_stat_get_tuples_deleted(class.oid)
            + pg_stat_get_xact_tuples_deleted(class.oid) AS deleted
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
    LEFT JOIN pg_catalog.pg_index ON indexrelid = class.oid
    LEFT JOIN pg_catalog.pg_inherits ON inhrelid = class.oid AND inhseqno = 1
    LEFT JOIN pg_catalog.pg_depend ON relkind = 'S' AND classid = 'pg_catalog.pg_class'::regclass
        AND objid = class.oid AND refobjsubid > 0 AND deptype IN ('a', 'i')
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
"""

LOCKED = """
    SELECT relation, array_agg(DISTINCT mode) AS modes
    FROM pg_catalog.pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND relation >= 16384
    GROUP BY relation
"""

#: The number of the transaction that runs.
TRANSACTION = """
    SELECT virtualtransaction FROM pg_catalog.pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'virtualxid' LIMIT 1
"""

#: The first number that no transaction has drawn yet; and whether one of those drawn since an
#: earlier answer is aborted, that of a part of this transaction or of another session.
NEXT = "pg_snapshot_xmax(pg_current_snapshot())::text::int8"

UNDONE = f"""
    pg_current_xact_id_if_assigned() IS NOT NULL AND ({NEXT} - {{since}} > 200 OR EXISTS (
        SELECT FROM generate_series({{since}}, {NEXT} - 1) AS number
        WHERE pg_xact_status(number::text::xid8) = 'aborted'
    ))
"""

#: How many rows of its catalog the session has written.
CATALOG = """
    SELECT sum(
        pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)
        + pg_stat_get_xact_tuples_deleted(oid)
    )
    FROM unnest(ARRAY[
        'pg_class', 'pg_attribute', 'pg_constraint', 'pg_index', 'pg_depend', 'pg_trigger',
        'pg_type'
    ]::regclass[]) AS oid
"""

SAMPLE = """
    WITH locked AS MATERIALIZED ({locked}), relations AS ({relations} {only})
    SELECT json_build_object(
        'transaction', ({transaction}),
        'lock_timeout', current_setting('lock_timeout'),
        'next', {next},
        'undone', {undone},
        'catalog', ({catalog}),
        'locks', (
            SELECT json_agg(json_build_array(relation::int8, modes) ORDER BY relation) FROM locked
        ),
        'relations', (SELECT json_agg(relations ORDER BY oid) FROM relations)
    )::text
"""


def sample(only: str, since: int) -> str:
    """Write the question.

    Args:
        only: A condition of the relations to look at; empty for all.
        since: The first number of a transaction that may be aborted; 0 where it does not matter.

    """
    return SAMPLE.format(
        transaction=TRANSACTION,
        catalog=CATALOG,
        next=NEXT,
        undone=UNDONE.format(since=since) if since else "false",
        locked=LOCKED,
        relations=RELATIONS,
        only=only,
    )


HELD = "AND class.oid IN (SELECT relation FROM locked)"

#: Likewise, and those that were read or written in this transaction without being locked any more.
COUNTED = """
    AND class.oid IN (
        SELECT relation FROM locked
        UNION SELECT oid FROM pg_catalog.pg_class WHERE oid >= 16384 AND
            pg_stat_get_xact_numscans(oid) + pg_stat_get_xact_tuples_inserted(oid)
            + pg_stat_get_xact_tuples_updated(oid) + pg_stat_get_xact_tuples_deleted(oid) > 0
    )
"""

#: What became in earnest of relations that were looked at in a trial.
THESE = "AND (class.oid IN ({oids}) OR indrelid IN ({oids}))"
