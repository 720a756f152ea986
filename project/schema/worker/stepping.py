"""The steps of a walk: one revision up or down at a time, several in one run of env.py.

A run of env.py costs more than most migrations: an engine is made, connects, and asks the server
what it is. Where it makes no difference to a migration, the run that took a step waits for the next
one. It makes none if env.py says nothing to the server itself, runs migrations once, leaves the
transaction to Alembic, and if whatever the migrations said so far leaves nothing behind in the
session. Then the transaction is committed after each step, in the way of
``MigrationContext.autocommit_block``; otherwise every step has a run of its own, as an Alembic
command has.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import event

from project.schema.worker import loading
from project.schema.worker.conversation import Conversation
from project.schema.worker.environment import NOTHING_RUN
from project.schema.worker.steering import RefusedError

#: Statements that leave a session as it was. All others may have set something, made something
#: temporary, hold a lock or call a function that does; the list errs on that side.
PLAIN = re.compile(
    r"""\s*(?:
        (?:CREATE|ALTER|DROP)\s+(?:UNLOGGED\s+|UNIQUE\s+|MATERIALIZED\s+)?
            (?:TABLE|INDEX|VIEW|SEQUENCE|TYPE|DOMAIN|SCHEMA)\b
        | COMMENT\s+ON\b
        | SELECT\ pg_catalog\.  # SQLAlchemy looks whether something exists
    )(?!.*(?:;\s*\S|set_config|advisory))""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)

#: What Alembic says of the table in which it keeps the revision.
VERSION = r"\s*(?:INSERT INTO|UPDATE|DELETE FROM) (?:\S+\.)?\"?{}\"?\s"

#: The requests that are steps: whether it goes up.
STEPS = {"step up": True, "step down": False}


@dataclass
class Run:
    """What env.py and the migrations do in a run."""

    calls: int = 0  # of context.run_migrations()
    migrating: bool = False
    spoke: bool = False  # env.py itself, to the server
    plain: bool = True  # what the migrations said
    version_table: str = ""

    def watch(self, environment: EnvironmentContext) -> None:
        """Note when migrations are run: what is said then, they say."""
        run_migrations = environment.run_migrations

        def noted(**given: Any) -> None:  # noqa: ANN401
            self.calls += 1
            self.migrating = True
            self.version_table = environment.get_context().version_table
            try:
                run_migrations(**given)
            finally:
                self.migrating = False

        environment.run_migrations = noted  # type: ignore[method-assign]

    def hear(
        self, _connection: sa.engine.Connection, _cursor: object, statement: str, *_: object
    ) -> None:
        """Judge a statement that is about to be executed on any engine of the process."""
        if not self.migrating:
            self.spoke = True
        elif not PLAIN.match(statement):
            version = VERSION.format(re.escape(self.version_table))
            self.plain &= re.match(version, statement) is not None

    @property
    def indifferent(self) -> bool:
        """Whether env.py has done nothing but run migrations, once."""
        return self.calls == 1 and not self.spoke


@dataclass
class Steps:
    """Takes the steps that a conversation asks for."""

    conversation: Conversation
    taken: Mapping[str, Any] | None = None  # the request for the last step
    may_share: bool = False  # a whole run of this env.py has shown that it is indifferent

    def run(self, configuration: Config) -> None:
        """Run env.py for the step that is asked for now, and for those that may follow it."""
        script = ScriptDirectory.from_config(configuration)
        request = self.conversation.request()
        assert request is not None  # noqa: S101
        run = Run()
        environment = EnvironmentContext(
            configuration,
            script,
            fn=lambda _, context: self._steps(run, context, request),
            destination_rev=request["to"],
        )
        run.watch(environment)
        with _heard(run), environment:
            script.run_env()
        if not run.calls:
            raise RefusedError(NOTHING_RUN)
        self.may_share = run.indifferent

    def _steps(
        self, run: Run, context: MigrationContext, request: Mapping[str, Any]
    ) -> Iterator[MigrationStep]:
        if self.conversation.open is not request:
            raise RefusedError("its env.py runs migrations now once, now several times")
        # Alembic has looked for its table by now; from here on it is the migrations that speak.
        run.plain = True
        while True:
            yield _step(context, request)
            self.taken = request
            # The migration is done, and the table of the revision says so.
            if not (self.may_share and run.indifferent and run.plain and _committed(context)):
                return
            # Which types a run has created it remembers; a step has created none.
            context.impl.memo.clear()
            self.conversation.answer(value=None)
            following = self.conversation.request()
            if following is None or following["do"] not in STEPS:
                return
            if following["scratch"] != request["scratch"]:
                return
            request = following


def _step(context: MigrationContext, request: Mapping[str, Any]) -> MigrationStep:
    """Return what Alembic would find to do, in time that does not grow with the history."""
    assert context.script is not None  # noqa: S101
    revisions = loading.revision_map(context.script)
    revision: Any = revisions.get_revision(request["to"])
    if STEPS[request["do"]]:
        return MigrationStep.upgrade_from_script(revisions, revision)
    return MigrationStep.downgrade_from_script(revisions, revision)


def _committed(context: MigrationContext) -> bool:
    """Commit if the transaction is Alembic's own, and tell whether the step is committed."""
    assert context.connection is not None  # noqa: S101
    if context._transaction is not None:  # noqa: SLF001 - it has no public name
        context._transaction.commit()  # noqa: SLF001
        context._transaction = context.connection.begin()  # noqa: SLF001
        return True
    return not context.connection.in_transaction()


@contextmanager
def _heard(run: Run) -> Iterator[None]:
    event.listen(sa.engine.Engine, "before_cursor_execute", run.hear)
    try:
        yield
    finally:
        event.remove(sa.engine.Engine, "before_cursor_execute", run.hear)
