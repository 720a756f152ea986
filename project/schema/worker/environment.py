"""A foreign project's configuration and env.py: what they are given, and how they are run."""

import contextlib
import functools
import os
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import CommandLine, Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from project.schema.worker.given import Given, in_a_worker_thread, possibilities
from project.schema.worker.steering import STEERED, RefusedError, Steering

#: Said where a command ends and env.py has run nothing.
NOTHING_RUN = (
    "env.py never calls context.run_migrations(); if it does so only for a schema or a tenant that"
    " it finds in the database, name a file that makes one with --before"
)


@dataclass
class Environment:
    """Runs env.py as Alembic's command line would, on whatever it needs to run."""

    ini: Path
    section: str
    url_variable: str | None
    arguments: Sequence[str]
    prepare: str | None
    steering: Steering
    given: "Given | None" = None  # what was needed before; None where it is not known yet
    adapt: Callable[[Config], object] | None = None  # a function of whoever prepares the project

    def configuration(self, words: Sequence[str], driver: str | None) -> Config:
        """Make the configuration that Alembic's command line would make for a command."""
        given = [part for value in self.arguments for part in ("-x", value)]
        arguments = ["-c", str(self.ini), "-n", self.section, *given, *words]
        sys.argv = ["alembic", *arguments]
        pyproject = self.ini.with_name("pyproject.toml")
        more: dict[str, Any] = {"toml_file": pyproject} if _configures_alembic(pyproject) else {}
        ini = self.ini if self.ini != pyproject else self.ini.with_name("alembic.ini")
        result = Config(
            ini if ini.exists() else None,
            ini_section=self.section,
            cmd_opts=_parser().parse_args(arguments),
            **more,
        )
        result.attributes[STEERED] = True
        # Flask-Migrate's alembic.ini lies beside env.py and leaves this to its own command.
        beside = self.ini.parent
        if _option(result, "script_location") is None and (beside / "env.py").exists():
            result.set_main_option("script_location", str(beside).replace("%", "%%"))
        if driver:
            url = self.scratch(driver).render_as_string(hide_password=False)
            result.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        if self.adapt:
            self.adapt(result)
        return result

    def scratch(self, driver: str) -> sa.engine.URL:
        """Return the URL of the scratch database for a driver."""
        return self.steering.scratch.set(drivername=f"postgresql+{driver}")

    def set_variable(self) -> None:
        """Set the variable from which the project takes its URL, before it is imported."""
        if self.url_variable:
            url = self.steering.scratch.render_as_string(hide_password=False)
            os.environ[self.url_variable] = url

    def get_ready(self) -> None:
        """Run, once, what must be run before env.py: the code of somebody who knows the project."""
        self.set_variable()
        code, self.prepare = self.prepare, None
        if code is None:
            return
        try:
            names: dict[str, Any] = {"__name__": "prepare"}
            exec(compile(code, "<prepare>", "exec"), names)  # noqa: S102
            self.adapt = names.get("configure")
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}"
            raise RefusedError(f"what prepares the project fails: {said}") from error

    def run(self, words: Sequence[str], move: Callable[[Config], None]) -> None:
        """Let a command run env.py; if it fails for want of a database, again with one.

        What a project says when it has no URL is its own affair, so whatever goes wrong before a
        connection was asked for counts. Which driver it wants is not known, so each that there is
        gets its turn, as a URL and then as a connection; if none helps, the first error is the one.
        """
        first: BaseException | None = None
        for given in [self.given] if self.given else possibilities():
            try:
                self._run(words, move, given)
            except (Exception, SystemExit) as error:
                if self.steering.asked or self.given:
                    raise
                first = first or error
            else:
                self.given = given
                return
        assert first is not None  # noqa: S101
        raise first

    def _run(self, words: Sequence[str], move: Callable[[Config], None], given: Given) -> None:
        configuration = self.configuration(words, given.driver)
        self.steering.asked = False
        if not (given.connection and given.driver):
            in_a_worker_thread(lambda: move(configuration))
            return
        engine = sa.create_engine(
            self.scratch(given.driver), poolclass=sa.pool.NullPool, future=True
        )
        with engine.connect() as connection:
            self.steering.asked = False
            sa.event.listen(engine, "before_cursor_execute", self._note_use)
            configuration.attributes["connection"] = connection
            move(configuration)
            connection.commit()

    def _note_use(self, *_: object) -> None:
        self.steering.asked = True

    def look(self) -> list[MigrationContext]:
        """Run env.py without a migration; neither it nor this imports the revisions."""
        seen: list[MigrationContext] = []

        def note(_: Any, context: MigrationContext) -> list[Any]:  # noqa: ANN401
            seen.append(context)
            _make_room(context)
            return []

        def move(configuration: Config) -> None:
            script = ScriptDirectory.from_config(configuration)
            with EnvironmentContext(configuration, script, fn=note, dont_mutate=True):
                script.run_env()

        # A command that reads the models; Alembic before 1.9 lacks it.
        self.run(["check" if hasattr(command, "check") else "current"], move)
        if not seen:
            raise RefusedError(NOTHING_RUN)
        return seen

    def script(self) -> ScriptDirectory:
        """Open the folder of the revisions; to look at them imports them, perhaps with the rest."""
        self.set_variable()
        script = ScriptDirectory.from_config(self.configuration(["history"], None))
        if not script.get_heads() and (environment := self.look()[0].environment_context):
            return environment.script  # where env.py alone knows where the revisions are
        return script


def one_after_the_other(environment: EnvironmentContext) -> None:
    """Refuse an env.py that migrates several databases at once, in transactions beside each other.

    All of them are the scratch database here, in which the second would wait for the first for
    ever.
    """
    run_migrations = environment.run_migrations
    begun: list[sa.engine.Connection] = []

    def guarded(**given: Any) -> None:  # noqa: ANN401
        connection = environment.get_context().connection
        if any(other is not connection and other.in_transaction() for other in begun):
            raise RefusedError(
                "env.py migrates several databases in one command, in transactions beside each"
                " other; have it go through one of them only, as chosen by -x"
            )
        if connection is not None:
            begun.append(connection)
            _make_room(environment.get_context())
        run_migrations(**given)

    environment.run_migrations = guarded  # type: ignore[method-assign]


def _make_room(context: MigrationContext) -> None:
    """Make the schema of the version table, which Alembic expects to find in every database."""
    schema = context.version_table_schema
    if schema is None or context.connection is None:
        return
    # On a connection of its own: on this one it would begin a transaction.
    with context.connection.engine.connect() as other:
        if not other.dialect.has_schema(other, schema):  # inspectors have it since 2.0
            other.execute(sa.schema.CreateSchema(schema))
            other.commit()


def _option(configuration: Config, name: str) -> str | None:
    """Return what the configuration says, be it in an ini or in pyproject.toml (Alembic 1.16)."""
    get = getattr(configuration, "get_alembic_option", configuration.get_main_option)
    said: str | None = get(name)
    return said


def _configures_alembic(pyproject: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return "alembic" in tomllib.loads(pyproject.read_text("utf-8")).get("tool", {})
    return False


@functools.cache
def _parser() -> ArgumentParser:
    """Return the parser of Alembic's command line, which takes as long to make as a migration."""
    return CommandLine().parser
