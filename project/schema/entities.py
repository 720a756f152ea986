"""What a project declares beside its metadata, with the libraries that add such declarations.

Views, functions, triggers and policies are no tables, so ``metadata.create_all`` does not make
them. Two libraries keep them for autogenerate: what was registered with them is made here, through
their public interfaces. Neither is imported unless the project has done so.

Sources:
    https://olirice.github.io/alembic_utils/api/ (``to_sql_statement_create``)
    https://sqlalchemy-declarative-extensions.readthedocs.io (``register_sqlalchemy_events``)

"""

import sys
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

#: duplicate_object, duplicate_function, duplicate_table, duplicate_schema: an extension, for
#: instance, that is there before the tables, which may need it.
ALREADY_THERE = {"42710", "42723", "42P07", "42P06"}


def create(connection: sa.Connection, metadatas: Iterable[sa.MetaData]) -> None:
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


def _declared_on(metadata: sa.MetaData, connection: sa.Connection) -> None:
    """Create what ``declare_database`` has put beside a metadata.

    Not the roles, which belong to the server, nor grants to them, nor rows.
    """
    library: Any = sys.modules.get("sqlalchemy_declarative_extensions")
    if library is None:
        return
    # The project's own events are on the metadata itself, and have run.
    carrier = sa.MetaData(naming_convention=metadata.naming_convention)
    carrier.info.update(metadata.info)
    for kind in ("schemas", "functions", "procedures", "views", "triggers"):
        if carrier.info.get(kind) is not None:
            library.register_sqlalchemy_events(carrier, **{kind: True})
    carrier.create_all(connection)


def _registered(connection: sa.Connection) -> None:
    """Create what ``register_entities`` was given: one may need another, whatever their order."""
    library: Any = sys.modules.get("alembic_utils.replaceable_entity")
    left = list(library.registry.entities()) if library else []
    for schema in sorted({entity.schema for entity in left}):
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
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
