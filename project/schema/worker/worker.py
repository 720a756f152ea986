"""The project that is asked about, and what its worker can be asked to do with it."""

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

from project.schema.worker import candidate, creating, graph, moving
from project.schema.worker.conversation import Conversation
from project.schema.worker.definitions import Definitions, imported
from project.schema.worker.environment import NOTHING_RUN, Environment, one_after_the_other
from project.schema.worker.failure import failure_of
from project.schema.worker.filters import Filters
from project.schema.worker.sending import Release
from project.schema.worker.steering import RefusedError, Steering
from project.schema.worker.stepping import Steps
from project.schema.worker.watching import Watch

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
            calls = 0

            def steps(heads: Any, _: MigrationContext) -> Iterator[Any]:  # noqa: ANN401
                nonlocal calls
                calls += 1
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
            if not calls:
                raise RefusedError(NOTHING_RUN)

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
                failure = failure_of(error)
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
        except creating.REFUSALS as error:
            try:
                return self._on_scratch(
                    lambda connection: creating.create_without_refused(metadatas, connection)
                )
            except creating.REFUSALS:
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
