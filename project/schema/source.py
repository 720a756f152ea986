"""A foreign Alembic project, seen from outside: its migrations and models, run in another process.

Nothing of the project is imported here. Its env.py runs unmodified in a process of its own
(``worker``), in which every connection leads to a scratch database. Each request is answered by one
line, ``value`` or ``error``, before which there may be lines that tell of its ``progress``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from project.schema import facts
from project.schema.exchange import SourceError
from project.schema.facts import History, MetadataFacts, Refused, Revision
from project.schema.progress import Progress, silent
from project.schema.session import Session
from project.schema.snapshot import Key

__all__ = ["History", "MetadataFacts", "Revision", "Source", "SourceError", "Watched"]


@dataclass(frozen=True)
class Watched:
    """An upgrade or downgrade under observation, as the worker tells it."""

    statements: tuple[Mapping[str, Any], ...]
    failure: SourceError | None


class Source(Session):
    """What a foreign project can be asked, and told to do.

    Open models and migrations as two sources: a migration that imports the application may change
    its metadata (the same constraint attached twice, a table too many), after which neither
    :meth:`metadata` nor :meth:`create_all` tells what the models say. Those two import no revision,
    unless env.py imports no models and leaves that to the revisions.
    """

    @cached_property
    def history(self) -> History:
        """Read the migrations, which imports them.

        Raises:
            SourceError: one of them cannot be imported, or they do not fit together.

        """
        return facts.history(self._exchange.ask("history", self._scratch))

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """Return the migrations, each after those that it builds on."""
        return self.history.revisions

    @property
    def heads(self) -> tuple[str, ...]:
        """Return the revisions on which no other builds."""
        return self.history.heads

    def select(self, name: str) -> tuple[str, ...]:
        """Return the revisions of a name as Alembic takes it, or of a range: ``base..head``.

        A range is what an upgrade from ``base``, which is not in it, to ``head`` would run; without
        one of them it begins with the first revision or ends with the last ones.

        Raises:
            SourceError: there is no such revision, or several begin like that.

        """
        return tuple(self._exchange.ask("select", self._scratch, name))

    def upgrade(self, url: sa.URL, to: str, progress: Progress = silent) -> None:
        """Upgrade a database: to a revision, ``heads``, ``+1``.

        Raises:
            SourceError: a migration or env.py failed.

        """
        self._exchange.ask("upgrade", url, to, progress)

    def downgrade(self, url: sa.URL, to: str) -> None:
        """Downgrade a database: to a revision, ``base``, ``-1``.

        Raises:
            SourceError: a migration or env.py failed.

        """
        self._exchange.ask("downgrade", url, to)

    def step_up(self, url: sa.URL, revision: str) -> None:
        """Upgrade a database by one revision, all of whose parents it has.

        Several steps in a row share a run of env.py where that makes no difference to them, and so
        a connection: before anything else is asked for, the database may be in use.

        Raises:
            SourceError: the migration or env.py failed; the database is where it was.

        """
        self._exchange.ask("step up", url, revision)

    def step_down(self, url: sa.URL, revision: str) -> None:
        """Take back one revision on which nothing builds in a database.

        Raises:
            SourceError: the migration or env.py failed; the database is where it was.

        """
        self._exchange.ask("step down", url, revision)

    def watch(self, url: sa.URL, to: str, *, down: bool = False) -> Watched:
        """Upgrade or downgrade a database, and tell what was seen after each statement.

        A migration that fails is no error here: its statements up to then are the answer.

        Raises:
            SourceError: the process ended.

        """
        return self._watched("observe_downgrade" if down else "observe_upgrade", url, to)

    def watch_file(self, url: sa.URL, path: Path) -> Watched:
        """Run the upgrade of a migration that is not in the history yet, as :meth:`watch` does.

        Raises:
            SourceError: the process ended.

        """
        return self._watched("observe_candidate", url, str(path))

    def _watched(self, wish: str, url: sa.URL, to: str) -> Watched:
        told = self._exchange.ask(wish, url, to)
        failure = told["failure"]
        error = self._exchange.failed(wish, to, failure) if failure else None
        return Watched(tuple(told["statements"]), error)

    def stamp(self, url: sa.URL, to: str) -> None:
        """Note that a database stands at a revision.

        Raises:
            SourceError: there is no such revision, or env.py failed.

        """
        self._exchange.ask("stamp", url, to)

    def run(self, url: sa.URL, path: Path, function: Literal["upgrade", "downgrade"]) -> None:
        """Run one function of a migration that is not in the history yet, on a database.

        Raises:
            SourceError: it failed; what it had committed stays.

        """
        self._exchange.ask(f"candidate {function}", url, str(path))

    def metadata(self) -> MetadataFacts:
        """Tell what env.py gives autogenerate.

        Raises:
            SourceError: env.py failed, or gives no metadata.

        """
        return facts.metadata(self._exchange.ask("metadata", self._scratch))

    def imports(self) -> None:
        """Have the models imported, which takes its time and need not be waited for elsewhere.

        Raises:
            SourceError: env.py failed, or gives no metadata.

        """
        self._exchange.ask("models", self._scratch)

    def version_table(self) -> tuple[str, str]:
        """Tell schema and name of the table in which Alembic keeps the revision.

        Raises:
            SourceError: env.py failed.

        """
        schema, name = self._exchange.ask("version_table", self._scratch)
        return schema or "public", name

    def create_all(self, url: sa.URL) -> tuple[Refused, ...]:
        """Create the schemas and tables of the models, as their metadata says.

        Returns:
            The indexes that PostgreSQL refuses, and that are not there.

        Raises:
            SourceError: env.py failed, gives no metadata, or PostgreSQL refuses a table.

        """
        return facts.refused(self._exchange.ask("create_all", url))

    def hidden(self, url: sa.URL, keys: Sequence[Key]) -> list[bool]:
        """Tell which objects env.py's filters keep from Alembic.

        Args:
            url: A database that the migrations made.
            keys: The objects.

        Raises:
            SourceError: env.py or its filter failed.

        """
        return list(self._exchange.ask("hidden", url, [(key.kind, key.name) for key in keys]))

    def send(
        self,
        url: sa.URL,
        role: str | None,
        tables: Collection[tuple[str, str]] | None,
        *,
        again: bool,
    ) -> Mapping[str, Any]:
        """Send what the models of the project send to a database, of which nothing remains.

        Args:
            url: A database with rows.
            role: As whom.
            tables: Schema and name of those that matter; None for all.
            again: Send the statements of the last time, with the same values.

        Returns:
            ``tables``, all that the models have, and ``sent``, each statement and how it ended.

        Raises:
            SourceError: env.py failed, or gives no metadata.

        """
        wanted = None if tables is None else sorted(tables)
        told: Mapping[str, Any] = self._exchange.ask(
            "send", url, {"role": role, "tables": wanted, "again": again}
        )
        return told
