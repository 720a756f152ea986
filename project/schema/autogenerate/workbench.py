"""Two databases side by side: what the migrations make, and what the models make."""

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import sqlalchemy as sa

from project.schema import scratch
from project.schema.autogenerate.change import Path
from project.schema.catalog import read
from project.schema.catalog.dependencies import (
    Dependencies,
    dependencies,
    sequences,
    statements,
)
from project.schema.checking.drift import version_table
from project.schema.checking.hidden import without_hidden
from project.schema.configuration import Ignore, Project, UsageError
from project.schema.connections import Connection, connected
from project.schema.equivalence import without_equivalents
from project.schema.facts import MetadataFacts, Refused
from project.schema.pair import Pair
from project.schema.progress import Progress, silent
from project.schema.snapshot import PARTS, Difference, Key, Snapshot, differences
from project.schema.source import Source, SourceError

#: What is said of an env.py that has several databases compared.
SEVERAL = (
    "env.py compares several databases in one command, and a revision is written for one: call"
    " autogenerate.install() where it goes through one of them only, as chosen by -x."
)


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
        listed = _not_ignored(listed, self.ignore)
        kept, _ = without_hidden(listed, self.declared, self.facts, self.copy)
        return kept

    def sequences(self) -> "dict[Key, Path]":
        """Tell which sequence belongs to which column of the copy."""
        return dict(sequences(self.trying))


def _not_ignored(listed: Collection[Difference], ignore: Collection[Ignore]) -> list[Difference]:
    """Leave out what is ignored, with the parts of a table that is ignored as a whole."""
    ignored = {d for d in listed if any(fnmatchcase(str(d.key), rule.pattern) for rule in ignore)}
    whole = {d.key.name for d in ignored if d.key.kind == "table" and d.attribute is None}
    return [
        d
        for d in listed
        if d not in ignored and not (d.key.kind in PARTS and d.key.name[:2] in whole)
    ]


def _refuse(refused: Iterable[Refused], ignore: Collection[Ignore]) -> None:
    """Refuse to work with models that PostgreSQL does not take: what it refuses would be dropped.

    Raises:
        SourceError: it refuses one, and nobody has said that this is meant.

    """
    for each in refused:
        if not any(fnmatchcase(str(each.key), rule.pattern) for rule in ignore):
            raise SourceError(str(each))


@contextmanager
def opened(project: Project, url: str | None, progress: Progress = silent) -> Iterator[Workbench]:
    """Make both databases, and a copy of the first.

    Args:
        project: Whose models and migrations.
        url: The scratch server; None for an embedded one.
        progress: Told how many of the migrations are done.

    Raises:
        SourceError: the project cannot be imported, or one of its migrations fails.
        ScratchError: the server gives no scratch databases.

    """
    with ExitStack() as stack:
        # Before anything else: a process can be copied as long as it has opened nothing.
        source, declared = (stack.enter_context(project.open(copy=True)) for _ in range(2))
        server = stack.enter_context(scratch.server(url))
        history, models = (stack.enter_context(scratch.database(server)) for _ in range(2))
        source.use(history)
        declared.use(models)
        facts, refused = Pair(project, server, history, models, source, declared).make(progress)
        if facts.comparisons > 1:
            raise UsageError(SEVERAL)
        _refuse(refused, project.ignore)
        leave_out = version_table(facts)

        def another() -> sa.URL:
            # Not cloned: by the time that one is needed, env.py is connected to the first.
            made = stack.enter_context(scratch.database(server))
            project.begin(made)
            source.upgrade(made, "heads")
            return made

        expected = stack.enter_context(connected(models))
        with ThreadPoolExecutor(1) as aside:
            reading = aside.submit(Side.of, expected, leave_out)
            copy = stack.enter_context(scratch.database(server, template=str(history.database)))
            trying = stack.enter_context(connected(copy))
            before = Side.of(trying, leave_out)
            after = reading.result()
        yield Workbench(
            history,
            copy,
            source,
            declared,
            facts,
            trying,
            expected,
            before,
            after,
            project.ignore,
            leave_out,
            another,
        )
