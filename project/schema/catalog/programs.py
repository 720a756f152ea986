"""What a user programs into a database: views, functions, triggers, rules, policies."""

VIEW = """
    SELECT ARRAY[nspname, relname], jsonb_build_object(
        'definition', pg_get_viewdef(class.oid),
        'materialised', relkind = 'm',
        'columns', (
            SELECT jsonb_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
        ),
        'defaults', (
            SELECT jsonb_agg(attname || ' ' || pg_get_expr(adbin, adrelid) ORDER BY attnum)
            FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
            WHERE adrelid = class.oid
        ),
        'parameters', (SELECT jsonb_agg(o ORDER BY o) FROM unnest(reloptions) AS o),
        'access method', amname,
        'tablespace', spcname,
        'populated', CASE relkind WHEN 'm' THEN relispopulated END,
        'comment', obj_description(class.oid, 'pg_class'),
        'comments of columns', (
            SELECT jsonb_agg(attname || ': ' || col_description(attrelid, attnum) ORDER BY attnum)
            FROM pg_attribute
            WHERE attrelid = class.oid AND col_description(attrelid, attnum) IS NOT NULL
        )
    ), false
    FROM pg_class AS class
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    LEFT JOIN pg_am ON pg_am.oid = relam
    LEFT JOIN pg_tablespace ON pg_tablespace.oid = reltablespace
    WHERE relkind IN ('v', 'm') AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = class.oid
    )
"""

FUNCTION = """
    SELECT ARRAY[nspname, proname || '(' || pg_get_function_identity_arguments(proc.oid) || ')'],
    jsonb_build_object(
        'kind', CASE prokind
            WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'w' THEN 'window function'
            ELSE 'aggregate' END,
        -- The text before the body: result, language, volatility, options, settings.
        'signature', CASE WHEN prokind <> 'a' THEN substring(
            pg_get_functiondef(proc.oid) FROM '^CREATE OR REPLACE [^$]*') END,
        'body', CASE WHEN prokind <> 'a' THEN
            coalesce(pg_get_function_sqlbody(proc.oid), prosrc) END,
        'library', probin,
        'aggregation', (
            SELECT concat_ws(' ', aggtransfn, aggtranstype::regtype, aggfinalfn, aggcombinefn,
                aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn, agginitval,
                aggkind, aggsortop, aggnumdirectargs, aggfinalmodify, proparallel)
            FROM pg_aggregate WHERE aggfnoid = proc.oid
        ),
        'comment', obj_description(proc.oid, 'pg_proc')
    ), false
    FROM pg_proc AS proc
    JOIN visible_schema AS schema ON schema.oid = pronamespace
    WHERE NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_proc'::regclass AND objid = proc.oid
    )
    -- PostgreSQL makes the constructors of a range with the type.
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = proc.oid
            AND refclassid = 'pg_type'::regclass AND deptype = 'i'
    )
"""

TRIGGER = """
    SELECT ARRAY[nspname, relname, tgname], jsonb_build_object(
        'definition', pg_get_triggerdef(trigger.oid),
        'enabled', CASE tgenabled
            WHEN 'O' THEN 'origin' WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' ELSE 'always' END,
        'comment', obj_description(trigger.oid, 'pg_trigger')
    ), false
    FROM pg_trigger AS trigger
    JOIN pg_class AS class ON class.oid = tgrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    WHERE NOT tgisinternal AND tgparentid = 0 AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_trigger'::regclass AND objid = trigger.oid
    )
"""

EVENT_TRIGGER = """
    SELECT ARRAY[evtname], jsonb_build_object(
        'event', evtevent,
        'function', evtfoid::regprocedure::text,
        'tags', (SELECT jsonb_agg(tag ORDER BY tag) FROM unnest(evttags) AS tag),
        'enabled', evtenabled,
        'comment', obj_description(event.oid, 'pg_event_trigger')
    ), false
    FROM pg_event_trigger AS event
    WHERE NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_event_trigger'::regclass AND objid = event.oid
    )
"""

RULE = """
    SELECT ARRAY[nspname, relname, rulename], jsonb_build_object(
        'definition', pg_get_ruledef(rule.oid),
        'enabled', ev_enabled,
        'comment', obj_description(rule.oid, 'pg_rewrite')
    ), false
    FROM pg_rewrite AS rule
    JOIN pg_class AS class ON class.oid = ev_class
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    WHERE rulename <> '_RETURN' AND NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_rewrite'::regclass AND objid = rule.oid
    )
"""

POLICY = """
    SELECT ARRAY[nspname, relname, polname], jsonb_build_object(
        'command', CASE polcmd
            WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
            WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        'permissive', polpermissive,
        'roles', (
            SELECT jsonb_agg(coalesce(rolname, 'public') ORDER BY rolname)
            FROM unnest(polroles) AS role LEFT JOIN pg_roles ON pg_roles.oid = role
        ),
        'using', pg_get_expr(polqual, polrelid),
        'with check', pg_get_expr(polwithcheck, polrelid),
        'comment', obj_description(policy.oid, 'pg_policy')
    ), false
    FROM pg_policy AS policy
    JOIN pg_class AS class ON class.oid = polrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    WHERE NOT EXISTS (
        SELECT FROM member WHERE classid = 'pg_policy'::regclass AND objid = policy.oid
    )
"""

PROGRAMS = {
    "view": VIEW,
    "function": FUNCTION,
    "trigger": TRIGGER,
    "event trigger": EVENT_TRIGGER,
    "rule": RULE,
    "policy": POLICY,
}
