"""Where a walk through a history goes on: a scratch database, one revision further or back."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

from project.schema import rows, scratch
from project.schema.catalog import Reader
from project.schema.configuration import Project
from project.schema.connections import Connection, connected
from project.schema.rows import Contents
from project.schema.snapshot import Snapshot
from project.schema.source import Revision, Source, SourceError

#: Who grants nothing has no grants to lose; to read those of everything takes its time.
GRANTING = re.compile(r"\b(?:grant|revoke|owner\s+to|reassign\s+owned)\b", re.IGNORECASE)


@dataclass
class Walk:
    """Where a walk goes on: a scratch database with rows, and the one it can begin anew from.

    The other one only ever goes up and holds no rows. It follows when it is needed: a revision that
    cannot be undone costs one upgrade more and a copy, and those after it are proved all the same.
    """

    project: Project
    server: sa.URL
    untouched: sa.URL
    source: Source
    leave_out: list[tuple[str, str]]
    seed: int
    rows_per_table: int
    privileges: bool  # whether grants are looked at
    stage: ExitStack  # closes the database with rows
    database: sa.URL = field(init=False)
    connection: Connection = field(init=False)
    reader: Reader = field(init=False)
    reached: int = 0  # how many revisions the untouched one has
    begun: int = 0  # how often it was begun
    refusals: list[SourceError] = field(default_factory=list)  # of steps
    last: Snapshot | None = None  # the catalog as last read
    held: Contents = field(default_factory=dict)  # the rows as last read
    holds: bool = False  # whether they are still what was read

    def begin_after(self, number: int) -> bool:
        """Begin anew, without rows, after so many revisions.

        Returns:
            Whether they went up one by one. Those that do not may go up together: a type that one
            creates and another creates again is forgiven within one command of Alembic.

        Raises:
            SourceError: they do not go up together, either.

        """
        one_by_one = True
        try:
            for revision in self.source.revisions[self.reached : number]:
                self.source.upgrade(self.untouched, revision.revision)
                self.reached += 1
        except SourceError:
            one_by_one = False
            scratch.empty(self.server, self.untouched)
            self.project.begin(self.untouched)
            for head in _heads(self.source.revisions[:number]):
                self.source.upgrade(self.untouched, head)
            self.reached = number
        self.stage.close()
        copy = scratch.database(self.server, template=str(self.untouched.database))
        self.database = self.stage.enter_context(copy)
        self.connection = self.stage.enter_context(connected(self.database))
        reading = self.stage.enter_context(connected(self.database))
        self.reader = Reader(reading, self.leave_out, privileges=self.privileges)
        self.last, self.held, self.holds = None, {}, False
        self.begun += 1
        return one_by_one

    def upgrade(self, revision: Revision) -> None:
        """Upgrade by a revision."""
        self._step(self.source.step_up, revision)

    def downgrade(self, revision: Revision) -> None:
        """Take back a revision, the last one that was upgraded to."""
        self._step(self.source.step_down, revision)

    def _step(self, take: Callable[[sa.URL, str], None], revision: Revision) -> None:
        self.last, self.holds = None, False
        try:
            take(self.database, revision.revision)
        except SourceError as error:
            self.refusals.append(error)
            raise

    def downgrade_to_base(self) -> None:
        """Take back everything, as one command."""
        self.source.downgrade(self.database, "base")
        self.last = None

    def catalog(self) -> Snapshot:
        """Read the catalog, unless nothing but rows has changed since it was last read."""
        if self.last is None:
            self.last = self.reader.read()
        return self.last

    def rows(self) -> Contents:
        """Read the rows of all tables; nothing, where rows are not to be proved."""
        if not self.rows_per_table:
            return {}
        if not self.holds:
            self.held = rows.read(self.connection, self.leave_out, self.held)
            self.holds = True
        return self.held

    def fill(self, held: Contents | None = None) -> Mapping[tuple[str, str], str]:
        """Fill the tables, and return those that no row could be made for.

        Args:
            held: Their rows, if they have just been read.

        """
        if not self.rows_per_table:
            return {}
        filling = rows.fill(
            self.connection,
            seed=self.seed,
            rows=self.rows_per_table,
            leave_out=self.leave_out,
            values=self.project.values,
            counts=None if held is None else {name: len(t.rows) for name, t in held.items()},
        )
        self.holds = self.holds and not filling.inserted
        return filling.refused

    def clear(self) -> None:
        """Take all rows out of the tables."""
        rows.clear(self.connection, self.leave_out)
        self.holds = False

    def without_nan(self) -> None:
        """Write 0 where a number is NaN."""
        rows.without_nan(self.connection)
        self.holds = False


@contextmanager
def opened(
    project: Project,
    server: sa.URL,
    seed: int,
    rows_per_table: int,
    leave_out: list[tuple[str, str]] | None = None,
) -> Iterator[Walk]:
    """Open what a walk needs; it is not begun yet.

    Args:
        project: Whose history.
        server: Where the scratch databases are made.
        seed: Of the generated rows.
        rows_per_table: How many rows each table holds at least.
        leave_out: Alembic's own table, if it is known already.

    """
    with (
        scratch.database(server) as untouched,
        project.open(untouched) as source,
        ExitStack() as stage,
    ):
        project.begin(untouched)
        leave_out = leave_out or [source.version_table()]  # env.py may have no models
        privileges = any(map(_grants, source.revisions))
        yield Walk(
            project,
            server,
            untouched,
            source,
            leave_out,
            seed,
            rows_per_table,
            privileges,
            stage,
        )


def _grants(revision: Revision) -> bool:
    return GRANTING.search(revision.path.read_text(errors="replace")) is not None


def _heads(revisions: Collection[Revision]) -> list[str]:
    """Return those on which none of the others builds."""
    beneath = {name for r in revisions for name in (*r.down_revisions, *r.dependencies)}
    return [r.revision for r in revisions if r.revision not in beneath]
