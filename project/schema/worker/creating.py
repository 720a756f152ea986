"""The models' schema, made in an empty database as their metadata says."""

import re
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from project.schema.worker import entities
from project.schema.worker.failure import state_of

#: A statement of the project's that makes a schema, and nothing in it.
CREATE_SCHEMA = re.compile(r"(?is)\s*CREATE\s+SCHEMA\s+(?!IF\b)(?!.*\bCREATE\b)")


def create(metadatas: Sequence[sa.MetaData], connection: "sa.engine.Connection") -> None:
    """Create schemas and tables, and what comes with them.

    Schemas come first, for the metadata does not say who makes them. An event may.
    """
    sa.event.listen(connection, "before_cursor_execute", _if_not_exists, retval=True)
    for metadata in metadatas:
        for name in sorted(set(schemas(metadata))):
            quoted = connection.dialect.identifier_preparer.quote_schema(name)
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {quoted}")
        metadata.create_all(connection)
    entities.create(connection, metadatas)


def _if_not_exists(
    _: object, __: object, statement: str, parameters: object, *___: object
) -> tuple[str, object]:
    return CREATE_SCHEMA.sub("CREATE SCHEMA IF NOT EXISTS ", statement, count=1), parameters


def create_without_refused(
    metadatas: Sequence[sa.MetaData], connection: "sa.engine.Connection"
) -> list[dict[str, str | None]]:
    """Create all but the indexes and unique constraints that PostgreSQL refuses.

    Models that nobody ever creates, because migrations do, may hold an index that lacks its
    operator class, or two constraints of one name.

    Returns:
        The refused ones, with the server's reason.

    """
    tables = [table for metadata in metadatas for table in metadata.sorted_tables]
    indexes = [
        (table, index)
        for table in tables
        for index in sorted(table.indexes, key=lambda index: str(index.name))
    ]
    repeated = list(_repeated(tables))
    for table, index in indexes:
        table.indexes.discard(index)
    for table, constraint in repeated:
        table.constraints.discard(constraint)
    try:
        create(metadatas, connection)
    finally:
        for table, index in indexes:
            table.indexes.add(index)
        for table, constraint in repeated:
            table.constraints.add(constraint)
    refused = [
        _refused("constraint", table, each.name, f'relation "{each.name}" already exists')
        for table, each in repeated
    ]
    for table, index in indexes:
        try:
            with connection.begin_nested():
                index.create(connection)
        except sa.exc.DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0]
            refused.append(_refused("index", table, index.name, reason, state_of(error)))
    return refused


def _refused(
    kind: str, table: sa.Table, name: object, reason: str, state: str | None = None
) -> dict[str, str | None]:
    return {
        "kind": kind,
        "schema": table.schema,
        "table": table.name,
        "name": str(name),
        "reason": reason,
        "state": state,
    }


def _repeated(tables: Iterable[sa.Table]) -> Iterator[tuple[sa.Table, sa.UniqueConstraint]]:
    """Yield the unique constraints whose name another has: their indexes share a schema."""
    taken: set[tuple[str | None, str]] = set()
    for table in tables:
        unique = [each for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
        for constraint in sorted(unique, key=lambda each: str(each.name)):
            if isinstance(constraint.name, str):
                if (table.schema, constraint.name) in taken:
                    yield table, constraint
                taken.add((table.schema, constraint.name))


def schemas(metadata: sa.MetaData) -> Iterator[str]:
    """Yield the schemas in which `metadata` has tables, types and sequences."""
    for table in metadata.tables.values():
        owners = [table, *(getattr(column.type, "item_type", column.type) for column in table.c)]
        owners += [column.default for column in table.c if isinstance(column.default, sa.Sequence)]
        yield from (name for owner in owners if (name := getattr(owner, "schema", None)))
