"""What a project declares beside its metadata, with the libraries that add such declarations.

Views, functions, triggers and policies are no tables, so ``metadata.create_all`` does not make
them. Two libraries keep them for autogenerate: what was registered with them is made here, through
their public interfaces. Neither is imported unless the project has done so.

Sources:
    https://olirice.github.io/alembic_utils/api/ (``to_sql_statement_create``)
    https://sqlalchemy-declarative-extensions.readthedocs.io (``compare_views`` and its like)

"""

import importlib
import sys
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

LIBRARY = "sqlalchemy_declarative_extensions"

#: What it declares, in the order in which one may need the other.
KINDS = {
    "schema": "schemas",
    "function": "functions",
    "procedure": "procedures",
    "view": "views",
    "trigger": "triggers",
}

#: duplicate_object, duplicate_function, duplicate_table, duplicate_schema: an extension, for
#: instance, that is there before the tables, which may need it.
ALREADY_THERE = {"42710", "42723", "42P07", "42P06"}


def create(connection: sa.engine.Connection, metadatas: Iterable[sa.MetaData]) -> None:
    """Create what is declared beside the metadata, in the order in which it can be.

    Args:
        connection: To a scratch database that holds the tables of the metadata, in a transaction.
        metadatas: What env.py gives autogenerate.

    Raises:
        sqlalchemy.exc.DBAPIError: PostgreSQL refuses something.

    """
    for metadata in metadatas:
        _declared_on(metadata, connection)
    _registered(connection)


def _declared_on(metadata: sa.MetaData, connection: sa.engine.Connection) -> None:
    """Create what ``declare_database`` has put beside a metadata.

    Not the roles, which belong to the server, nor grants to them, nor rows. The library would also
    drop what was not declared with it, such as the view of an event: only what it creates is done.
    """
    if LIBRARY not in sys.modules:
        return
    for kind, plural in KINDS.items():
        declared = metadata.info.get(plural)
        if declared is None:
            continue
        comparing = importlib.import_module(f"{LIBRARY}.{kind}.compare")
        operations = getattr(comparing, f"compare_{plural}")(connection, declared)
        for operation in operations:
            if type(operation).__name__.startswith("Create"):
                arguments = [connection.dialect] if kind == "view" else []
                for statement in operation.to_sql(*arguments):
                    written = sa.text(statement) if isinstance(statement, str) else statement
                    connection.execute(written)


def _registered(connection: sa.engine.Connection) -> None:
    """Create what ``register_entities`` was given: one may need another, whatever their order."""
    library: Any = sys.modules.get("alembic_utils.replaceable_entity")
    left = list(library.registry.entities()) if library else []
    for schema in sorted({entity.schema for entity in left}):
        if not connection.dialect.has_schema(connection, schema):
            connection.execute(sa.schema.CreateSchema(schema))
    while left:
        refused: dict[Any, sa.exc.DBAPIError] = {}
        for entity in left:
            try:
                with connection.begin_nested():
                    connection.execute(entity.to_sql_statement_create())
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in ALREADY_THERE:
                    refused[entity] = error
        if len(refused) == len(left):
            raise next(iter(refused.values()))
        left = list(refused)
