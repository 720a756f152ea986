"""The models' schema, made in an empty database as their metadata says."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import sqlalchemy as sa

from project.schema.worker import entities
from project.schema.worker.failure import state_of

#: A statement of the project's that makes a schema, and nothing in it.
CREATE_SCHEMA = re.compile(r"(?is)\s*CREATE\s+SCHEMA\s+(?!IF\b)(?!.*\bCREATE\b)")

#: What an index or a constraint that cannot be made ends in; SQLAlchemy has not even words for one
#: whose column belongs to no table.
REFUSALS = sa.exc.DBAPIError, sa.exc.CompileError


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
    """Create all but the indexes and constraints that PostgreSQL refuses.

    Models that nobody ever creates, because migrations do, may hold an index that lacks its
    operator class, two constraints of one name, or a foreign key to what nothing makes unique. One
    to the table itself, in which an index makes it unique, is there before that index otherwise.

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
    keys = [
        (table, key)
        for table in tables
        for key in sorted(table.foreign_key_constraints, key=lambda key: tuple(key.column_keys))
    ]
    with _left_out(indexes, [*repeated, *keys]):
        create(metadatas, connection)
    refused = [
        _refused("constraint", table, each.name, f'relation "{each.name}" already exists', "42P07")
        for table, each in repeated
    ]
    for table, index in indexes:
        if error := _refusal(connection, partial(index.create, connection)):
            refused.append(_refused("index", table, index.name, *error))
    for table, key in keys:
        if error := _refusal(connection, partial(_add, key, connection)):
            refused.append(_refused("constraint", table, _name(table, key), *error))
    return refused


@contextmanager
def _left_out(
    indexes: Sequence[tuple[sa.Table, sa.Index]],
    constraints: Sequence[tuple[sa.Table, sa.Constraint]],
) -> Iterator[None]:
    """Take indexes and constraints out of their tables for a while."""
    # `create_all` finds the keys here, too, and adds those that go in circles at its end.
    keys = {table: set(table.foreign_keys) for table, _ in constraints}
    for table, index in indexes:
        table.indexes.discard(index)
    for table, constraint in constraints:
        table.constraints.discard(constraint)
        table.foreign_keys.clear()
    try:
        yield
    finally:
        for table, index in indexes:
            table.indexes.add(index)
        for table, constraint in constraints:
            table.constraints.add(constraint)
            table.foreign_keys.update(keys[table])


def _add(key: sa.ForeignKeyConstraint, connection: "sa.engine.Connection") -> None:
    statement = sa.schema.AddConstraint(key)
    key._create_rule = None  # noqa: SLF001 - or the key would be in no table from now on
    connection.execute(statement)


def _name(table: sa.Table, key: sa.ForeignKeyConstraint) -> str:
    """Return the name of a key, or the one that PostgreSQL would give it."""
    return str(key.name or "_".join([table.name, *key.column_keys, "fkey"]))


def _refusal(
    connection: "sa.engine.Connection", work: Callable[[], None]
) -> tuple[str, str | None] | None:
    """Return why PostgreSQL refuses what is done, and its code, or None."""
    try:
        with connection.begin_nested():
            work()
    except REFUSALS as error:
        return str(getattr(error, "orig", error)).strip().splitlines()[0], state_of(error)
    return None


def _refused(
    kind: str, table: sa.Table, name: object, reason: str, state: str | None
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
