"""Reads on a copy of the database, and on the database itself while the copy cannot answer.

A copy that PostgreSQL keeps (streaming replication) is a moment behind. Who must see what was just
written passes it by as one passes any cache by: ``Cache-Control: no-cache``.
"""

import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

import psycopg
import sqlalchemy as sa

from project.connection import Rows
from project.pool import Connections
from project.settings import Settings, describe

#: Seconds for which a copy that could not answer is left alone. Then one request tries it again,
#: and the others do not wait for that.
AWAY_SECONDS = 5.0

#: Seconds that a connection to the copy may take to open, unless its URL says otherwise.
CONNECT_SECONDS = "2"

#: Replication was in the statement's way: the next one may have more luck.
IN_THE_WAY = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)

#: A migration has reached the database and not yet its copy.
OUTDATED = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)

log = logging.getLogger(__name__)


class Reads(Protocol):
    """Where statements that read are run: :class:`Connections`, or a :class:`Replica`."""

    async def run(self, text: bytes, values: Sequence[object] = ()) -> Rows:
        """Run one statement."""

    def copy(self, text: bytes, values: Sequence[object] = ()) -> AsyncGenerator[bytes]:
        """Yield what a ``COPY … TO STDOUT`` writes."""


class Replica:
    """Connections to a copy of the database, with the database itself behind them.

    What the copy cannot answer because of the state that it is in, the database answers. A
    statement that fails for what it says, or takes too long, fails.
    """

    def __init__(self, url: sa.URL, settings: Settings, primary: Connections) -> None:
        if "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": CONNECT_SECONDS})
        self.connections = Connections(url, settings)
        self._primary = primary
        self._name = describe(url)
        self._away = False
        self._next_try = 0.0

    async def run(self, text: bytes, values: Sequence[object] = ()) -> Rows:
        """Run one statement that reads, and return its rows as the bytes that PostgreSQL wrote."""
        if self._may_try():
            try:
                rows = await self.connections.run(text, values)
            except (psycopg.OperationalError, *OUTDATED) as error:
                self._failed(error)
            else:
                self._answered()
                return rows
        return await self._primary.run(text, values)

    async def copy(self, text: bytes, values: Sequence[object] = ()) -> AsyncGenerator[bytes]:
        """Yield what a ``COPY … TO STDOUT`` writes; once it has begun, it ends where it began."""
        if self._may_try():
            begun = False
            try:
                async with aclosing(self.connections.copy(text, values)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
            except (psycopg.OperationalError, *OUTDATED) as error:
                if begun:
                    raise
                self._failed(error)
            else:
                self._answered()
                return
        async with aclosing(self._primary.copy(text, values)) as pieces:
            async for piece in pieces:
                yield piece

    async def behind(self) -> int | None:
        """Return how many bytes of the database's log the copy has yet to replay.

        None if it is no copy that replays: it was promoted, or was never one.

        Raises:
            psycopg.Error, BusyError: one of the two cannot be asked.

        """
        [[written]] = await self._primary.run(b"SELECT pg_current_wal_lsn()")
        [[left]] = await self.connections.run(
            b"SELECT greatest(0, pg_wal_lsn_diff(%s::pg_lsn, pg_last_wal_replay_lsn()))::bigint"
            b" WHERE pg_is_in_recovery() UNION ALL SELECT NULL WHERE NOT pg_is_in_recovery()",
            [(written or b"").decode()],
        )
        return None if left is None else int(left)

    async def close(self) -> None:
        """Close the connections to the copy."""
        await self.connections.close()

    def _may_try(self) -> bool:
        now = time.monotonic()
        if now < self._next_try:
            return False
        if self._away:
            self._next_try = now + AWAY_SECONDS  # of this request; the others go on meanwhile
        return True

    def _failed(self, error: psycopg.Error) -> None:
        """Go on with the database itself if the copy's state is to blame.

        Raises:
            psycopg.Error: it is not.

        """
        if isinstance(error, psycopg.errors.QueryCanceled):
            raise error
        if isinstance(error, IN_THE_WAY):
            return
        self._next_try = time.monotonic() + AWAY_SECONDS
        if not self._away:
            self._away = True
            reason = " ".join(str(error).split())
            log.warning("The replica %s does not answer: %s", self._name, reason)

    def _answered(self) -> None:
        self._next_try = 0.0
        if self._away:
            self._away = False
            log.warning("The replica %s answers again.", self._name)
