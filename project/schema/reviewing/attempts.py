"""Attempts at a migration, on ever fewer of the rows on which it fails."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import sqlalchemy as sa

from project.schema.connections import Connection
from project.schema.hazards.actions import actions
from project.schema.reviewing import touched
from project.schema.reviewing.observation import Observation
from project.schema.reviewing.probing import Outcome
from project.schema.reviewing.running import Running

Name = tuple[str, str]

One = TypeVar("One")
Other = TypeVar("Other")

#: Which of ``touched.LESS`` takes all rows away.
NOTHING = len(touched.LESS)

#: SQLSTATE of refusals because rows are alike.
ALIKE = ("23505", "23P01")


@dataclass
class Stand:
    """A copy with rows, and the release at work on it."""

    database: sa.URL
    connection: Connection
    other: Connection  # for what can be done at the same time
    running: Running
    old: list[Outcome]  # how what the release sends ends before the migration
    taken: dict[str, int] = field(default_factory=dict)  # which rows of a table are gone, if any

    def take_away(self, thinned: Mapping[str, int]) -> None:
        """Leave tables fewer rows: what is found among fewer is no loss of the migration's."""
        for table, times in thinned.items():
            if self.taken.get(table) != times:
                touched.without(self.connection, table, touched.LESS[times - 1])
        if thinned == self.taken:
            return
        self.taken = dict(thinned)
        fewer = self.running.again()
        self.old = [
            replace(old, rows=min(old.rows, now.rows))
            for old, now in zip(self.old, fewer, strict=True)
        ]


def both(one: Callable[[], One], other: Callable[[], Other]) -> tuple[One, Other]:
    """Do two things at the same time, each of which waits for a server of its own connection."""
    with ThreadPoolExecutor(1) as aside:
        first = aside.submit(one)
        second = other()
        return first.result(), second


def left_nothing(observation: Observation) -> bool:
    """Whether a migration that failed has been rolled back as a whole."""
    own = observation.own
    return len({s.transaction for s in own}) == 1 and own[0].in_transaction


def same_failure(one: Observation, other: Observation) -> bool:
    """Whether it fails on rows just as it does without."""
    errors = [
        next((s.error.get("sqlstate") for s in reversed(each.own) if s.error), None)
        for each in (one, other)
    ]
    lengths = [len(each.own) for each in (one, other)]
    return errors[0] == errors[1] and lengths[0] == lengths[1]


def thin(thinned: dict[str, int], observation: Observation, most: set[Name]) -> bool:
    """Note that the table on which it failed shall have fewer rows the next time."""
    statement = next((s for s in reversed(observation.own) if s.error), None)
    if statement is None:  # Python failed, on whatever rows
        everything = dict.fromkeys(map(".".join, most), NOTHING)
        less = thinned != everything
        thinned.update(everything)
        return less
    told = statement.error
    name = (told.get("schema_name", ""), told.get("table_name", ""))
    table = ".".join(name if all(name) else touched.named(actions(statement.sql)[0].table))
    if table == "public." or thinned.get(table) == len(touched.LESS):
        return False
    # One row is like none other; of other failures, what ordinary rows do one of them does.
    lonely = told.get("sqlstate") in ALIKE
    thinned[table] = thinned.get(table, 0) + 1 if lonely or table not in thinned else NOTHING
    return True


def whole(partial: Sequence[Observation], last: Observation) -> Observation:
    """Take each statement from the attempt with the most rows in which it succeeded."""
    statements = list(last.statements)
    for attempt in reversed(partial):
        for place, statement in enumerate(attempt.statements[: len(statements)]):
            if statement.error or statement.sql != statements[place].sql:
                break
            statements[place] = replace(statement, transaction=statements[place].transaction)
    before = partial[0].before if partial else last.before
    return replace(last, statements=tuple(statements), before=before)
