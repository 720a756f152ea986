"""A release at work: the statements that it sends, and how they end on a database.

They are made from the schema, for every table and view, and by the release's own models where
those are known; what the models send is sure, the rest is what anybody could send.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from project.schema.connections import Connection
from project.schema.reviewing import probes, probing
from project.schema.reviewing.probe import Probe, Relation
from project.schema.reviewing.probing import Outcome
from project.schema.source import Source, SourceError

Name = tuple[str, str]


@dataclass
class Running:
    """The release on one database, before a migration and after it."""

    connection: Connection
    database: sa.URL
    role: str | None
    models: Source | None
    wanted: Collection[Name] | None
    asked: list[Probe] = field(default_factory=list)  # those of the models are the last
    tables: frozenset[str] = frozenset()  # all that the models have; empty if they are not known
    refused: str = ""  # why the models cannot be asked

    def begin(self, leave_out: Collection[Name]) -> list[Outcome]:
        """Make the statements, and tell how they end."""
        self.asked = [
            probe
            for probe in probes.probes(self.connection, self.wanted)
            if (probe.relation.schema, probe.relation.name) not in leave_out
        ]
        found = probing.outcomes(self.connection, self.asked, self.role)
        if self.models is None:
            return found
        try:
            told = self.models.send(self.database, self.role, self.wanted, again=False)
        except SourceError as error:
            self.models, self.refused = None, str(error)
            return found
        self.tables = frozenset(_named(*name) for name in told["tables"])
        self.asked += map(_probe, told["sent"])
        return [*found, *map(_outcome, told["sent"])]

    def again(self) -> list[Outcome]:
        """Tell how the same statements end now.

        Raises:
            SourceError: the models' process ended.

        """
        own = [probe for probe in self.asked if not probe.by_models]
        found = probing.outcomes(self.connection, own, self.role)
        if self.models is not None:
            told = self.models.send(self.database, self.role, self.wanted, again=True)
            found += map(_outcome, told["sent"])
        return found

    def as_owner(self, old: Sequence[Outcome], new: Sequence[Outcome]) -> list[Outcome]:
        """Replace refusals of a role that was made for this by what its owner meets, if worse.

        What is new has been granted to nobody; behind that may stand what fails for everybody.
        """
        found = list(new)
        if self.role != probing.made_role(self.connection):
            return found
        refused = [
            place
            for place, (one, other) in enumerate(zip(old, new, strict=True))
            if other.message.startswith("permission denied") and not one.sqlstate
            if not self.asked[place].by_models
        ]
        asked = [self.asked[place] for place in refused]
        for place, outcome in zip(
            refused, probing.outcomes(self.connection, asked, None), strict=True
        ):
            if outcome.sqlstate or outcome.rows < old[place].rows:
                found[place] = outcome
        return found

    def unused(self, before: Sequence[Outcome], after: Sequence[Outcome]) -> set[str]:
        """Return the tables on which all that the models send still works, or that they lack.

        And the columns that they lack, as ``table.column``.
        """
        if not self.tables:
            return set()
        worked: set[str] = set()
        fails: set[str] = set()
        there: set[str] = set()
        used: set[str] = set()
        for probe, old, new in zip(self.asked, before, after, strict=True):
            table = str(probe.relation)
            columns = {f"{table}.{column}" for column in probe.columns}
            if not probe.by_models:
                there |= columns
            elif not old.sqlstate:
                used |= columns
                (fails if new.sqlstate else worked).add(table)
        known = {str(probe.relation) for probe in self.asked}
        columns = {name for name in there - used if name.rpartition(".")[0] in worked | fails}
        return (known - self.tables) | (worked - fails) | columns


@dataclass
class RolledBack:
    """The new release, on the schema that it has brought and then on the one before."""

    models: Source
    database: sa.URL
    role: str | None
    wanted: Collection[Name] | None
    sent: list[Mapping[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        """Make its statements, on the new schema."""
        try:
            told = self.models.send(self.database, self.role, self.wanted, again=False)
        except SourceError:  # a project of migrations alone
            return
        self.sent = list(told["sent"])

    def broken(self) -> list[str]:
        """Tell what of it fails on the schema before, each table and cause once."""
        if not self.sent:
            return []
        told = self.models.send(self.database, self.role, self.wanted, again=True)
        kinds: dict[tuple[str, str], list[str]] = {}
        for old, new in zip(self.sent, told["sent"], strict=True):
            if "sqlstate" in new and "sqlstate" not in old:
                cause = (_named(new["schema"], new["table"]), new["message"])
                kinds.setdefault(cause, []).append(new["kind"])
        return [
            f"{', '.join(dict.fromkeys(found))} on {table}: {message}"
            for (table, message), found in kinds.items()
        ]


def _named(schema: str, table: str) -> str:
    return table if schema == "public" else f"{schema}.{table}"


def _probe(told: Mapping[str, Any]) -> Probe:
    relation = Relation(0, told["schema"], told["table"], "r", [], [])
    return Probe(relation, told["kind"], tuple(told["columns"]), told["sql"], by_models=True)


def _outcome(told: Mapping[str, Any]) -> Outcome:
    if "sqlstate" not in told:
        return Outcome(rows=told["rows"])
    return Outcome(told["sqlstate"], told["message"], told["column"], told["constraint"])
