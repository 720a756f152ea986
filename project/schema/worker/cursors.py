"""Statements that a migration sends past SQLAlchemy, by a cursor of the driver.

``op.get_bind().connection.cursor()`` enters none of SQLAlchemy's events. psycopg and psycopg2 make
their cursors of a class that a connection names; the others' cannot be listened to like that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Answer = TypeVar("Answer")


class Listener(Protocol):
    """Who wants to know."""

    def heard(
        self,
        connection: "Direct",
        statement: str,
        parameters: Any,  # noqa: ANN401
        execute: Callable[[], Answer],
        *,
        executemany: bool,
    ) -> Answer:
        """Execute a statement, or let it be executed by whoever has told of it already."""


@dataclass(frozen=True)
class Direct:
    """A driver's connection, with what of SQLAlchemy's a listener asks for."""

    dbapi_connection: Any

    @property
    def connection(self) -> "Direct":
        """Return the driver's connection, as ``sa.engine.Connection.connection`` does."""
        return self

    def cursor(self) -> Any:  # noqa: ANN401
        """Return a cursor of the driver."""
        return self.dbapi_connection.cursor()


def listen(connection: Any, listener: Listener) -> None:  # noqa: ANN401
    """Have a driver's connection make cursors that tell what they execute."""
    factory = getattr(connection, "cursor_factory", None)
    if connection is None or (factory is None and not hasattr(connection, "cursor_factory")):
        return
    if factory is None:  # psycopg2's default
        factory = type(connection.cursor())
    if not getattr(factory, "tells", False):
        connection.cursor_factory = _telling(factory, listener)


def _telling(base: Any, listener: Listener) -> Any:  # noqa: ANN401
    class Telling(base):  # type: ignore[misc]
        tells = True

        def execute(self, query: Any, parameters: Any = None, **given: Any) -> Any:  # noqa: ANN401
            return listener.heard(
                Direct(self.connection),
                _written(query, self.connection),
                parameters,
                lambda: super(Telling, self).execute(query, parameters, **given),
                executemany=False,
            )

        def executemany(self, query: Any, parameters: Any, **given: Any) -> Any:  # noqa: ANN401
            rows = list(parameters)
            return listener.heard(
                Direct(self.connection),
                _written(query, self.connection),
                rows,
                lambda: super(Telling, self).executemany(query, rows, **given),
                executemany=True,
            )

    return Telling


def _written(query: Any, connection: Any) -> str:  # noqa: ANN401
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    return query if isinstance(query, str) else str(query.as_string(connection))
