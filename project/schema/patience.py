"""Runs migrations under traffic: waits briefly for locks, lets go, and tries again.

In env.py, after ``context.configure(…)``, one line takes the place of two::

    with context.begin_transaction():
        context.run_migrations()

    patience.run_migrations()

What waits for a strong lock stops everybody who comes after it, readers too, for as long as it
waits (PostgreSQL, "Explicit Locking"; locks are granted in the order of asking). So the wait is
short, and the pauses between the tries, in which nothing is held, are what is long.

Imports nothing of the service, so that any env.py can import it.
"""

import random
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import event

from project.schema.holders import Watch

#: Seconds before the second try; they double from try to try, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 15

#: SQLSTATEs after which the same may go well: a lock was not to be had in time, and a deadlock was
#: broken at our cost. Not 57014: a statement that ran into ``statement_timeout`` would take as long
#: again, and one that a person cancelled is not wanted.
LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"
AGAIN = {LOCK_NOT_AVAILABLE, DEADLOCK}

#: Statements that let readers and writers pass while they wait. Cut short, an index would be built
#: from its beginning, over and over, for the sake of one long transaction.
PATIENT = re.compile(
    r"""\s*(?:
        CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b .*
      | DROP\s+INDEX\s+CONCURRENTLY\b .*
      | REINDEX\b [^']* \bCONCURRENTLY\b .*
      | ALTER\s+TABLE\b [^']* \bDETACH\s+PARTITION\b [^']* \bCONCURRENTLY\s*
      | ALTER\s+TABLE\b [^',]* \bVALIDATE\s+CONSTRAINT\s+ (?:\w+ | "(?:[^"]|"")+") \s*
    );?\s*""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

#: Of those, the ones that leave half of an index behind when they fail: only the revision as a
#: whole, which drops it first, can be tried again.
UNFINISHED = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)


def run_migrations(*, lock_seconds: float = 0.1, tries: int = 30, **arguments: Any) -> None:  # noqa: ANN401
    """Run what the command asks for, in env.py after ``context.configure()``.

    A statement that gets no lock in time is rolled back with its transaction and tried again after
    a pause: by itself where it stands alone (in an autocommit block, or first in its transaction),
    else its revision from the beginning. Revisions before it stay. What a revision does before an
    autocommit block is committed there, so it must bear being run twice.

    Args:
        lock_seconds: How long one statement waits for a lock, and others behind it; the
            connection's ``lock_timeout`` is set to it. 0 is no limit.
        tries: How often a revision is tried. The pauses grow to 15 s: 30 tries take some 6 minutes.
        **arguments: Go to ``context.run_migrations``.

    Raises:
        CommandError: no try got its lock. What was committed stays; the command can be repeated.

    """
    migration = context.get_context()
    connection = migration.connection
    postgresql = migration.dialect.name == "postgresql"
    # A transaction that was begun by the caller is not ours to roll back.
    if migration.as_sql or not postgresql or connection is None or connection.in_transaction():
        with context.begin_transaction():
            context.run_migrations(**arguments)
        return
    with Watch(connection) as watch:
        running = _Running(connection, watch, lock_seconds, tries)
        with running.listening(migration):
            running.run(arguments)


class _Running:
    """One command: which steps it has, which were done, and how often the current one was tried."""

    def __init__(
        self, connection: sa.Connection, watch: Watch, lock_seconds: float, tries: int
    ) -> None:
        self.connection = connection
        self.watch = watch
        self.lock_timeout = f"{lock_seconds * 1000:.0f}ms"
        self.tries = tries
        self.tried = 1
        self.steps: list[Any] | None = None
        self.stood: list[frozenset[str]] = []  # where the database stood before each step
        self.farthest = 1
        self.used: sa.Transaction | None = None  # the transaction in which something was done

    @contextmanager
    def listening(self, migration: MigrationContext) -> Iterator[None]:
        """Take part in Alembic's run, and in how statements are executed.

        Alembic has no hook around a statement, and SQLAlchemy one that can repeat it:
        ``DialectEvents.do_execute``.
        """
        decide = migration.opts["fn"]
        migration._migrations_fn = lambda heads, _: self.left(heads, decide, migration)  # noqa: SLF001
        migration.on_version_apply_callbacks = (*migration.on_version_apply_callbacks, self.applied)
        engine = self.connection.engine
        event.listen(engine, "do_execute", self.execute)
        try:
            yield
        finally:
            event.remove(engine, "do_execute", self.execute)

    def run(self, arguments: dict[str, Any]) -> None:
        """Run until it goes well."""
        while True:
            # What a rollback takes back is set again; outside of a transaction, so that Alembic
            # finds none, which it would take for the caller's.
            self.connection.exec_driver_sql(f"SET lock_timeout = '{self.lock_timeout}'")
            self.connection.commit()
            try:
                with context.begin_transaction():
                    context.run_migrations(**arguments)
            except sa.exc.DBAPIError as error:
                self.connection.rollback()
                if _state(error) not in AGAIN:
                    raise
                self.pause(error)
            else:
                return

    def left(
        self,
        heads: Iterable[str],
        decide: Callable[..., Iterable[Any]],
        migration: Any,  # noqa: ANN401
    ) -> Iterator[Any]:
        """Yield the steps that are left; they are decided once, as ``+1`` would go on from here.

        Raises:
            CommandError: somebody else has moved the database in a pause.

        """
        stands = frozenset(heads)
        if self.steps is None:
            self.steps, self.stood = list(decide(tuple(heads), migration)), [stands]
        if stands not in self.stood:
            raise CommandError(
                "Another migration has moved the database meanwhile; run the command again."
            )
        done = self.stood.index(stands)
        del self.stood[done + 1 :]
        yield from self.steps[done:]

    def applied(self, *, heads: Iterable[str], **_: object) -> None:
        """Note that a step was done; should its transaction not be committed, it is left again."""
        self.stood.append(frozenset(heads))
        if len(self.stood) > self.farthest:
            self.farthest, self.tried = len(self.stood), 1

    def execute(
        self,
        cursor: Any,  # noqa: ANN401
        statement: str,
        parameters: Any,  # noqa: ANN401
        execution: Any,  # noqa: ANN401
    ) -> bool | None:
        """Execute a statement of the migration; one that stands alone until it gets its lock."""
        if execution.root_connection is not self.connection:
            return None
        raw = self.connection.connection
        autocommit = bool(getattr(raw.dbapi_connection, "autocommit", False))
        transaction = self.connection.get_transaction()
        patient = autocommit and PATIENT.fullmatch(statement) is not None
        alone = autocommit or transaction is not self.used
        while True:
            try:
                with self.patiently(raw) if patient else nullcontext():
                    cursor.execute(statement, parameters)
            except self.connection.dialect.loaded_dbapi.Error as error:
                unfinished = patient and UNFINISHED.search(statement) is not None
                if not alone or unfinished or _state(error) not in AGAIN:
                    raise
                raw.rollback()
                self.pause(error)
            else:
                self.used = transaction
                return True

    @contextmanager
    def patiently(self, raw: Any) -> Iterator[None]:  # noqa: ANN401
        """Let a statement wait for as long as it may run, and say whom it waits for."""
        cursor = raw.cursor()
        cursor.execute("SET lock_timeout = 0")
        self.watch.announce(lambda wait: _tell(f"{self.current()} waits {wait}."))
        try:
            yield
        finally:
            self.watch.announce(None)
            with suppress(self.connection.dialect.loaded_dbapi.Error):  # the connection is lost
                cursor.execute(f"SET lock_timeout = '{self.lock_timeout}'")
                cursor.close()

    def pause(self, error: Exception) -> None:
        """Say what happened, and hold nothing for a while.

        Raises:
            CommandError: that was the last try.

        """
        wait = self.watch.seen()
        happened = "had a deadlock" if _state(error) == DEADLOCK else "got no lock in time"
        happened = f"{self.current()} {happened}{f'; it waited {wait}' if wait else ''}"
        if self.tried >= self.tries:
            raise CommandError(
                f"{happened}. It was tried {self.tries} times; what was committed before stays, and"
                " the same command goes on from there."
            ) from error
        doubled = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.tried - 1))
        seconds = doubled * random.uniform(0.5, 1.5)  # noqa: S311
        self.tried += 1
        _tell(f"{happened}. Try {self.tried} of {self.tries} in {seconds:.1f} s.")
        if wait is not None and wait.relation and wait.kind in {None, "autovacuum worker"}:
            self.displace(wait.relation)
        time.sleep(seconds)

    def displace(self, relation: str) -> None:
        """Have PostgreSQL cancel an autovacuum of a table, which would outlast all tries.

        It does so for whoever has waited for ``deadlock_timeout``, a second by default, which no
        try does; so it is waited for here, in a mode that readers and writers pass by.
        """
        raw = self.connection.connection
        with suppress(self.connection.dialect.loaded_dbapi.Error):  # it goes on, or is no table
            raw.cursor().execute(
                f"DO $patience$ BEGIN SET LOCAL lock_timeout = '3s';"
                f" LOCK TABLE {relation} IN SHARE UPDATE EXCLUSIVE MODE; END $patience$"
            )
        raw.rollback()

    def current(self) -> str:
        """Name the step that is being done."""
        if self.steps and len(self.stood) <= len(self.steps):
            revision = getattr(self.steps[len(self.stood) - 1], "revision", None)
            if revision is not None:
                return f"Revision {revision.revision}"
        return "The migration"


def _state(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error, whichever driver raised it."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _tell(sentence: str) -> None:
    # Not logged: a configuration of logging that env.py reads after it has imported this would
    # silence it ("disable_existing_loggers").
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201
