"""Extensions: what models use and cannot say, and what a scratch server may lack."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from project.schema.connections import Connection
from project.schema.scratch import ScratchError
from project.schema.source import SourceError

#: What PostgreSQL says of an extension that is not installed beside it.
EXTENSION_LACKING = re.compile(
    r'extension "(?P<name>[^"]+)" is not available|control file ".*/(?P<file>[^/"]+)\.control"'
)


def install(expected: Connection, found: Connection) -> None:
    """Give the models the migrations' extensions: they cannot say them, but may use them."""
    for schema, extension in _installed(found):
        names = sql.Identifier(schema), sql.Identifier(extension)
        expected.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(names[0]))
        create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {1} SCHEMA {0} CASCADE")
        expected.execute(create.format(*names))


def lacking(expected: Connection, found: Connection) -> bool:
    """Tell whether the models' database lacks an extension that the migrations have made."""
    return not {*_installed(found)} <= {*_installed(expected)}


def _installed(connection: Connection) -> list[tuple[Any, ...]]:
    query = (
        "SELECT nspname, extname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid ="
        " extnamespace WHERE extname <> 'plpgsql' ORDER BY pg_extension.oid"
    )
    return connection.execute(query).fetchall()


def lack(error: Exception) -> ScratchError | None:
    """Say what to do about an extension that the scratch server lacks, if that is the error."""
    lacking = EXTENSION_LACKING.search(str(error))
    if lacking is None:
        return None
    return ScratchError(
        f"The scratch server lacks the extension {lacking['name'] or lacking['file']}: name one"
        " that has it, in SCRATCH_DATABASE_URL=postgresql://user:password@host/database."
    )


@contextmanager
def explained() -> Iterator[None]:
    """Say what to do about an extension that the scratch server lacks.

    Raises:
        ScratchError: it lacks one.

    """
    try:
        yield
    except (SourceError, psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
        if lacking := lack(error):
            raise lacking from error
        raise
