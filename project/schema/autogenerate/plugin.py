"""Where Alembic and this package meet: one call in env.py, and what it makes of ``--autogenerate``.

Alembic asks the comparators for what differs ("Customizing Autogeneration"). This one answers for
all others: it compares the catalogs of two scratch databases, plans, and proves what it planned. The
database that env.py connects to is a scratch one as well, on which the migrations were run, so
nobody's own need be there or up to date.
"""

import atexit
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import sqlalchemy as sa
from alembic import context
from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError, DispatchPriority, PriorityDispatchResult

from project.schema import scratch
from project.schema.autogenerate import hints, proof, workbench
from project.schema.autogenerate.change import MissingValueError, RefusedError
from project.schema.autogenerate.message import message
from project.schema.autogenerate.proposal import Proposal, propose
from project.schema.autogenerate.renames import Suspicion
from project.schema.autogenerate.script import body, module
from project.schema.autogenerate.step import Step
from project.schema.autogenerate.workbench import Workbench
from project.schema.configuration import Project, UsageError
from project.schema.source import SourceError
from project.schema.steering import STEERED, Steering

#: What a person can do something about; said in a sentence, without a traceback.
TOLD = (RefusedError, SourceError, UsageError, scratch.ScratchError, psycopg.OperationalError)


class Steps(ops.MigrateOperation):
    """Steps there, which know the steps back."""

    def __init__(self, there: str, back: str, differences: tuple[str, ...]) -> None:
        self.there = there
        self.back = back
        self.differences = differences

    def reverse(self) -> "Steps":
        """Return the way back."""
        return Steps(self.back, self.there, self.differences)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what ``alembic check`` shows."""
        return ("differences", *self.differences)


@renderers.dispatch_for(Steps)
def _rendered(_: AutogenContext, steps: Steps) -> str:
    return steps.there


@dataclass
class Session:
    """One run of ``alembic revision --autogenerate`` or ``alembic check``."""

    project: Project
    bench: Workbench
    closing: ExitStack
    engine: sa.Engine
    folder: Path
    proposal: Proposal | None = None
    told: list[str] = field(default_factory=list)


_session: Session | None = None


def install(*, before: str = "migrations") -> None:
    """Let this package write what ``alembic revision --autogenerate`` writes.

    To be called in env.py before it connects. Other commands than ``revision --autogenerate`` and
    ``check`` are not touched.

    Args:
        before: What the models are compared with: "migrations", replayed on a scratch database, to
            which env.py is then connected; or "database", Alembic's usual way: whichever env.py
            connects to, which must be up to date. It is proved on what migrations make either way.

    Raises:
        CommandError: a scratch database cannot be made, or a migration fails.

    """
    global _session  # noqa: PLW0603 - env.py is run once for a command
    asked = _revision_context()
    if asked is None or _session is not None or context.config.attributes.get(STEERED):
        return
    try:
        _session = _opened()
    except TOLD as error:
        _give_up(str(error))
    comparators.dispatch_for("autogenerate", priority=DispatchPriority.FIRST)(_compare)
    if before == "migrations":
        Steering(_session.bench.history).install()


def connection() -> sa.Connection | None:
    """Return a connection to what the migrations make, for env.py; None for any other command."""
    return None if _session is None else _session.engine.connect()


def _revision_context() -> Any:  # noqa: ANN401
    """Return what Alembic holds of a revision being generated; None for any other command."""
    # Alembic's proxy gives out its methods only; what the command has handed over is an attribute.
    environment = getattr(context, "_proxy", None)
    found = getattr(environment, "context_opts", {}).get("revision_context")
    return found if found is not None and found.command_args["autogenerate"] else None


def _opened() -> Session:
    name = context.config.config_file_name
    if name is None:
        raise UsageError("Autogenerate needs a configuration file: alembic.ini or pyproject.toml.")
    project = Project.load(name, section=context.config.config_ini_section)
    closing = ExitStack()
    # Also after an error or Ctrl-C: what Alembic does with either is its own affair.
    atexit.register(closing.close)
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
    url = os.environ.get("SCRATCH_DATABASE_URL") or None
    bench = closing.enter_context(workbench.opened(project, url))
    engine = sa.create_engine(
        bench.history.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool
    )
    return Session(project, bench, closing, engine, folder)


def _compare(autogen: AutogenContext, upgrade: ops.UpgradeOps) -> PriorityDispatchResult:
    """Answer for all comparators."""
    assert _session is not None  # noqa: S101
    assert autogen.migration_context is not None  # noqa: S101
    asked = _revision_context()
    target = autogen.opts["target_metadata"] if autogen.opts else None
    metadatas = list(target) if isinstance(target, (list, tuple)) else [target]
    declared = hints.declared(
        (metadata for metadata in metadatas if metadata is not None), safe=_session.project.safe
    )
    saved = asked.command_args.get("message") is not None or _is_revision()
    try:
        if not saved:
            upgrade.ops[:] = list(_differences(_session))
        else:
            _session.proposal = propose(_session.bench, declared, _session.folder, _ask, _ask_value)
            for note in _session.proposal.notes:
                _tell(note)
            if _session.proposal.upgrade:
                upgrade.ops[:] = [
                    _proved(_session, _session.proposal, told=bool(declared.hints.using))
                ]
    except RefusedError as error:
        _give_up(str(error))
    except proof.UnprovedError as error:
        _keep(_session)
        _give_up(str(error))
    except TOLD as error:
        _give_up(str(error))
    opts = autogen.migration_context.opts
    opts["process_revision_directives"] = _finishing(opts.get("process_revision_directives"))
    return PriorityDispatchResult.STOP


def _is_revision() -> bool:
    asked = _revision_context()
    # `alembic check` makes up a revision as well; unlike the command revision it asks for "head".
    return not (
        asked.command_args["head"] == "head"
        and asked.command_args["rev_id"] is None
        and asked.command_args["message"] is None
        and asked.command_args.get("splice") is False
        and _command() == "check"
    )


def _command() -> str:
    options = getattr(context.config, "cmd_opts", None)
    command = getattr(options, "cmd", None)
    return str(command[0].__name__) if command else ""


def _differences(session: Session) -> Iterator[Steps]:
    for difference in session.bench.to_models(session.bench.before.catalog):
        what = difference.attribute or "presence"
        yield Steps("", "", (str(difference.key), what))


def _proved(session: Session, proposal: Proposal, *, told: bool) -> Steps:
    """Prove the steps and write them.

    Raises:
        UnprovedError: they do not do what they should.

    """
    _write(session, proposal)
    seen = proof.prove(
        session.bench, session.folder / "proof.py", reversible=not proposal.irreversible, told=told
    )
    there = body(proposal.upgrade)
    named = {line for line in there.splitlines() if "# loses: " in line}
    losses = [loss for loss in seen.losses if not any(_place(loss) in line for line in named)]
    if losses:
        _tell("Up and down again, values change: " + "; ".join(losses) + ".")
    if seen.condition:
        _tell(f"It fails if rows in production are like this: {seen.condition}")
    back = body(proposal.downgrade) if not proposal.irreversible else _raise(proposal.irreversible)
    return Steps(
        proof.declared(losses) + there,
        back,
        tuple(str(difference.key) for difference in proposal.differences),
    )


def _place(loss: str) -> str:
    """Return the table of a loss: a column that is dropped is named, or its table."""
    return loss.partition(",")[0]


def _raise(reason: str) -> str:
    return f"raise NotImplementedError({reason!r})"


def _write(session: Session, proposal: Proposal) -> None:
    text = module(proposal.upgrade, proposal.downgrade, "proof", None)
    (session.folder / "proof.py").write_text(text)


def _finishing(given: Callable[..., None] | None) -> Callable[..., None]:
    """Finish the revision, and then let env.py's own function have it."""

    def finish(migration: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:  # noqa: ANN401
        assert _session is not None  # noqa: S101
        proposal = _session.proposal
        if proposal is not None and not proposal.upgrade:
            _tell("The models and the migrations agree: there is nothing to write.")
            directives[:] = []
        elif proposal is not None:
            script = directives[0]
            script.imports.add("from sqlalchemy.dialects import postgresql")
            if script.message is None:
                script.message = message(proposal.differences, proposal.renamed)
        if given is not None:
            given(migration, revision, directives)

    return finish


def _ask(suspicion: Suspicion) -> bool:
    """Ask whether it is a rename.

    Raises:
        RefusedError: nobody is there to answer.

    """
    if not _somebody():
        raise RefusedError(f"{suspicion.hint}.")
    return input(f"{suspicion.question} [y/N] ").strip().lower() in {"y", "yes"}


def _ask_value(missing: MissingValueError) -> str:
    """Ask for the value of rows that are there.

    Raises:
        MissingValueError: nobody is there to answer.

    """
    if not _somebody():
        raise missing
    _tell(str(missing))
    value = input("SQL for the rows that are there: ").strip()
    if not value:
        raise missing
    return value


def _somebody() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _keep(session: Session) -> None:
    """Keep a migration that was not proved, where nobody takes it for one."""
    name = f"{session.project.ini.parent / 'refused_migration'}.py"
    Path(name).write_text((session.folder / "proof.py").read_text())
    _tell(f"What was planned is kept in {name}, which is no migration.")


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201


def _give_up(sentence: str) -> NoReturn:
    """End the command; from the command line with exit code 1, as findings do."""
    if getattr(context.config, "cmd_opts", None) is None:
        raise CommandError(sentence)
    _tell(sentence)
    sys.exit(1)


__all__ = ["Step", "connection", "install"]
