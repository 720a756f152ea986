"""The command of Alembic that runs: its project, what comes after it, and how it ends in vain."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import psycopg
from alembic import context
from alembic.script import ScriptDirectory, write_hooks
from alembic.util import CommandError

from project.schema import scratch
from project.schema.autogenerate import questions
from project.schema.autogenerate.change import RefusedError, UnprovedError
from project.schema.configuration import Project, UsageError
from project.schema.source import SourceError

#: What a person can do something about: said in a sentence, without a traceback.
TOLD = (
    *(RefusedError, UnprovedError, SourceError, UsageError),
    *(scratch.ScratchError, psycopg.OperationalError),
)


def project() -> Project:
    """Return the project of the command, which is run where the command is.

    Raises:
        UsageError: it has no configuration file.

    """
    name = context.config.config_file_name or context.config.toml_file_name
    if name is None:
        raise UsageError("Autogenerate needs a configuration file: alembic.ini or pyproject.toml.")
    return Project.load(
        name,
        section=context.config.config_ini_section,
        folder=Path.cwd(),
        arguments=getattr(context.config.cmd_opts, "x", None) or (),
    )


def after_writing(script: ScriptDirectory, name: str, do: Callable[[Path], object]) -> None:
    """Do something once Alembic has written a revision, and its other hooks have formatted it.

    Args:
        script: Where the revision goes.
        name: Under which Alembic says what it does.
        do: Given the revision's file.

    """
    write_hooks.register(name)(lambda path, _: do(Path(path)))
    script.hooks = [*script.hooks, {"_hook_name": name, "type": name}]


def keep(project: Project, text: bytes) -> None:
    """Keep what is no migration where Alembic does not look for any."""
    kept = _refused(project)
    kept.write_bytes(text)
    questions.tell(f"What was planned is kept in {kept}; it is no migration.")


def forget(project: Project) -> None:
    """Remove what was kept of a try before, now that there is a migration."""
    _refused(project).unlink(missing_ok=True)


def _refused(project: Project) -> Path:
    return project.ini.with_name("refused_migration.py")


def give_up(error: Exception, *, typed: bool) -> NoReturn:
    """End the command; one that was typed with exit code 1, as findings do."""
    if not typed:
        raise CommandError(str(error)) from error
    questions.tell(str(error))
    sys.exit(1)
