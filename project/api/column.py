"""A column as clients know it, with what the model itself gives a row."""

from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.schema import ColumnDefault

from project.api.access import Asker
from project.api.statement import Fragment, identifier
from project.api.value_types import value_type
from project.api.values import DIALECT, ValueType
from project.models import Resource, Role


@dataclass(frozen=True, eq=False)
class Column:
    """A column as clients know it, by its name in the database.

    Attributes:
        name: The name.
        type: Its values on both sides.
        comment: What it means, from the model.
        nullable: Whether it may be null.
        optional: Whether a new row may leave it out.
        taken: Whether clients may set it.
        role: The role below which it does not exist.
        default: What the model itself (not the database) gives a new row.
        onupdate: What the model gives a row that is changed.
        has_server_default: Whether the database gives a new row a value.

    """

    name: str
    type: ValueType
    comment: str
    nullable: bool
    optional: bool
    taken: bool
    role: Role | None
    default: ColumnDefault | None
    onupdate: ColumnDefault | None
    has_server_default: bool

    def within(self, alias: str) -> Fragment:
        """Return the column of a table's alias, as a statement has it."""
        return identifier(alias, self.name)

    def known_to(self, asker: Asker) -> bool:
        """Say whether the column exists for whoever asks."""
        return self.role is None or asker.among(self.role)


def column_of(column: sa.Column[Any], resource: Resource, *, counted: bool) -> Column:
    """Describe a column of a model; `counted` says whether it counts changes."""
    identity = column.identity
    filled_in = column.computed is not None or (identity is not None and bool(identity.always))
    default = column.default if isinstance(column.default, ColumnDefault) else None
    onupdate = column.onupdate if isinstance(column.onupdate, ColumnDefault) else None
    generated = (
        column.server_default is not None
        or identity is not None
        or column is column.table.autoincrement_column
    )
    return Column(
        name=column.name,
        type=value_type(column.type),
        comment=column.comment or "",
        nullable=bool(column.nullable),
        optional=bool(column.nullable) or generated or default is not None or counted,
        taken=not (
            filled_in or counted or onupdate is not None or column.name in resource.read_only
        ),
        role=resource.restricted.get(column.name),
        default=default,
        onupdate=onupdate,
        has_server_default=generated,
    )


def sql_default(default: ColumnDefault) -> str | None:
    """Return a default that is an SQL expression as text, or None for one that Python makes."""
    if not default.is_clause_element:
        return None
    expression = cast("sa.ColumnElement[Any]", default.arg)
    return str(expression.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


def python_default(default: ColumnDefault) -> Any:  # noqa: ANN401
    """Return what a default of the model makes; it may be a constant or a function."""
    # SQLAlchemy gives every function a context, which it makes out of a statement; ours has none.
    return cast("Any", default.arg)(None) if default.is_callable else default.arg
