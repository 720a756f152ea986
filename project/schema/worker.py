"""A process that works for a foreign Alembic project: runs its env.py, on a scratch database only.

``source`` is the other side: it starts this process, sends one JSON request a line to stdin and
reads one JSON answer a line. The interpreter may be the foreign project's own, so this imports
SQLAlchemy and Alembic, and what lies beside it.
"""

import atexit
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from project.schema import candidate, creating, graph, loading, moving
from project.schema.conversation import Conversation
from project.schema.definitions import Definitions, imported
from project.schema.environment import Environment, one_after_the_other
from project.schema.filters import Filters
from project.schema.sending import Release
from project.schema.steering import RefusedError, Steering
from project.schema.stepping import Steps
from project.schema.watching import Watch

Answer = TypeVar("Answer")


@dataclass
class Worker:
    """The foreign project, and what the requests ask of it."""

    environment: Environment
    definitions: Definitions
    conversation: Conversation
    steps: Steps
    watch: Watch
    release: Release
    moved: tuple[Path, Path] | None = None  # from where the project is installed to where it is
    metadatas: list[sa.MetaData] | None = None  # as the models were when they were first imported

    @property
    def steering(self) -> Steering:
        """Where its connections lead."""
        return self.environment.steering

    def upgrade(self, to: str) -> None:
        """Upgrade the scratch database, as ``command.upgrade`` does, and tell how far it is."""

        def move(configuration: Config) -> None:
            script = ScriptDirectory.from_config(configuration)

            def steps(heads: Any, _: MigrationContext) -> Iterator[Any]:  # noqa: ANN401
                found: list[Any] = script._upgrade_revs(to, heads)  # noqa: SLF001
                for number, step in enumerate(found):
                    progress = number, len(found), step.revision.revision
                    self.conversation.tell(progress=progress)
                    yield step

            with EnvironmentContext(
                configuration, script, fn=steps, destination_rev=to
            ) as environment:
                one_after_the_other(environment)
                script.run_env()

        self.environment.run(["upgrade", to], move)

    def downgrade(self, to: str) -> None:
        """Downgrade the scratch database."""
        self.environment.run(
            ["downgrade", to], lambda configuration: command.downgrade(configuration, to)
        )

    def step(self, to: str, command: str) -> None:
        """Take the scratch database one revision up or down, and on as the requests say."""
        self.environment.run([command, to], self.steps.run)

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

    def observe_candidate(self, path: str) -> dict[str, Any]:
        """Run the upgrade of a migration that is not in the history yet, under observation."""
        return self.observe(path, lambda file: self.candidate(file, "upgrade"))

    def stamp(self, to: str) -> None:
        """Note that the scratch database stands at a revision."""
        self.environment.run(["stamp", to], lambda configuration: command.stamp(configuration, to))

    def candidate(self, path: str, function: Literal["upgrade", "downgrade"]) -> None:
        """Run a migration that is not in the history yet."""
        if self.steering.dialect is None:
            self.environment.look()  # which tells the driver
        candidate.run(Path(path), function, self.steering)

    def models(self) -> tuple[list[MigrationContext], list[sa.MetaData]]:
        """Run env.py, and return what it gives autogenerate.

        Some env.py import no models, and Alembic sees those that the revisions import.
        """
        contexts = self.environment.look()
        metadatas = _metadatas(contexts)
        if not any(metadata.tables for metadata in metadatas):
            graph.history(self.environment.script())
        return contexts, metadatas

    def metadata(self) -> dict[str, Any]:
        """Tell what env.py gives autogenerate."""
        contexts, metadatas = self.models()
        options = contexts[0].opts
        hiding = ("include_object", "include_name")
        return {
            "metadatas": len(metadatas),
            "tables": [
                {**self.definitions.of(table), "metadata": position}
                for position, metadata in enumerate(metadatas)
                for table in metadata.tables.values()
            ],
            "schemas": sorted({name for each in metadatas for name in creating.schemas(each)}),
            "version_table": contexts[0].version_table,
            "version_table_schema": contexts[0].version_table_schema,
            "include_schemas": bool(options.get("include_schemas")),
            "filters": [name for name in hiding if options.get(name)],
            "comparisons": len(contexts),
            "imported": imported(),
        }

    def version_table(self) -> tuple[str | None, str]:
        """Tell schema and name of Alembic's own table."""
        context = self.environment.look()[0]
        return context.version_table_schema, context.version_table

    def create_all(self) -> list[dict[str, Any]]:
        """Create schemas and tables as the models say; return the indexes that were refused."""
        _, metadatas = self.models()
        try:
            self._on_scratch(lambda connection: creating.create(metadatas, connection))
        except sa.exc.DBAPIError as error:
            try:
                return self._on_scratch(
                    lambda connection: creating.create_without_refused(metadatas, connection)
                )
            except sa.exc.DBAPIError:
                raise error from None
        return []

    def hidden(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[bool]:
        """Tell which objects env.py hides from Alembic; see :class:`Filters`."""
        contexts, metadatas = self.models()

        def ask(connection: "sa.engine.Connection") -> list[bool]:
            filters = Filters(contexts[0].opts, metadatas, connection)
            return [filters.hide(kind, names) for kind, names in asked]

        return self._on_scratch(ask)

    def imported(self) -> list[sa.MetaData]:
        """Return the models as they were when they were first asked for."""
        if self.metadatas is None:
            _, self.metadatas = self.models()
            if self.moved:
                moving.check(*self.moved)
        return self.metadatas

    def send(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Send what the models send, or the same once more on another database."""
        metadatas = self.imported()
        wanted = wish["tables"] and {(schema, name) for schema, name in wish["tables"]}

        def send(connection: "sa.engine.Connection") -> dict[str, Any]:
            default = connection.dialect.default_schema_name
            if not wish["again"]:
                self.release.make(connection, metadatas, wanted)
            return {
                "tables": [
                    (t.schema or default, t.name) for m in metadatas for t in m.sorted_tables
                ],
                "sent": self.release.send(connection, wish["role"]),
            }

        return candidate.connected(self.steering, send, transaction=False)

    def _on_scratch(self, work: "Callable[[sa.engine.Connection], Answer]") -> "Answer":
        return candidate.connected(self.steering, work)


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


def _failure(error: BaseException) -> dict[str, Any]:
    """Tell of an error what a person needs: which revision, and the database's own words."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    scopes = [frame.f_globals for frame in frames]
    revision = next((scope for scope in scopes if {"revision", "down_revision"} <= set(scope)), {})
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    lost = getattr(error, "connection_invalidated", False)
    plain = isinstance(cause, (RefusedError, CommandError))
    return {
        "type": "" if plain else type(cause).__name__,
        "message": (str(cause).strip().splitlines() or ["it does not say why"])[0],
        # A connection that was lost is an error of the client's, which has no state.
        "state": state or ("08006" if lost else None),
        "revision": revision.get("revision"),
        "path": revision.get("__file__"),
        "in_env": any(frame.f_code.co_filename.endswith("env.py") for frame in frames),
        "details": "".join(traceback.format_exception(error)),
    }


def answer(worker: Worker, request: Mapping[str, Any], conversation: Conversation) -> None:
    """Do what a request asks; whatever the foreign code raises is an answer, too."""
    worker.steering.scratch = sa.engine.make_url(request["scratch"])
    said: dict[str, Any]
    try:
        worker.environment.get_ready()
        said = {"value": value_of(worker, request)}
    except (Exception, SystemExit) as error:  # noqa: BLE001
        said = {"error": _failure(error)}
    finally:
        worker.steering.let_go()
    # Steps may have read on: what is open then is the last step taken, or not begun yet.
    if "error" in said or any(conversation.open is done for done in (request, worker.steps.taken)):
        conversation.answer(**said)


def value_of(worker: Worker, request: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return what a request asks for."""
    match request["do"]:
        case "step up":
            return worker.step(request["to"], "upgrade")
        case "step down":
            return worker.step(request["to"], "downgrade")
        case "candidate upgrade":
            return worker.candidate(request["to"], "upgrade")
        case "candidate downgrade":
            return worker.candidate(request["to"], "downgrade")
        case "history":
            return graph.history(worker.environment.script())
        case "select":
            return graph.select(worker.environment.script(), request["to"])
        case (
            "upgrade"
            | "downgrade"
            | "stamp"
            | "hidden"
            | "send"
            | "observe_upgrade"
            | "observe_downgrade"
            | "observe_candidate"
        ) as verb:
            return getattr(worker, verb)(request["to"])
        case "models":
            worker.imported()
            return None
        case "metadata" | "create_all" | "version_table" as verb:
            return getattr(worker, verb)()
    raise AssertionError(request["do"])


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
    line = requests.readline()
    if not line:
        return  # what it was to work on could not be made
    first = json.loads(line)
    conversation = Conversation(requests, answers)
    definitions = Definitions()
    worker = Worker(
        environment=Environment(
            ini=Path(first["ini"]),
            section=first["section"],
            url_variable=first["url_variable"],
            arguments=first["arguments"],
            prepare=first["prepare"],
            steering=Steering(sa.engine.make_url(first["scratch"])),
        ),
        definitions=definitions,
        conversation=conversation,
        steps=Steps(conversation),
        watch=Watch(),
        release=Release(definitions),
    )
    worker.steering.install()
    worker.definitions.install()
    loading.install()
    # As `python -m alembic` would; last, so that what is installed is found first.
    sys.path.append(str(Path.cwd()))
    if first["moved"]:
        old, new = map(Path, first["moved"])
        worker.moved = old, new
        moving.move(old, new)
    while (request := conversation.request()) is not None:
        answer(worker, request, conversation)
    # Whoever registered something gets its turn. To take a thousand models to pieces, object by
    # object, would take longer than it took to import them.
    atexit._run_exitfuncs()  # noqa: SLF001 - it has no public name
    os._exit(0)


if __name__ == "__main__":
    main()
