"""Two databases side by side: one that the migrations make, and one that the models make."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa

from project.schema import extensions, functions, scratch
from project.schema.configuration import Project
from project.schema.connections import Connection, connected
from project.schema.facts import MetadataFacts, Refused
from project.schema.progress import Progress, silent
from project.schema.source import Source, SourceError

#: What a migration is told that wants a role which the models are making at this moment: it is
#: there already, twice, or somebody else has changed it. Roles belong to all databases of a server.
DISTURBED = {"42710", "23505", "XX000", "40P01"}


@dataclass(frozen=True)
class Pair:
    """The databases, and the processes that make them.

    Two processes, for a migration that imports the application may change its metadata.
    """

    project: Project
    server: sa.URL
    history: sa.URL  # made by the migrations
    models: sa.URL
    migrations: Source
    declared: Source

    def make(self, progress: Progress = silent) -> tuple[MetadataFacts, tuple[Refused, ...]]:
        """Make both, at the same time if they bear it.

        What models need and cannot say is there only when the migrations have made it: extensions,
        roles, and functions. Then the models' database is made once more, after the other one.

        Returns:
            What env.py says of the models, and the indexes of theirs that PostgreSQL refuses.

        Raises:
            SourceError: the project cannot be imported, or a migration fails, or a table.
            ScratchError: the server lacks an extension, or gives no database.

        """
        with extensions.explained():
            with ThreadPoolExecutor(1) as aside:
                making = aside.submit(self._make_models)
                self._migrate(progress)
                with suppress(SourceError):
                    facts, refused = making.result()
                    with connected(self.models) as expected, connected(self.history) as found:
                        if not (extensions.lacking(expected, found) or _calls(refused)):
                            return facts, refused
            with connected(self.history) as found:
                try:
                    self._begin_models(found)
                    facts, refused = self._make_models()
                    if not _calls(refused):
                        return facts, refused
                except SourceError as error:
                    if error.sqlstate != functions.NOT_THERE:
                        raise
                self._begin_models(found)
                with connected(self.models) as expected, functions.lent(expected, found):
                    return self._make_models()

    def _begin_models(self, found: Connection) -> None:
        scratch.empty(self.server, self.models)
        with connected(self.models) as expected:
            extensions.install(expected, found)

    def _migrate(self, progress: Progress) -> None:
        self.project.begin(self.history)
        try:
            self.migrations.upgrade(self.history, "heads", progress)
        except SourceError as error:
            if advice := self.project.beginning(error):
                said = f"{str(error).rstrip('.')}; {advice}."
                raise SourceError(said, error.details, error.sqlstate, error.kind) from error
            if error.sqlstate not in DISTURBED:
                raise
            scratch.empty(self.server, self.history)
            self.project.begin(self.history)
            self.migrations.upgrade(self.history, "heads", progress)

    def _make_models(self) -> tuple[MetadataFacts, tuple[Refused, ...]]:
        facts = self.declared.metadata()
        return facts, self.declared.create_all(self.models)


def _calls(refused: Iterable[Refused]) -> bool:
    """Tell whether an index was refused for want of a function."""
    return any(index.state == functions.NOT_THERE for index in refused)
