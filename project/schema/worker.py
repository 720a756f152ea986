"""A process that works for a foreign Alembic project: runs its env.py, on a scratch database only.

``source`` is the other side: it starts this process, sends one JSON request a line to stdin and
reads one JSON answer a line. The interpreter may be the foreign project's own, so this imports
SQLAlchemy and Alembic, and what lies beside it.
"""

import asyncio
import contextlib
import functools
import json
import os
import sys
import tomllib
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import CommandLine, Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from project.schema import loading
from project.schema.definitions import Definitions
from project.schema.steering import RefusedError, Steering
from project.schema.watching import Watch

#: Requests that say where to go.
MOVES = ("upgrade", "downgrade", "observe_upgrade", "observe_downgrade", "stamp")


@dataclass
class Worker:
    """The foreign project, and what the requests ask of it."""

    ini: Path
    section: str
    url_variable: str | None
    arguments: Sequence[str]
    steering: Steering
    definitions: Definitions
    watch: Watch
    url_in_configuration: bool = False

    def configuration(self, *words: str) -> Config:
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
        if self.url_in_configuration:
            url = self.steering.scratch.render_as_string(hide_password=False)
            result.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        return result

    def set_variable(self) -> None:
        """Set the variable from which the project takes its URL, before it is imported."""
        if self.url_variable:
            url = self.steering.scratch.render_as_string(hide_password=False)
            os.environ[self.url_variable] = url

    def run(self, words: Sequence[str], move: Callable[[Config], None]) -> None:
        """Let a command run env.py; if it fails for want of a URL, again with ``sqlalchemy.url``.

        What a project says when it has no URL is its own affair, so whatever goes wrong before a
        connection was asked for counts; if the URL does not help, the first error is the one.
        """
        self.set_variable()
        self.steering.asked = False
        try:
            move(self.configuration(*words))
        except (Exception, SystemExit) as error:
            if self.steering.asked or self.url_in_configuration:
                raise
            first = error
        else:
            return
        self.url_in_configuration = True
        try:
            move(self.configuration(*words))
        except (Exception, SystemExit):
            if self.steering.asked:
                raise
            self.url_in_configuration = False
        else:
            return
        raise first

    def look(self) -> list[MigrationContext]:
        """Run env.py without a migration; neither it nor this imports the revisions."""
        seen: list[MigrationContext] = []

        def note(_: Any, context: MigrationContext) -> list[Any]:  # noqa: ANN401
            seen.append(context)
            return []

        def move(configuration: Config) -> None:
            script = ScriptDirectory.from_config(configuration)
            with EnvironmentContext(configuration, script, fn=note, dont_mutate=True):
                script.run_env()

        self.run(["check"], move)
        if not seen:
            raise RefusedError("env.py never calls context.run_migrations()")
        return seen

    def upgrade(self, to: str) -> None:
        """Upgrade the scratch database."""
        self.run(["upgrade", to], lambda configuration: command.upgrade(configuration, to))

    def downgrade(self, to: str) -> None:
        """Downgrade the scratch database."""
        self.run(["downgrade", to], lambda configuration: command.downgrade(configuration, to))

    def observe(self, to: str, move: Callable[[str], None]) -> dict[str, Any]:
        """Tell every statement of an upgrade or a downgrade, also if it fails in the end."""
        failure = None
        with self.watch.watching() as statements:
            try:
                move(to)
            except (Exception, SystemExit) as error:  # noqa: BLE001
                failure = _failure(error)
        return {"statements": statements, "failure": failure}

    def observe_upgrade(self, to: str) -> dict[str, Any]:
        """Upgrade the scratch database under observation."""
        return self.observe(to, self.upgrade)

    def observe_downgrade(self, to: str) -> dict[str, Any]:
        """Downgrade the scratch database under observation."""
        return self.observe(to, self.downgrade)

    def stamp(self, to: str) -> None:
        """Note that the scratch database stands at a revision."""
        self.run(["stamp", to], lambda configuration: command.stamp(configuration, to))

    def history(self) -> dict[str, Any]:
        """Read the revisions, which imports them and perhaps the application."""
        self.set_variable()
        script = ScriptDirectory.from_config(self.configuration("history"))
        revisions = [_revision(script, revision) for revision in script.walk_revisions()]
        return {
            "heads": script.get_heads(),
            "bases": script.get_bases(),
            "locations": [str(path) for path in script._version_locations],  # noqa: SLF001
            "revisions": revisions[::-1],
        }

    def metadata(self) -> dict[str, Any]:
        """Tell what env.py gives autogenerate."""
        contexts = self.look()
        metadatas = _metadatas(contexts)
        options = contexts[0].opts
        hiding = ("include_object", "include_name", "process_revision_directives")
        return {
            "metadatas": len(metadatas),
            "tables": [
                {**self.definitions.of(table), "metadata": position}
                for position, metadata in enumerate(metadatas)
                for table in metadata.tables.values()
            ],
            "schemas": sorted({name for each in metadatas for name in _schemas(each)}),
            "version_table": contexts[0].version_table,
            "version_table_schema": contexts[0].version_table_schema,
            "include_schemas": bool(options.get("include_schemas")),
            "filters": [name for name in hiding if options.get(name)],
        }

    def create_all(self) -> None:
        """Create schemas and tables as the models say, with the driver that env.py uses."""
        metadatas = _metadatas(self.look())

        def create(connection: sa.Connection) -> None:
            for metadata in metadatas:
                for name in sorted(_schemas(metadata)):
                    connection.execute(sa.schema.CreateSchema(name, if_not_exists=True))
                metadata.create_all(connection)

        async def create_asynchronously(url: sa.URL) -> None:
            # Only here: it needs greenlet, which a synchronous project does without.
            from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

            engine = create_async_engine(url, poolclass=sa.NullPool, connect_args=behaviour)
            async with engine.begin() as connection:
                await connection.run_sync(create)

        # With the driver and the search path of the project, which has perhaps no other driver.
        dialect, behaviour = self.steering.dialect, self.steering.behaviour
        if dialect is None:
            raise RefusedError("env.py opens no connection through SQLAlchemy")
        url = self.steering.scratch.set(drivername=f"postgresql+{dialect.driver}")
        if dialect.is_async:
            asyncio.run(create_asynchronously(url))
        else:
            engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=behaviour)
            with engine.begin() as connection:
                create(connection)


def _configures_alembic(pyproject: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return "alembic" in tomllib.loads(pyproject.read_text("utf-8")).get("tool", {})
    return False


def _metadatas(contexts: Sequence[MigrationContext]) -> list[sa.MetaData]:
    """Collect what env.py calls ``target_metadata``: one, several, or one for each connection."""
    found: list[sa.MetaData] = []
    for context in contexts:
        given = context.opts.get("target_metadata")
        for metadata in given if isinstance(given, (list, tuple)) else [given]:
            if metadata is not None and metadata not in found:
                found.append(metadata)
    if not found:
        raise RefusedError("env.py gives no target_metadata")
    return found


def _schemas(metadata: sa.MetaData) -> Iterator[str]:
    """Yield the schemas in which `metadata` has tables, types and sequences."""
    for table in metadata.tables.values():
        owners = [table, *(getattr(column.type, "item_type", column.type) for column in table.c)]
        owners += [column.default for column in table.c if isinstance(column.default, sa.Sequence)]
        yield from (name for owner in owners if (name := getattr(owner, "schema", None)))


def _revision(script: ScriptDirectory, revision: Script) -> dict[str, Any]:
    return {
        "revision": revision.revision,
        "down_revisions": _words(revision.down_revision),
        # A migration may depend on a branch by its label.
        "dependencies": [
            found.revision
            for name in _words(revision.dependencies)
            for found in script.get_revisions(name)
        ],
        "branch_labels": sorted(revision.branch_labels),
        "path": revision.path,
        "doc": revision.doc,
        "has_downgrade": callable(getattr(revision.module, "downgrade", None)),
    }


def _words(value: Any) -> list[str]:  # noqa: ANN401
    return [value] if isinstance(value, str) else list(value or ())


def _failure(error: BaseException) -> dict[str, Any]:
    """Tell of an error what a person needs: which revision, and the database's own words."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    scopes = [frame.f_globals for frame in frames]
    revision = next((scope for scope in scopes if {"revision", "down_revision"} <= set(scope)), {})
    cause = getattr(error, "orig", None) or error
    plain = isinstance(cause, (RefusedError, CommandError))
    return {
        "type": "" if plain else type(cause).__name__,
        "message": (str(cause).strip().splitlines() or ["it does not say why"])[0],
        "revision": revision.get("revision"),
        "path": revision.get("__file__"),
        "in_env": any(frame.f_code.co_filename.endswith("env.py") for frame in frames),
        "details": "".join(traceback.format_exception(error)),
    }


def answer(worker: Worker, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a request asks; whatever the foreign code raises is an answer, too."""
    asked = request["do"]
    worker.steering.scratch = sa.make_url(request["scratch"])
    try:
        if asked in MOVES:
            value = getattr(worker, asked)(request["to"])
        else:
            assert asked in ("history", "metadata", "create_all")  # noqa: S101
            value = getattr(worker, asked)()
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return {"error": _failure(error)}
    finally:
        worker.steering.let_go()
    return {"value": value}


@functools.cache
def _parser() -> ArgumentParser:
    """Return the parser of Alembic's command line, which takes as long to make as a migration."""
    return CommandLine().parser


def main() -> None:
    """Serve until stdin ends.

    The foreign code keeps neither end of the conversation: what it prints goes to stderr, and what
    it reads is empty.
    """
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    first = json.loads(requests.readline())
    worker = Worker(
        ini=Path(first["ini"]),
        section=first["section"],
        url_variable=first["url_variable"],
        arguments=first["arguments"],
        steering=Steering(sa.make_url(first["scratch"])),
        definitions=Definitions(),
        watch=Watch(),
    )
    worker.steering.install()
    worker.definitions.install()
    loading.install()
    # As `python -m alembic` would; last, so that what is installed is found first.
    sys.path.append(str(Path.cwd()))
    for line in requests:
        print(json.dumps(answer(worker, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
