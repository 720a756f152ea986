"""A catalog that is read again and again, in time that grows with what has changed in it."""

from collections.abc import Collection
from typing import Any

import psycopg

from project.schema.catalog import postgresql
from project.schema.catalog.signs import ALL_ELSE, SIGNS, Relations, changed, relations
from project.schema.snapshot import Snapshot

#: Kinds of objects that are told of with a relation and have its name: what a sign says of a
#: relation holds for them.
OF_RELATIONS = {"table", "column", "constraint", "index", "sequence"}

#: Of more relations than these it takes no longer to read all.
FEW = 50


class Reader:
    """Reads the catalog of a database, and nothing of relations that are as they were.

    Args:
        connection: In autocommit mode, and for nothing else: its session is set up for reading.
        leave_out: Tables, as (schema, name), that are not the user's.
        privileges: Whether owners and grants are read, too; always all of them.

    """

    def __init__(
        self,
        connection: psycopg.Connection,
        leave_out: Collection[tuple[str, str]] = (),
        *,
        privileges: bool = False,
    ) -> None:
        self._connection = connection
        self._leave_out = leave_out
        self._privileges = privileges
        self._last: Snapshot | None = None
        self._relations: Relations = {}
        postgresql.settle(connection)

    def read(self) -> Snapshot:
        """Read the whole catalog, as :func:`~project.schema.catalog.postgresql.read` does.

        There are several statements to it, so nobody may change anything meanwhile.
        """
        now = relations(self._answers(SIGNS))
        differing = changed(self._relations, now)
        if self._last is None or ALL_ELSE in differing or len(differing) > FEW:
            read = postgresql.read(self._connection, self._leave_out, privileges=self._privileges)
        else:
            read = self._read_of(differing, self._last, now)
        self._last, self._relations = read, now
        return read

    def _read_of(self, differing: set[int], last: Snapshot, now: Relations) -> Snapshot:
        """Read of some relations, and take what was read of others before."""
        some = postgresql.statement(
            postgresql.present(self._connection), privileges=self._privileges, some=True
        )
        # What is told of a few relations is found by nested loops; all else is not (``PLANNED``).
        self._connection.execute("SET enable_nestloop = on", prepare=True)
        rows = self._answers(some, list(differing))
        self._connection.execute("SET enable_nestloop = off", prepare=True)
        affected = {int(oid) for kind, oid, *_ in rows if kind == postgresql.RELATION}
        names = {
            known[oid].name
            for known in (self._relations, now)
            for oid in (differing | affected) & known.keys()
        }
        kept = {
            key: item
            for key, item in last.items.items()
            if key.kind in OF_RELATIONS and key.name[:2] not in names
        }
        told = (row for row in rows if row[0] != postgresql.RELATION)
        fresh = postgresql.snapshot(self._connection, told, self._leave_out)
        return Snapshot(fresh.server_version, {**kept, **fresh.items})

    def _answers(self, text: str, *given: object) -> list[tuple[Any, ...]]:
        return postgresql.ask(self._connection, text, *given).fetchall()
