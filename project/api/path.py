"""What may be shown, compared and sorted by: a column, or what is within its JSON."""

import re
from typing import NamedTuple

from project.api.column import Column
from project.api.statement import Fragment, format_sql, value
from project.api.values import Family

DOCUMENTS = frozenset({Family.json, Family.jsonb})

ARROW = re.compile(r"(->>|->)")
PLACE = re.compile(r"-?\d{1,9}")


class Step(NamedTuple):
    """A step into a document: to a member, or an item, as JSON (``->``) or as text (``->>``)."""

    arrow: str
    name: str


class Path(NamedTuple):
    """A column, and the steps into its JSON: as a rule there are none."""

    column: Column
    steps: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        """The path as clients write it."""
        return self.column.name + "".join([arrow + name for arrow, name in self.steps])

    @property
    def label(self) -> str:
        """What the value is called where the client gives it no name: the last member's name."""
        names = [name for _, name in self.steps if not PLACE.fullmatch(name)]
        return names[-1] if names else self.column.name

    @property
    def as_text(self) -> bool:
        """Whether the last step makes a text of what it finds."""
        return bool(self.steps) and self.steps[-1].arrow == "->>"

    @property
    def type(self) -> str:
        """The type in PostgreSQL."""
        return "text" if self.as_text else self.column.type.plain

    @property
    def family(self) -> Family:
        """What can be done with a value."""
        return Family.text if self.as_text else self.column.type.family

    @property
    def nullable(self) -> bool:
        """Whether it may be null, as all is that may not be there."""
        return bool(self.steps) or self.column.nullable

    def within(self, alias: str) -> Fragment:
        """Return it for a table's alias, as a statement has it."""
        found = self.column.within(alias)
        for arrow, name in self.steps:
            type_name = "integer" if PLACE.fullmatch(name) else "text"
            found = format_sql("({} " + arrow + " {})", found, value(name, type_name))
        return found


def split(text: str) -> tuple[str, tuple[Step, ...]]:
    """Split a path into the name of its column and its steps."""
    name, *rest = ARROW.split(text)
    return name, tuple(map(Step, rest[::2], rest[1::2]))


def reason_against(path: Path) -> str | None:
    """Say why there can be no such path; None if there can."""
    column = path.column
    if path.steps and (column.type.family not in DOCUMENTS or column.type.outward):
        return f"{column.name} is no JSON, so nothing is at a path within it."
    if any(not name for _, name in path.steps):
        return f"{path.name} has an arrow that leads nowhere."
    if any(arrow == "->>" for arrow, _ in path.steps[:-1]):
        return f"{path.name} goes on after ->>, which makes a text; only its end may be one."
    return None
