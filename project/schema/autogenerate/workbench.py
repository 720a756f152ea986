"""Two databases side by side: what the migrations make, and what the models make."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import sqlalchemy as sa

from project.schema import extensions, scratch
from project.schema.autogenerate.change import Path
from project.schema.catalog import read
from project.schema.catalog.dependencies import (
    Dependencies,
    dependencies,
    sequences,
    statements,
)
from project.schema.configuration import Ignore, Project
from project.schema.drift import Connection, connected, version_table
from project.schema.equivalence import without_equivalents
from project.schema.facts import MetadataFacts
from project.schema.hidden import without_hidden
from project.schema.snapshot import Difference, Key, Snapshot, differences
from project.schema.source import Source


@dataclass(frozen=True)
class Side:
    """A database as it is to be: its catalog, what is built on what, and how functions are made."""

    catalog: Snapshot
    built: Dependencies
    statements: "dict[Key, str]"

    @classmethod
    def of(cls, connection: Connection, leave_out: Collection[Path]) -> "Side":
        """Read a side."""
        return cls(
            read(connection, leave_out),  # type: ignore[arg-type]
            dependencies(connection),
            dict(statements(connection)),
        )


@dataclass(frozen=True)
class Workbench:
    """What a migration is planned and proved with.

    Attributes:
        history: A database that the migrations made; env.py is led there.
        copy: Another one like it, to try things on.
        before: What the migrations make.
        after: What the models make.
        another: Makes one more copy, at the cost of all migrations.

    """

    history: sa.URL
    copy: sa.URL
    source: Source  # of the migrations
    declared: Source  # of the models, in a process that imports no migrations
    facts: MetadataFacts
    trying: Connection  # to the copy
    models: Connection  # to a database that the models made
    before: Side
    after: Side
    ignore: tuple[Ignore, ...]
    leave_out: Collection[Path]
    another: Callable[[], sa.URL]

    @contextmanager
    def renewed(self) -> Iterator["Workbench"]:
        """Go on with a copy as it was, where a trial changed it and there was no way back."""
        copy = self.another()
        with connected(copy) as trying:
            yield replace(self, copy=copy, trying=trying)

    def catalog(self) -> Snapshot:
        """Read the copy's catalog."""
        return read(self.trying, self.leave_out)  # type: ignore[arg-type]

    def to_models(self, found: Snapshot) -> list[Difference]:
        """Tell how a catalog differs from what the models make.

        What is ignored does not count, nor what env.py hides from Alembic.
        """
        expected = self.after.catalog
        differing = differences(expected, found)
        listed = without_equivalents(differing, expected, found, self.models)
        listed = [d for d in listed if not any(_matches(d, rule) for rule in self.ignore)]
        kept, _ = without_hidden(listed, self.declared, self.facts, self.copy)
        return kept

    def sequences(self) -> "dict[Key, Path]":
        """Tell which sequence belongs to which column of the copy."""
        return dict(sequences(self.trying))


def _matches(difference: Difference, rule: Ignore) -> bool:
    return fnmatchcase(str(difference.key), rule.pattern)


@contextmanager
def opened(project: Project, url: str | None) -> Iterator[Workbench]:
    """Make both databases, and a copy of the first.

    Args:
        project: Whose models and migrations.
        url: The scratch server; None for an embedded one.

    Raises:
        SourceError: the project cannot be imported, or one of its migrations fails.
        ScratchError: the server gives no scratch databases.

    """
    with ExitStack() as stack:
        server = stack.enter_context(scratch.server(url))
        history = stack.enter_context(scratch.database(server))
        models = stack.enter_context(scratch.database(server))
        # Both processes import while the other one works.
        source = stack.enter_context(project.open(history))
        declared = stack.enter_context(project.open(models))
        with ThreadPoolExecutor(1) as beside:
            importing = beside.submit(declared.metadata)
            project.begin(history)
            source.upgrade(history, "heads")
            leave_out = version_table(facts := importing.result())

        def another() -> sa.URL:
            # Not cloned: by the time that one is needed, env.py is connected to the first.
            made = stack.enter_context(scratch.database(server))
            project.begin(made)
            source.upgrade(made, "heads")
            return made

        copy = stack.enter_context(scratch.database(server, template=str(history.database)))
        expected = stack.enter_context(connected(models))
        trying = stack.enter_context(connected(copy))
        extensions.install(expected, trying)
        declared.create_all(models)
        yield Workbench(
            history,
            copy,
            source,
            declared,
            facts,
            trying,
            expected,
            Side.of(trying, leave_out),
            Side.of(expected, leave_out),
            project.ignore,
            leave_out,
            another,
        )
