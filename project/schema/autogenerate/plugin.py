"""Where Alembic and this package meet: one call in env.py, and what it makes of ``--autogenerate``.

Alembic asks comparators for what differs ("Customizing Autogeneration"). The one here answers for
all of them: it compares the catalogs of two scratch databases. What it found is one operation,
which is planned and proved when Alembic has it rendered; ``alembic check`` stops before that. The
database that env.py connects to is a scratch one as well, made by the migrations, so that nobody's
own need be there or up to date.
"""

import atexit
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.script import ScriptDirectory
from alembic.util import DispatchPriority, PriorityDispatchResult

from project.schema import scratch
from project.schema.autogenerate import (
    entrance,
    expanding,
    expansion,
    hints,
    questions,
    synonym,
    workbench,
)
from project.schema.autogenerate.change import UnprovedError
from project.schema.autogenerate.entrance import asked
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.invocation import (
    TOLD,
    after_writing,
    forget,
    give_up,
    keep,
    project,
)
from project.schema.autogenerate.migration import Migration, made
from project.schema.autogenerate.workbench import Workbench
from project.schema.checking.unimported import unimported
from project.schema.configuration import Project
from project.schema.progress import shown
from project.schema.snapshot import Difference
from project.schema.worker.steering import Steering


class DifferencesOp(ops.MigrateOperation):
    """All that differs between models and migrations, as one operation, there or back."""

    def __init__(
        self,
        session: "Session",
        differences: Iterable[Difference],
        *,
        back: bool = False,
        planned: Migration | None = None,
    ) -> None:
        self.session = session
        self.differences = tuple(differences)
        self.back = back
        self.planned = planned  # one of several revisions

    def reverse(self) -> "DifferencesOp":
        """Return the way back."""
        return DifferencesOp(
            self.session, self.differences, back=not self.back, planned=self.planned
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what ``alembic check`` shows."""
        return tuple(
            " ".join(filter(None, (str(difference.key), difference.attribute)))
            for difference in self.differences
        )


@dataclass
class Session:
    """One run of ``alembic revision --autogenerate`` or ``alembic check``."""

    project: Project
    bench: Workbench
    folder: Path
    directory: ScriptDirectory
    typed: bool  # whether somebody typed the command, or a program called it
    steering: Steering | None = None
    declared: Declared | None = None
    script: ops.MigrationScript | None = None
    migration: Migration | None = None


_session: Session | None = None


def begin(*, before: str) -> None:
    """Make the databases, and lead env.py to the one that the migrations made.

    Raises:
        CommandError: no scratch database can be made, or a migration fails.

    """
    global _session  # noqa: PLW0603 - env.py runs once in a command, and the comparator later
    if _session is not None:
        return
    try:
        _session = _opened()
    except TOLD as error:
        give_up(error, typed=context.config.cmd_opts is not None)
    entrance.lead(_session.bench.history)
    if before == "migrations" and context.config.attributes.get("connection") is None:
        _session.steering = Steering(_session.bench.history)
        _session.steering.install()


def _opened() -> Session:
    closing = ExitStack()
    # Whatever ends the command, also an error that is Alembic's own affair.
    atexit.register(closing.close)
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
    asking = project()
    with shown(sys.stderr) as progress:
        opening = workbench.opened(asking, scratch.from_environment(), progress)
        bench = closing.enter_context(opening)
    typed = context.config.cmd_opts is not None
    return Session(asking, bench, folder, asked().script_directory, typed)


@comparators.dispatch_for("autogenerate", priority=DispatchPriority.FIRST)
def _compare(autogen: AutogenContext, upgrade: ops.UpgradeOps) -> PriorityDispatchResult:
    """Answer for all comparators, where env.py has called :func:`install`."""
    global _session
    session, _session = _session, None
    if session is None:
        return PriorityDispatchResult.CONTINUE
    entrance.lead(None)
    # env.py is connected: whatever else this process connects to is its own affair again.
    if session.steering is not None:
        session.steering.remove()
    assert autogen.migration_context is not None  # noqa: S101
    opts = autogen.migration_context.opts
    target = opts["target_metadata"]
    metadatas = [m for m in (target if isinstance(target, (list, tuple)) else [target]) if m]
    session.declared = hints.declared(metadatas, safe=session.project.safe)
    differing = session.bench.to_models(session.bench.before.catalog)
    if differing:
        upgrade.ops[:] = [DifferencesOp(session, differing)]
    opts["process_revision_directives"] = _finishing(
        session, opts.get("process_revision_directives")
    )
    return PriorityDispatchResult.STOP


def _writes_a_file() -> bool:
    """Tell ``revision`` from ``check``, which makes up a revision, too, and then looks at it."""
    options = context.config.cmd_opts
    if options is not None:
        return getattr(options, "cmd", (None,))[0] is command.revision
    # Called from Python they are alike, but that who writes a file mostly says what for.
    return asked().command_args["message"] is not None


def _finishing(session: Session, given: Callable[..., None] | None) -> Callable[..., None]:
    """Let env.py's own function have the revision, too."""

    def finish(migration: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:  # noqa: ANN401
        if given is not None:
            given(migration, revision, directives)
        assert session.declared is not None  # noqa: S101
        if directives and all(each.is_empty() for each in directives[0].upgrade_ops_list):
            with _told(session):
                notes = hints.notes(session.declared, session.bench.before.catalog)
            for note in notes:
                questions.tell(note)
            if _writes_a_file():
                with _told(session):
                    _tell_unimported(session)
                questions.tell("The models and the migrations agree: there is nothing to write.")
                directives.clear()
        elif directives:
            if _writes_a_file():
                directives[:] = _in_several(session, directives[0])
            for script in directives:
                script.imports = {*script.imports, "from sqlalchemy.dialects import postgresql"}
            session.script = directives[0]

    return finish


def _tell_unimported(session: Session) -> None:
    """Name the models that nobody imports, which somebody may miss in a revision.

    This process knows its models, but not from where: one tells that has imported none so far.
    """
    with session.project.open(session.bench.history) as source:
        facts = source.metadata()
    for name, place in unimported(facts):
        questions.tell(
            f"{name} ({os.path.relpath(place.path)}:{place.line}) is never imported: the metadata"
            " lacks its table. Import its module where the others are, or move it elsewhere."
        )


def _in_several(session: Session, script: ops.MigrationScript) -> list[ops.MigrationScript]:
    """Return the revisions that take the place of one, where something is to be expanded."""
    assert session.declared is not None  # noqa: S101
    asked = session.bench, session.declared
    with _told(session):
        if column := expansion.wanted(*asked):
            parts = expanding.sequence(*asked, column, session.folder)
        elif table := synonym.wanted(*asked):
            parts = synonym.sequence(*asked, table, session.folder)
        else:
            return [script]
    forget(session.project)
    _show_locks(session, parts)
    scripts: list[ops.MigrationScript] = []
    for number, part in enumerate(parts):
        there = DifferencesOp(session, (), planned=part)
        again = ops.MigrationScript(
            script.rev_id if not number else f"{script.rev_id}_{number + 1}",
            ops.UpgradeOps([there]),
            ops.DowngradeOps([there.reverse()]),
            message=": ".join(filter(None, (script.message, part.message))),
            head=scripts[-1].rev_id if scripts else script.head,
            splice=script.splice,
            branch_label=None if number else script.branch_label,
            version_path=script.version_path,
            depends_on=None if number else script.depends_on,
        )
        scripts.append(again)
    return scripts


@contextmanager
def _told(session: Session) -> Iterator[None]:
    """End the command with a sentence where a person can do something about it."""
    try:
        yield
    except UnprovedError as error:
        keep(session.project, (session.folder / "migration.py").read_bytes())
        give_up(error, typed=session.typed)
    except TOLD as error:
        give_up(error, typed=session.typed)


def _show_locks(session: Session, written: Iterable[Migration]) -> None:
    """Show what each revision was seen to lock, under the name of its file."""
    tables = [migration.locks for migration in written]
    if any(tables):
        coming = iter(tables)
        after_writing(session.directory, "locks", lambda _: questions.show(next(coming)))


@renderers.dispatch_for(DifferencesOp)
def _rendered(_: AutogenContext, operation: DifferencesOp) -> str:
    session = operation.session
    if operation.planned is None and session.migration is None:
        assert session.declared is not None  # noqa: S101
        with _told(session):
            session.migration = made(session.bench, session.declared, session.folder)
        forget(session.project)
        if session.script is not None and session.script.message is None:
            session.script.message = session.migration.message
        _show_locks(session, [session.migration])
    written = operation.planned or session.migration
    assert written is not None  # noqa: S101 - made by now
    return written.downgrade if operation.back else written.upgrade
