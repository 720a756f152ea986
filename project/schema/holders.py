"""Who holds the lock that a connection waits for: asked by a second connection, while it waits."""

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import sqlalchemy as sa

#: Seconds between two looks, and before a long wait is announced.
INTERVAL, LONG = 0.03, 2.0

#: What is shown of a statement: so much of what comes before its first literal, number, quoted name
#: or comment. A literal may be a secret.
HARMLESS, LENGTH = re.compile(r"[A-Za-z_\s(),.*=<>:]*"), 60

WAITING = sa.text(
    "SELECT waits.relation::regclass::text AS relation, holder.pid, holder.backend_type AS kind,"
    " holder.application_name AS application, holder.state, holder.query,"
    " extract(epoch FROM clock_timestamp() - holder.xact_start)::float AS seconds"
    " FROM pg_catalog.pg_stat_activity AS holder"
    " LEFT JOIN pg_catalog.pg_locks AS waits ON waits.pid = :pid AND NOT waits.granted"
    " WHERE holder.pid = ANY (pg_catalog.pg_blocking_pids(:pid))"
    " ORDER BY holder.xact_start LIMIT 1"
)


@dataclass(frozen=True)
class Wait:
    """A connection waits for another one.

    Attributes:
        relation: The table or index, as ``regclass`` prints it; None where it waits for a row or
            for the end of a transaction.
        pid: The process of the other one; of several, of the one with the oldest transaction.
        kind: Its ``backend_type``; empty if PostgreSQL does not tell this user, as the following.
        application: Its ``application_name``.
        state: Its state: active, idle in transaction.
        query: Its current or last statement.
        seconds: For how long its transaction has been open.

    """

    relation: str | None
    pid: int
    kind: str | None
    application: str | None
    state: str | None
    query: str | None
    seconds: float | None

    def __str__(self) -> str:
        """Say it, as the end of a sentence."""
        known = [self.application or self.kind or "unknown"]
        if self.state and self.state != "active":
            known.append(self.state)
        if self.seconds is not None:
            known.append(f"in a transaction for {self.seconds:.0f} s")
        what = f"for {self.relation}, held by" if self.relation else "for"
        shown = shortened(self.query or "")
        return f"{what} process {self.pid} ({', '.join(known)}){f': {shown}' if shown else ''}"


def shortened(statement: str) -> str:
    """Return the beginning of a statement, as far as nothing in it can be a secret."""
    found = HARMLESS.match(statement)
    shown = " ".join(found[0].split()) if found else ""
    if len(shown) <= LENGTH and found is not None and found.end() == len(statement):
        return shown
    return f"{shown[:LENGTH].rstrip()} …" if shown else ""


class Watch:
    """Watches what a connection waits for, from the first time that somebody wants to know.

    Only beside an engine that pools nothing, as Alembic's templates make it: there, a second
    connection is one more. A pool of one would wait for itself, and an asynchronous driver cannot
    be used from a thread. Without it, nobody is named.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._engine = connection.engine
        self._pid = connection.scalar(sa.text("SELECT pg_catalog.pg_backend_pid()"))
        connection.rollback()
        self._seen: Wait | None = None
        self._tell: Callable[[Wait], None] | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def seen(self) -> Wait | None:
        """Return the last wait since this was last asked; from now on, there is a watch."""
        self._start()
        seen, self._seen = self._seen, None
        return seen

    def announce(self, tell: Callable[[Wait], None] | None) -> None:
        """Tell of a wait that lasts, once for each process waited for; None for no longer."""
        self._tell = tell
        if tell is not None:
            self._start()

    def _start(self) -> None:
        pools = not isinstance(self._engine.pool, sa.NullPool) or self._engine.dialect.is_async
        if self._thread is None and not pools:
            self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        # Whatever keeps a second connection from working, the migration can do without.
        with suppress(sa.exc.SQLAlchemyError), self._engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            pid, since = None, 0.0
            while not self._ended.wait(INTERVAL):
                row = connection.execute(WAITING, {"pid": self._pid}).one_or_none()
                if row is None:
                    pid = None
                    continue
                self._seen = wait = Wait(*row)
                if wait.pid != pid:
                    pid, since = wait.pid, time.monotonic()
                elif self._tell is not None and time.monotonic() - since > LONG:
                    self._tell(wait)
                    since = float("inf")
