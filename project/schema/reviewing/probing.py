"""How statements end that a release sends, as its role."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from project.schema.reviewing.probe import Probe


@dataclass(frozen=True)
class Outcome:
    """How a probe ended."""

    sqlstate: str = ""  # empty when it succeeded
    message: str = ""
    column: str = ""  # that the server named
    constraint: str = ""
    rows: int = 0  # counted, inserted, updated, …
    kinds: tuple[str, ...] = ()  # of the values that Python gets


def outcomes(
    connection: "psycopg.Connection[Any]", asked: Sequence[Probe], role: str | None
) -> list[Outcome]:
    """Execute statements, each as if it were the only one; nothing of them remains.

    Args:
        connection: In no transaction.
        asked: The statements.
        role: As whom; None for the connection's own user.

    """
    as_whom = f"SET LOCAL ROLE {sql.Identifier(role).as_string(connection)};" if role else ""
    found = []
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL statement_timeout = '5s'")
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        connection.execute("SAVEPOINT probe")
        for probe in asked:
            if probe.setup:
                with suppress(psycopg.Error), connection.transaction():
                    connection.execute(probe.setup.encode())
            connection_outcome = _outcome(connection, as_whom + probe.statement)
            connection.execute("ROLLBACK TO SAVEPOINT probe")
            found.append(connection_outcome)
    return found


def _outcome(connection: "psycopg.Connection[Any]", statement: str) -> Outcome:
    with connection.cursor() as cursor:
        try:
            cursor.execute(statement.encode(), prepare=False)
            while cursor.nextset():
                pass
            if cursor.description is None:
                return Outcome(rows=cursor.rowcount)
            columns = list(cursor.description)
            counted = [column.name for column in columns] == ["count"]
            row = cursor.fetchone() if counted else None
            types = connection.adapters.types
            kinds = tuple(
                _kind(found.name if (found := types.get(c.type_code)) else "") for c in columns
            )
            return Outcome(rows=row[0] if row else cursor.rowcount, kinds=kinds)
        except psycopg.Error as error:
            return Outcome(
                error.sqlstate or "?????",
                (str(error).strip().splitlines() or [type(error).__name__])[0],
                error.diag.column_name or "",
                error.diag.constraint_name or "",
            )


#: What Python gets of types; of those that it is not told of, text.
KINDS = {
    **dict.fromkeys(("int2", "int4", "int8"), "int"),
    **dict.fromkeys(("float4", "float8"), "float"),
    "bool": "bool",
    "bytea": "bytes",
    "date": "date",
    "interval": "timedelta",
    "numeric": "Decimal",
    "time": "time",
    "timestamp": "datetime",
    "timestamptz": "datetime with a time zone",
    "uuid": "UUID",
    "json": "a value of JSON",
    "jsonb": "a value of JSON",
}


def _kind(type_: str) -> str:
    return KINDS.get(type_, "str")


def made_role(connection: "psycopg.Connection[Any]") -> str:
    """Name the role that stands for the service where the migrations speak of none."""
    return f"{connection.info.dbname}_service"


@contextmanager
def application_role(connection: "psycopg.Connection[Any]") -> Iterator[str | None]:
    """Yield a role as the service has it: not the owner, with what it was granted.

    It is the one to which the migrations grant most; without one, a role is made that may read and
    write every table. None where the server lets nobody make roles.
    """
    granted = connection.execute("""
        SELECT rolname FROM pg_class, aclexplode(relacl) JOIN pg_roles ON pg_roles.oid = grantee
        WHERE grantee <> relowner AND relnamespace >= 16384 OR relnamespace = 'public'::regnamespace
            AND grantee <> relowner
        GROUP BY rolname ORDER BY count(*) DESC, rolname LIMIT 1
    """).fetchone()
    if granted is not None:
        yield granted[0]
        return
    name = made_role(connection)
    role = sql.Identifier(name)
    try:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    except psycopg.errors.InsufficientPrivilege:
        yield None
        return
    try:
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'"
            " AND nspname <> 'information_schema'"
        ).fetchall()
        for (schema,) in schemas:
            for grant in (
                "GRANT USAGE ON SCHEMA {} TO {}",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {}",
                "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {} TO {}",
            ):
                connection.execute(sql.SQL(grant).format(sql.Identifier(schema), role))
        yield name
    finally:
        with suppress(psycopg.Error):
            connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))
