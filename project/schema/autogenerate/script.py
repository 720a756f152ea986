"""The body of a migration: steps as lines of Python."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from textwrap import indent

from project.schema.autogenerate.step import Once, Step

#: Between two lines that leave and enter the transaction.
ALONE = "with op.get_context().autocommit_block():\n"


def body(steps: Iterable[Step]) -> str:
    """Write steps as lines of Python, those that stand alone in a block that commits each.

    Before such a block everything is committed, so what stands there, and in it, is written in the
    form that may be run twice: after a failure, the migration is simply run again.
    """
    listed = [*_said_once(steps)]
    last = max((place for place, step in enumerate(listed) if step.alone), default=-1)
    lines = "\n".join(_groups(listed, last))
    repeated = any(step.again for step in listed[: last + 1])
    return f"{REPEATED}{lines}" if repeated else lines


def _said_once(steps: Iterable[Step]) -> Iterator[Step]:
    """Say in one sentence what was said at length above: that several tables are rewritten."""
    said: set[str] = set()
    for step in steps:
        sentence, dot, _ = step.why.partition(". ")
        shorter = dot and step.why in said
        said.add(step.why)
        yield replace(step, why=f"{sentence}.") if shorter else step


def _groups(steps: list[Step], last: int) -> Iterator[str]:
    for alone, group in groupby(enumerate(steps), key=lambda numbered: numbered[1].alone):
        listed = list(group)
        if alone or listed[0][0] > last:
            lines = "\n".join(step.written(again=place <= last) for place, step in listed)
        else:
            lines = "\n".join(_at_once([step for _, step in listed]))
        yield ALONE + indent(lines, "    ") if alone else lines


def _at_once(steps: list[Step]) -> Iterator[str]:
    """Write what is committed together, to be run twice.

    Of steps in a row that ask whether they have been done, the first asks for all.
    """
    for asks, group in groupby(steps, key=lambda step: isinstance(step.again, Once)):
        if not asks:
            yield from (step.written(again=True) for step in group)
            continue
        listed = list(group)
        done = [step.again for step in listed if isinstance(step.again, Once)]
        statements = tuple(statement for each in done for statement in each.statements)
        comments = "".join(dict.fromkeys(step.comment for step in listed))
        yield comments + Once(done[0].condition, statements).code


#: Why statements look whether they have been executed before.
REPEATED = "# Should a step fail, the migration is simply run again: what is done is left alone.\n"

#: A migration that nothing but the proof reads.
MODULE = """\
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = down_revision = None


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
"""


def module(upgrade: str, downgrade: str = "") -> str:
    """Write a migration with these bodies, without its place in a history."""
    return MODULE.format(
        upgrade=indent(upgrade or "pass", "    "), downgrade=indent(downgrade or "pass", "    ")
    )
