"""What few databases have: objects of foreign servers, replication, operators, text search."""

from project.schema.catalog.kind import Kind
from project.schema.catalog.parts import FIRST, described, own, unveiled

FOREIGN_DATA_WRAPPER = f"""
    SELECT ARRAY[fdwname], jsonb_build_object(
        'handler', nullif(fdwhandler, 0)::regprocedure::text,
        'validator', nullif(fdwvalidator, 0)::regprocedure::text,
        'options', {unveiled("fdwoptions")},
        'comment', {described("pg_foreign_data_wrapper", "wrapper.oid")}
    ), 'user'
    FROM pg_foreign_data_wrapper AS wrapper
    WHERE {own("pg_foreign_data_wrapper", "wrapper.oid")}
"""

FOREIGN_SERVER = f"""
    SELECT ARRAY[srvname], jsonb_build_object(
        'wrapper', fdwname,
        'type', srvtype,
        'version', srvversion,
        'options', {unveiled("srvoptions")},
        'comment', {described("pg_foreign_server", "server.oid")}
    ), 'user'
    FROM pg_foreign_server AS server
    JOIN pg_foreign_data_wrapper AS wrapper ON wrapper.oid = srvfdw
    WHERE {own("pg_foreign_server", "server.oid")}
"""

# The view shows options to whoever may see them; the catalog beneath, to superusers only.
USER_MAPPING = f"""
    SELECT ARRAY[srvname, usename], jsonb_build_object(
        'options', CASE WHEN umoptions IS NULL AND NOT current_setting('is_superuser')::boolean
            THEN to_jsonb('not shown to this role'::text) ELSE {unveiled("umoptions")} END
    ), 'user'
    FROM pg_user_mappings
"""

PUBLICATION = f"""
    SELECT ARRAY[pubname], jsonb_build_object(
        'all tables', puballtables,
        'schemas', (
            SELECT jsonb_agg(nspname ORDER BY nspname) FROM pg_publication_namespace
            JOIN pg_namespace ON pg_namespace.oid = pnnspid WHERE pnpubid = pub.oid
        ),
        'tables', (
            SELECT jsonb_agg(prrelid::regclass::text || coalesce((
                    SELECT ' (' || string_agg(quote_ident(attname), ', ' ORDER BY attnum) || ')'
                    FROM pg_attribute WHERE attrelid = prrelid AND attnum = ANY (prattrs)
                ), '') || coalesce(' WHERE ' || pg_get_expr(prqual, prrelid), '')
                ORDER BY prrelid::regclass::text COLLATE "C")
            FROM pg_publication_rel WHERE prpubid = pub.oid
        ),
        'publishes', array_to_json(array_remove(ARRAY[
            CASE WHEN pubinsert THEN 'insert' END, CASE WHEN pubupdate THEN 'update' END,
            CASE WHEN pubdelete THEN 'delete' END, CASE WHEN pubtruncate THEN 'truncate' END
        ], NULL)),
        'through the root', pubviaroot,
        'generated columns', to_jsonb(pub) ->> 'pubgencols',
        'comment', {described("pg_publication", "pub.oid")}
    ), 'user'
    FROM pg_publication AS pub
    WHERE {own("pg_publication", "pub.oid")}
"""

LANGUAGE = f"""
    SELECT ARRAY[lanname], jsonb_build_object(
        'trusted', lanpltrusted,
        'handler', nullif(lanplcallfoid, 0)::regprocedure::text,
        'inline handler', nullif(laninline, 0)::regprocedure::text,
        'validator', nullif(lanvalidator, 0)::regprocedure::text,
        'comment', {described("pg_language", "language.oid")}
    ), 'user'
    FROM pg_language AS language
    WHERE language.oid >= {FIRST} AND {own("pg_language", "language.oid")}
"""

CAST = f"""
    SELECT ARRAY[castsource::regtype || ' AS ' || casttarget::regtype], jsonb_build_object(
        'function', nullif(castfunc, 0)::regprocedure::text,
        'method', CASE castmethod
            WHEN 'f' THEN 'function' WHEN 'i' THEN 'input and output' ELSE 'binary' END,
        'context', CASE castcontext
            WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'assignment' ELSE 'implicit' END,
        'comment', {described("pg_cast", "pg_cast.oid")}
    ), 'user'
    FROM pg_cast
    WHERE pg_cast.oid >= {FIRST} AND {own("pg_cast", "pg_cast.oid")}
    -- PostgreSQL makes those of a range to its multirange with the type.
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_cast'::regclass AND objid = pg_cast.oid
            AND deptype = 'i'
    )
"""

OPERATOR = f"""
    SELECT ARRAY[nspname, oprname || ' (' || coalesce(nullif(oprleft, 0)::regtype::text, 'none')
        || ', ' || oprright::regtype || ')'], jsonb_build_object(
        'function', nullif(oprcode::oid, 0)::regprocedure::text,
        'result', nullif(oprresult, 0)::regtype::text,
        'commutator', nullif(oprcom, 0)::regoperator::text,
        'negator', nullif(oprnegate, 0)::regoperator::text,
        'restriction estimator', nullif(oprrest::oid, 0)::regprocedure::text,
        'join estimator', nullif(oprjoin::oid, 0)::regprocedure::text,
        'hashes', oprcanhash,
        'merges', oprcanmerge,
        'comment', {described("pg_operator", "operator.oid")}
    ), 'user'
    FROM pg_operator AS operator
    JOIN visible_schema AS schema ON schema.oid = oprnamespace
    WHERE {own("pg_operator", "operator.oid")}
"""


def _of_family(catalog: str, what: str, condition: str) -> str:
    return f"""(
        SELECT jsonb_agg(part ORDER BY part COLLATE "C") FROM (
            SELECT {what} AS part FROM {catalog} WHERE {condition}
        ) AS parts
    )"""


#: A family's operators and functions, as ALTER OPERATOR FAMILY adds them.
_OPERATORS = (
    "'OPERATOR ' || amopstrategy || ' ' || amopopr::regoperator || coalesce((SELECT ' FOR ORDER BY"
    " ' || opfname FROM pg_opfamily WHERE pg_opfamily.oid = amopsortfamily), '')"
)
_FUNCTIONS = (
    "'FUNCTION ' || amprocnum || ' (' || amproclefttype::regtype || ', '"
    " || amprocrighttype::regtype || ') ' || amproc::oid::regprocedure"
)

OPERATOR_FAMILY = f"""
    SELECT ARRAY[nspname, opfname || ' USING ' || amname], jsonb_build_object(
        'operators', {_of_family("pg_amop", _OPERATORS, "amopfamily = family.oid")},
        'functions', {_of_family("pg_amproc", _FUNCTIONS, "amprocfamily = family.oid")},
        'comment', {described("pg_opfamily", "family.oid")}
    ), 'user'
    FROM pg_opfamily AS family
    JOIN pg_am ON pg_am.oid = opfmethod
    JOIN visible_schema AS schema ON schema.oid = opfnamespace
    WHERE {own("pg_opfamily", "family.oid")}
"""

OPERATOR_CLASS = f"""
    SELECT ARRAY[nspname, opcname || ' USING ' || amname], jsonb_build_object(
        'family', opfname,
        'type', opcintype::regtype::text,
        'default', opcdefault,
        'key type', nullif(opckeytype, 0)::regtype::text,
        'comment', {described("pg_opclass", "class.oid")}
    ), 'user'
    FROM pg_opclass AS class
    JOIN pg_am ON pg_am.oid = opcmethod
    JOIN pg_opfamily ON pg_opfamily.oid = opcfamily
    JOIN visible_schema AS schema ON schema.oid = opcnamespace
    WHERE {own("pg_opclass", "class.oid")}
"""

ACCESS_METHOD = f"""
    SELECT ARRAY[amname], jsonb_build_object(
        'type', CASE amtype WHEN 'i' THEN 'index' ELSE 'table' END,
        'handler', amhandler::oid::regprocedure::text,
        'comment', {described("pg_am", "pg_am.oid")}
    ), 'user'
    FROM pg_am
    WHERE pg_am.oid >= {FIRST} AND {own("pg_am", "pg_am.oid")}
"""

TRANSFORM = f"""
    SELECT ARRAY[trftype::regtype || ' LANGUAGE ' || lanname], jsonb_build_object(
        'from sql', nullif(trffromsql::oid, 0)::regprocedure::text,
        'to sql', nullif(trftosql::oid, 0)::regprocedure::text,
        'comment', {described("pg_transform", "transform.oid")}
    ), 'user'
    FROM pg_transform AS transform
    JOIN pg_language ON pg_language.oid = trflang
    WHERE {own("pg_transform", "transform.oid")}
"""

CONVERSION = f"""
    SELECT ARRAY[nspname, conname], jsonb_build_object(
        'from', pg_encoding_to_char(conforencoding),
        'to', pg_encoding_to_char(contoencoding),
        'function', conproc::oid::regprocedure::text,
        'default', condefault,
        'comment', {described("pg_conversion", "conversion.oid")}
    ), 'user'
    FROM pg_conversion AS conversion
    JOIN visible_schema AS schema ON schema.oid = connamespace
    WHERE {own("pg_conversion", "conversion.oid")}
"""

TEXT_SEARCH_CONFIGURATION = f"""
    SELECT ARRAY[nspname, cfgname], jsonb_build_object(
        'parser', (
            SELECT nspname || '.' || prsname FROM pg_ts_parser AS parser
            JOIN pg_namespace AS space ON space.oid = prsnamespace WHERE parser.oid = cfgparser
        ),
        'mappings', (
            SELECT jsonb_agg(words ORDER BY words COLLATE "C") FROM (
                SELECT alias || ': ' || string_agg(mapdict::regdictionary::text, ', '
                    ORDER BY mapseqno) AS words
                FROM pg_ts_config_map JOIN ts_token_type(cfgparser) ON tokid = maptokentype
                WHERE mapcfg = configuration.oid GROUP BY alias
            ) AS mapped
        ),
        'comment', {described("pg_ts_config", "configuration.oid")}
    ), 'user'
    FROM pg_ts_config AS configuration
    JOIN visible_schema AS schema ON schema.oid = cfgnamespace
    WHERE {own("pg_ts_config", "configuration.oid")}
"""

TEXT_SEARCH_DICTIONARY = f"""
    SELECT ARRAY[schema.nspname, dictname], jsonb_build_object(
        'template', space.nspname || '.' || tmplname,
        'options', dictinitoption,
        'comment', {described("pg_ts_dict", "dictionary.oid")}
    ), 'user'
    FROM pg_ts_dict AS dictionary
    JOIN visible_schema AS schema ON schema.oid = dictnamespace
    JOIN pg_ts_template AS template ON template.oid = dicttemplate
    JOIN pg_namespace AS space ON space.oid = tmplnamespace
    WHERE {own("pg_ts_dict", "dictionary.oid")}
"""

TEXT_SEARCH_PARSER = f"""
    SELECT ARRAY[nspname, prsname], jsonb_build_object(
        'start', prsstart::text,
        'token', prstoken::text,
        'end', prsend::text,
        'headline', prsheadline::text,
        'lexical types', prslextype::text,
        'comment', {described("pg_ts_parser", "parser.oid")}
    ), 'user'
    FROM pg_ts_parser AS parser
    JOIN visible_schema AS schema ON schema.oid = prsnamespace
    WHERE {own("pg_ts_parser", "parser.oid")}
"""

TEXT_SEARCH_TEMPLATE = f"""
    SELECT ARRAY[nspname, tmplname], jsonb_build_object(
        'initialise', tmplinit::text,
        'lexize', tmpllexize::text,
        'comment', {described("pg_ts_template", "template.oid")}
    ), 'user'
    FROM pg_ts_template AS template
    JOIN visible_schema AS schema ON schema.oid = tmplnamespace
    WHERE {own("pg_ts_template", "template.oid")}
"""

# Labels of shared objects, roles and databases, are not the database's own.
SECURITY_LABEL = """
    SELECT ARRAY[provider, objtype, objname], jsonb_build_object('label', label), 'user'
    FROM pg_seclabels
    WHERE objtype NOT IN ('database', 'role', 'tablespace', 'subscription')
"""


def _kind(catalog: str, query: str) -> Kind:
    return Kind(query, f"SELECT FROM {catalog} WHERE oid >= {FIRST}")


RARITIES = {
    "foreign data wrapper": _kind("pg_foreign_data_wrapper", FOREIGN_DATA_WRAPPER),
    "foreign server": _kind("pg_foreign_server", FOREIGN_SERVER),
    "user mapping": _kind("pg_foreign_server", USER_MAPPING),
    "publication": _kind("pg_publication", PUBLICATION),
    "language": _kind("pg_language", LANGUAGE),
    "cast": _kind("pg_cast", CAST),
    "operator": _kind("pg_operator", OPERATOR),
    "operator family": _kind("pg_opfamily", OPERATOR_FAMILY),
    "operator class": _kind("pg_opclass", OPERATOR_CLASS),
    "access method": _kind("pg_am", ACCESS_METHOD),
    "transform": _kind("pg_transform", TRANSFORM),
    "conversion": _kind("pg_conversion", CONVERSION),
    "text search configuration": _kind("pg_ts_config", TEXT_SEARCH_CONFIGURATION),
    "text search dictionary": _kind("pg_ts_dict", TEXT_SEARCH_DICTIONARY),
    "text search parser": _kind("pg_ts_parser", TEXT_SEARCH_PARSER),
    "text search template": _kind("pg_ts_template", TEXT_SEARCH_TEMPLATE),
    "security label": Kind(SECURITY_LABEL, "SELECT FROM pg_seclabel"),
}
