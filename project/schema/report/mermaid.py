"""Tables before and after as a diagram in Mermaid, which GitHub and GitLab draw.

Sources:
    https://mermaid.js.org/syntax/entityRelationshipDiagram.html

"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from project.schema.report.characters import on_one_line

#: A column as a row of a diagram has it: its table, its name, what it was and what it is.
Row = tuple[str, ...]

#: Characters of a name or a type that Mermaid does not take.
_NO_WORD = re.compile(r"\W+", re.ASCII)

#: Between a column's type and what it demands, and between that and what it is in keys.
_DEMANDS = re.compile(r" (?=NOT NULL\b|DEFAULT |SERIAL\b|GENERATED \()")
_ROLES = re.compile(r", (?=PK(?:, →|$)|→ )")


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Write an entity for each table, as it is afterwards, and a line for each foreign key."""
    yield "erDiagram"
    relations: list[str] = []
    for table, columns in groupby(rows, lambda row: row[0]):
        yield f"  {_entity(table)} {{"
        for row in columns:
            yield f"    {_column(row)}"
            relations += _relations(row)
        yield "  }"
    yield from dict.fromkeys(relations)


def _column(row: Row) -> str:
    """Write the type, the name, the keys, and what else there is to say of a column."""
    _, column, before, after = row
    described, *roles = _ROLES.split(after or before)
    keys = ["PK"] * ("PK" in roles) + ["FK"] * any(role != "PK" for role in roles)
    type_, *said = _DEMANDS.split(described, maxsplit=1)
    if before != after:
        said.append("new" if not before else "gone" if not after else f"was {before}")
    comment = on_one_line("; ".join(said)).replace('"', "'")
    words = [_word(type_.replace("[]", " array")), _word(column), ", ".join(keys)]
    return " ".join(filter(None, [*words, comment and f'"{comment}"']))


def _relations(row: Row) -> Iterator[str]:
    table, column, _, after = row
    for role in _ROLES.split(after)[1:]:
        if role != "PK":
            referred = _entity(role.removeprefix("→ "))
            yield f'  {referred} ||--o{{ {_entity(table)} : "{_word(column)}"'


def _entity(table: str) -> str:
    return f'"{_NO_WORD.sub("_", table.replace(chr(34), ""))}"'


def _word(text: str) -> str:
    """Write a name or a type as Mermaid takes one, which begins with a letter."""
    word = _NO_WORD.sub("_", text).strip("_")
    return word if word[:1].isalpha() else f"_{word}"
