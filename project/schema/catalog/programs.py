"""What a user programs into a database: views, functions, triggers, rules, policies."""

from project.schema.catalog.kind import Kind
from project.schema.catalog.parts import FIRST, described, listed, own

VIEW = f"""
    SELECT ARRAY[nspname, relname], jsonb_build_object(
        'definition', pg_get_viewdef(class.oid),
        'materialised', relkind = 'm',
        'columns', (
            SELECT jsonb_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
                ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
        ),
        'defaults', (
            SELECT jsonb_agg(attname || ' ' || pg_get_expr(adbin, adrelid) ORDER BY attnum)
            FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
            WHERE adrelid = class.oid
        ),
        'parameters', {listed("class.reloptions")},
        'toast storage parameters', (
            SELECT {listed("toast.reloptions")} FROM pg_class AS toast
            WHERE toast.oid = class.reltoastrelid
        ),
        'storage of columns', (
            SELECT jsonb_agg(concat_ws(' ', attname, 'statistics ' || nullif(attstattarget, -1),
                    'storage ' || CASE WHEN attstorage <> typstorage THEN attstorage::text END,
                    'compression ' || nullif(attcompression::text, ''), attoptions::text)
                ORDER BY attnum)
            FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
            WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped AND (
                attstattarget >= 0 OR attstorage <> typstorage OR attcompression <> ''
                OR attoptions IS NOT NULL)
        ),
        'access method', amname,
        'tablespace', spcname,
        'populated', CASE relkind WHEN 'm' THEN relispopulated END,
        'comment', {described("pg_class", "class.oid")},
        'comments of columns', (
            SELECT jsonb_agg(attname || ': ' || col_description(attrelid, attnum) ORDER BY attnum)
            FROM pg_attribute
            WHERE attrelid = class.oid AND col_description(attrelid, attnum) IS NOT NULL
        )
    ), 'user'
    FROM pg_class AS class
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    LEFT JOIN pg_am ON pg_am.oid = relam
    LEFT JOIN pg_tablespace ON pg_tablespace.oid = reltablespace
    WHERE relkind IN ('v', 'm') AND {own("pg_class", "class.oid")}
"""

#: A function's name: its types tell it from others of that name.
FUNCTION_NAME = "proname || '(' || oidvectortypes(proargtypes) || ')'"

#: Each as CREATE FUNCTION takes it.
_ARGUMENTS = """(
    SELECT jsonb_agg(concat_ws(' ',
        CASE proargmodes[place] WHEN 'o' THEN 'OUT' WHEN 'b' THEN 'INOUT' WHEN 'v' THEN 'VARIADIC'
            WHEN 't' THEN 'TABLE' END,
        quote_ident(nullif(proargnames[place], '')),
        format_type(argument, NULL),
        'DEFAULT ' || pg_get_function_arg_default(proc.oid, place::int)) ORDER BY place)
    FROM unnest(coalesce(proallargtypes, proargtypes::oid[])) WITH ORDINALITY AS a (argument, place)
)"""

FUNCTION = f"""
    SELECT ARRAY[nspname, {FUNCTION_NAME}], jsonb_build_object(
        'kind', CASE prokind WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure'
            ELSE 'window function' END,
        'arguments', {_ARGUMENTS},
        'result', pg_get_function_result(proc.oid),
        'language', lanname,
        'volatility', CASE provolatile
            WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
        'strict', proisstrict,
        'security definer', prosecdef,
        'leakproof', proleakproof,
        'parallel', CASE proparallel
            WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END,
        'cost', procost::text,
        'rows', prorows::text,
        'support', nullif(prosupport::oid, 0)::regprocedure::text,
        'transforms', (SELECT jsonb_agg(t::regtype::text) FROM unnest(protrftypes) AS t),
        'settings', {listed("proconfig")},
        'body', coalesce(pg_get_function_sqlbody(proc.oid), prosrc),
        'library', probin,
        'comment', {described("pg_proc", "proc.oid")}
    ), 'user'
    FROM pg_proc AS proc
    JOIN visible_schema AS schema ON schema.oid = pronamespace
    JOIN pg_language ON pg_language.oid = prolang
    WHERE prokind <> 'a' AND {own("pg_proc", "proc.oid")}
    -- PostgreSQL makes the constructors of a range with the type.
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = proc.oid
            AND refclassid = 'pg_type'::regclass AND deptype = 'i'
    )
"""

AGGREGATE = f"""
    SELECT ARRAY[nspname, {FUNCTION_NAME}], jsonb_strip_nulls(jsonb_build_object(
        'kind', CASE aggkind WHEN 'n' THEN 'normal' WHEN 'o' THEN 'ordered set'
            ELSE 'hypothetical set' END,
        'direct arguments', aggnumdirectargs,
        'arguments', {_ARGUMENTS},
        'transition function', aggtransfn::oid::regprocedure::text,
        'state type', aggtranstype::regtype::text,
        'state size', aggtransspace,
        'initial value', agginitval,
        'final function', nullif(aggfinalfn::oid, 0)::regprocedure::text,
        'final function takes all arguments', aggfinalextra,
        'final function modifies', aggfinalmodify,
        'combine function', nullif(aggcombinefn::oid, 0)::regprocedure::text,
        'serial function', nullif(aggserialfn::oid, 0)::regprocedure::text,
        'deserial function', nullif(aggdeserialfn::oid, 0)::regprocedure::text,
        'moving transition function', nullif(aggmtransfn::oid, 0)::regprocedure::text,
        'moving inverse function', nullif(aggminvtransfn::oid, 0)::regprocedure::text,
        'moving state type', nullif(aggmtranstype, 0)::regtype::text,
        'moving state size', aggmtransspace,
        'moving initial value', aggminitval,
        'moving final function', nullif(aggmfinalfn::oid, 0)::regprocedure::text,
        'moving final function takes all arguments', aggmfinalextra,
        'moving final function modifies', aggmfinalmodify,
        'sort operator', nullif(aggsortop, 0)::regoperator::text,
        'parallel', CASE proparallel
            WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END,
        'comment', {described("pg_proc", "proc.oid")}
    )), 'user'
    FROM pg_aggregate
    JOIN pg_proc AS proc ON proc.oid = aggfnoid
    JOIN visible_schema AS schema ON schema.oid = pronamespace
    WHERE {own("pg_proc", "proc.oid")}
"""

#: When a trigger or a rule fires.
ENABLED = """CASE {} WHEN 'O' THEN 'origin' WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica'
    ELSE 'always' END"""

TRIGGER = f"""
    SELECT ARRAY[nspname, relname, trigger.tgname], jsonb_build_object(
        'definition', pg_get_triggerdef(trigger.oid),
        'enabled', {ENABLED.format("trigger.tgenabled")},
        'comment', {described("pg_trigger", "trigger.oid")}
    ), 'user'
    FROM pg_trigger AS trigger
    JOIN pg_class AS class ON class.oid = trigger.tgrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    -- The trigger of a partition is that of its parent.
    WHERE NOT trigger.tgisinternal AND trigger.tgparentid = 0 AND {own("pg_trigger", "trigger.oid")}
"""

EVENT_TRIGGER = f"""
    SELECT ARRAY[evtname], jsonb_build_object(
        'event', evtevent,
        'function', evtfoid::regprocedure::text,
        'tags', {listed("evttags")},
        'enabled', {ENABLED.format("evtenabled")},
        'comment', {described("pg_event_trigger", "event.oid")}
    ), 'user'
    FROM pg_event_trigger AS event
    WHERE {own("pg_event_trigger", "event.oid")}
"""

RULE = f"""
    SELECT ARRAY[nspname, relname, rulename], jsonb_build_object(
        'definition', pg_get_ruledef(rule.oid),
        'enabled', {ENABLED.format("ev_enabled")},
        'comment', {described("pg_rewrite", "rule.oid")}
    ), 'user'
    FROM pg_rewrite AS rule
    JOIN pg_class AS class ON class.oid = ev_class
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    WHERE rulename <> '_RETURN' AND {own("pg_rewrite", "rule.oid")}
"""

POLICY = f"""
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
        'comment', {described("pg_policy", "policy.oid")}
    ), 'user'
    FROM pg_policy AS policy
    JOIN pg_class AS class ON class.oid = polrelid
    JOIN visible_schema AS schema ON schema.oid = relnamespace
    WHERE {own("pg_policy", "policy.oid")}
"""

PROGRAMS = {
    "view": Kind(VIEW, f"SELECT FROM pg_class WHERE oid >= {FIRST} AND relkind IN ('v', 'm')"),
    "function": Kind(FUNCTION, f"SELECT FROM pg_proc WHERE oid >= {FIRST}"),
    "aggregate": Kind(AGGREGATE, f"SELECT FROM pg_proc WHERE oid >= {FIRST} AND prokind = 'a'"),
    "trigger": Kind(TRIGGER, "SELECT FROM pg_trigger WHERE NOT tgisinternal"),
    "event trigger": Kind(EVENT_TRIGGER, "SELECT FROM pg_event_trigger"),
    "rule": Kind(RULE, f"SELECT FROM pg_rewrite WHERE oid >= {FIRST} AND rulename <> '_RETURN'"),
    "policy": Kind(POLICY, "SELECT FROM pg_policy"),
}
