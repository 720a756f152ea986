"""Watches every statement that a migration sends, on the migration's own connection.

Runs in the worker. What a transaction has done is visible to nobody else before it ends, so the
connection itself is asked, after each statement, through the driver's cursor: no hook of SQLAlchemy
is entered again. What the answers mean is worked out by ``observe``, on the other side.

Only relations on which the backend holds a lock are looked at, so the cost of a statement (about
5 ms) does not depend on the number of tables. A lock is held to the end of its transaction, so
looking after the statement misses none, except in two cases. Where there is no transaction, a
statement that commits by itself is first tried in one that is rolled back, for the sake of its
locks. And a block or function that catches its own error has given back what it locked; but what it
has read and written was counted. If it wrote, be it to the catalog, or took ACCESS EXCLUSIVE, it
drew a number for a transaction of its own: where one of late is aborted, all relations are asked
what was counted of them (10 ms for 1,000 tables).

Sources:
    https://www.postgresql.org/docs/current/explicit-locking.html
    https://www.postgresql.org/docs/current/monitoring-stats.html (pg_stat_get_xact_…)

"""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from project.schema.worker import cursors, samples

Answer = TypeVar("Answer")


@dataclass
class Watch:
    """Takes notes of the statements of all engines, while it is on."""

    on: bool = False
    began: float = 0.0
    ended: float = 0.0  # by our clock, when the last statement had been looked at
    statements: list[dict[str, Any]] = field(default_factory=list)
    listens: bool = False
    commits: int = 0  # so far: a statement that fails cannot be asked for its transaction
    next: int = 0  # of the numbers of transactions, when the last statement had been looked at
    told: bool = False  # SQLAlchemy has told of what a cursor executes now, or it is our own
    thread: int = 0  # in which env.py is run

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[dict[str, Any]]]:
        """Take notes for as long as the block lasts."""
        if not self.listens:
            event.listen(sa.engine.Engine, "before_cursor_execute", self._before)
            event.listen(sa.engine.Engine, "after_cursor_execute", self._after)
            event.listen(sa.engine.Engine, "handle_error", self._failed)
            event.listen(sa.engine.Engine, "engine_connect", self._connected)
            event.listen(sa.engine.Engine, "commit", self._committed)
            self.listens = True
        self.statements, self.on, self.thread = [], True, threading.get_ident()
        try:
            yield self.statements
        finally:
            self.on = False

    def _is_beside(self) -> bool:
        """Tell whether a thread speaks that is none of the migration's.

        Someone may look on a connection of his own what the migration waits for. What a revision
        has a thread do for it is its own, and so is all where env.py is run in another thread.
        """
        return threading.get_ident() != self.thread and not _place(sys._getframe(2))["file"]  # noqa: SLF001

    def _connected(self, connection: sa.engine.Connection) -> None:
        if self.on and not connection.dialect.is_async:
            cursors.listen(connection.connection.dbapi_connection, self)

    def _committed(self, _connection: sa.engine.Connection) -> None:
        if not self._is_beside():
            self.commits += 1

    def heard(
        self,
        connection: cursors.Direct,
        statement: str,
        parameters: Any,  # noqa: ANN401
        execute: Callable[[], Answer],
        *,
        executemany: bool,
    ) -> Answer:
        """Take note of a statement of a driver's cursor, unless SQLAlchemy has told of it.

        What SQLAlchemy asks without telling is its own affair: how transactions are isolated.
        """
        asking = sys._getframe(2).f_globals.get("__name__", "")  # noqa: SLF001
        own = asking.startswith("sqlalchemy.")
        if not self.on or self._is_beside() or self.told or own:
            return execute()
        self.told = True
        try:
            self._note(connection, statement, parameters, executemany=executemany)
            try:
                done = execute()
            except Exception as error:
                self._note_failure(error)
                raise
            self._look(connection)
            return done
        finally:
            self.told = False

    def _before(
        self,
        connection: sa.engine.Connection,
        _cursor: Any,  # noqa: ANN401
        statement: str,
        parameters: Any,  # noqa: ANN401
        _context: Any,  # noqa: ANN401
        executemany: bool,  # noqa: FBT001
    ) -> None:
        if self.on and not self._is_beside():
            self.told = True
            self._note(connection, statement, parameters, executemany=executemany)

    def _after(self, connection: sa.engine.Connection, *_: Any) -> None:  # noqa: ANN401
        if self.on and not self._is_beside():
            self._look(connection)
            self.told = False

    def _failed(self, failure: Any) -> None:  # noqa: ANN401
        if self._is_beside():
            return
        self.told = False
        if self.on and self.statements and "after" not in self.statements[-1]:
            self._note_failure(failure.original_exception)

    def _note(
        self,
        connection: sa.engine.Connection | cursors.Direct,
        statement: str,
        parameters: Any,  # noqa: ANN401
        *,
        executemany: bool,
    ) -> None:
        sql = statement.replace("%%", "%") if _doubles(connection, parameters) else statement
        place = _place(sys._getframe(2))  # noqa: SLF001
        note: dict[str, Any] = {"sql": sql, "commits": self.commits, **place}
        note["idle"] = (_clock() - self.ended) * 1000 if self.statements else 0.0
        note["alone"] = _commits_by_itself(connection)
        if note["alone"]:
            note["tried"] = self._tried(connection, statement, parameters, executemany=executemany)
        self.statements.append(note)
        self.began = time.perf_counter()

    def _look(self, connection: sa.engine.Connection | cursors.Direct) -> None:
        note = self.statements[-1]
        note["milliseconds"] = (time.perf_counter() - self.began) * 1000
        note["after"] = self._asked(connection, _which(note))
        self.next, self.ended = note["after"]["next"], _clock()

    def _asked(
        self, connection: sa.engine.Connection | cursors.Direct, which: str = samples.HELD
    ) -> dict[str, Any]:
        """Look; at all relations that were used, where a part of the statement was undone."""
        told: dict[str, Any] = json.loads(_answer(connection, samples.sample(which, self.next)))
        if told["undone"] and which == samples.HELD:
            told = json.loads(_answer(connection, samples.sample(samples.COUNTED, self.next)))
        return told

    def _tried(
        self,
        connection: sa.engine.Connection | cursors.Direct,
        statement: str,
        parameters: Any,  # noqa: ANN401
        *,
        executemany: bool,
    ) -> dict[str, Any] | None:
        """Execute a statement, look, and roll it back; None if it refuses to run like that.

        Sequences move on, as they would if the migration were repeated.
        """
        cursor = connection.connection.cursor()
        cursor.execute("BEGIN")
        try:
            if executemany:
                cursor.executemany(statement, parameters)
            elif parameters is None:
                cursor.execute(statement)
            else:
                cursor.execute(statement, parameters)
            seen = self._asked(connection)
        except Exception:  # noqa: BLE001 - of any driver; what fails in earnest fails again
            return None
        else:
            return seen
        finally:
            cursor.execute("ROLLBACK")
            cursor.close()

    def _note_failure(self, error: BaseException) -> None:
        note = self.statements[-1]
        note["milliseconds"] = (time.perf_counter() - self.began) * 1000
        note["error"] = {
            "message": str(error).strip().splitlines()[0] if str(error).strip() else repr(error),
            "sqlstate": getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "",
            **_diagnosis(error),
        }


def _clock() -> float:
    """Return seconds that pass, but for those in which this process waited for a processor.

    Sources:
        https://docs.kernel.org/scheduler/sched-stats.html (/proc/<pid>/schedstat)

    """
    try:
        waited = int(Path("/proc/self/schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # not Linux
        waited = 0
    return time.perf_counter() - waited / 1e9


def _doubles(connection: sa.engine.Connection | cursors.Direct, parameters: object) -> bool:
    """Whether the driver looks for parameters after percent signs: others are written twice."""
    dialect = getattr(connection, "dialect", None)  # of cursors only those are listened to that do
    return parameters is not None and (dialect is None or "format" in dialect.paramstyle)


def _which(note: dict[str, Any]) -> str:
    """Say which relations are to be looked at after a statement."""
    if not note["alone"]:
        return samples.HELD
    if note["tried"] is None:
        return ""
    oids = ", ".join(str(each["oid"]) for each in note["tried"]["relations"] or []) or "0"
    return samples.THESE.format(oids=oids)


def _commits_by_itself(connection: sa.engine.Connection | cursors.Direct) -> bool:
    """Tell a statement of its own from one in a transaction, which a BEGIN may have opened, too."""
    driver = connection.connection.dbapi_connection
    if not getattr(driver, "autocommit", False):
        return False
    return bool(
        _answer(connection, samples.TRANSACTION) != _answer(connection, samples.TRANSACTION)
    )


def _diagnosis(error: BaseException) -> dict[str, str | None]:
    told = getattr(error, "diag", None)
    names = ("schema_name", "table_name", "column_name", "constraint_name", "message_detail")
    return {name: getattr(told, name, None) for name in names}


def _answer(connection: sa.engine.Connection | cursors.Direct, query: str) -> Any:  # noqa: ANN401
    cursor = connection.connection.cursor()
    try:
        cursor.execute(query)
        row: Any = cursor.fetchone()
    finally:
        cursor.close()
    # A project may have asked its driver for rows that are dictionaries.
    return next(iter(row.values())) if isinstance(row, dict) else row[0]


def _place(frame: FrameType | None) -> dict[str, Any]:
    """Find the line of the revision that is being executed; what Alembic itself sends has none."""
    while frame is not None:
        if {"revision", "down_revision"} <= frame.f_globals.keys():
            path = frame.f_globals.get("__file__") or frame.f_code.co_filename
            if frame.f_code.co_filename == path:
                revision = str(frame.f_globals["revision"])
                return {"revision": revision, "file": path, "line": frame.f_lineno}
        frame = frame.f_back
    return {"revision": "", "file": "", "line": 0}
