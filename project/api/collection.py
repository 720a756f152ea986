"""The models that declare themselves, as collections of rows with columns, a key and relations."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapper

from project.api.access import ROLES, Asker
from project.api.column import Column, column_of
from project.api.statement import Fragment, identifier
from project.api.value_types import is_secret
from project.models import Resource


class DeclarationError(Exception):
    """A model declares what cannot be; the message names the model and what to change."""


@dataclass(frozen=True)
class Relation:
    """How rows of one collection belong to rows of another.

    Attributes:
        name: What clients call it.
        target: The other collection's name.
        pairs: Columns here and there that are equal.
        many: Whether several rows there may belong to one here.

    """

    name: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    many: bool


@dataclass(frozen=True, eq=False)
class Collection:
    """A model that is served.

    Attributes:
        name: The table's name, and the last step of its address.
        table: The table as a statement has it.
        comment: What a row is, from the model.
        resource: What the model declares.
        columns: All columns that may be shown, by name.
        every: All columns, those that are hidden, too.
        hidden: The names of those.
        key: The primary key.
        version: The column that counts changes, if there is one.
        checks: Constraints by name, with their columns.
        relations: What may be embedded, by name.

    """

    name: str
    table: Fragment
    comment: str
    resource: Resource
    columns: Mapping[str, Column]
    every: Mapping[str, Column]
    hidden: tuple[str, ...]
    key: tuple[Column, ...]
    version: Column | None
    checks: Mapping[str, tuple[str, ...]]
    relations: Mapping[str, Relation] = field(default_factory=dict)

    def known_to(self, asker: Asker) -> list[Column]:
        """Return the columns that exist for whoever asks."""
        return [column for column in self.columns.values() if column.known_to(asker)]

    def taken_from(self, asker: Asker) -> list[Column]:
        """Return the columns that whoever asks may set."""
        return [column for column in self.known_to(asker) if column.taken]

    def filterable(self, column: Column) -> bool:
        """Say whether rows may be filtered and sorted by a column."""
        allowed = self.resource.filterable
        return allowed is None or column.name in allowed or column in self.key

    def owned_by(self, asker: Asker) -> bool:
        """Say whether the asker sees and writes only rows of its own."""
        return self.resource.owner is not None and not asker.among(ROLES[-1])

    @cached_property
    def address(self) -> str:
        """Where the rows are served."""
        return f"/api/{quote(self.name)}"

    @cached_property
    def converted(self) -> Mapping[str, Column]:
        """The columns that only their decorators can show."""
        return {name: column for name, column in self.columns.items() if column.type.outward}


class Collections(dict[str, Collection]):
    """All that is served, by name: made once, never changed, and known by its identity.

    So what follows from it and the text of a request can be kept and found again.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__


class View(NamedTuple):
    """A collection, among all that are served, as somebody may see and change it."""

    collections: Collections
    collection: Collection
    asker: Asker


def collections(base: type[DeclarativeBase]) -> Collections:
    """Return the collections of all models that declare themselves, by name.

    Raises:
        DeclarationError: a declaration names what the model does not have.

    """
    base.registry.configure()
    declared = {
        cast("sa.Table", mapper.local_table).name: (mapper, resource)
        for mapper in base.registry.mappers
        # Not inherited: a model is served if it says so itself.
        if (resource := vars(mapper.class_).get("__resource__")) is not None
    }
    return Collections(
        {
            name: _collection(mapper, resource, declared)
            for name, (mapper, resource) in sorted(declared.items())
        }
    )


Declared = Mapping[str, tuple[Mapper[Any], Resource]]


def _collection(mapper: Mapper[Any], resource: Resource, declared: Declared) -> Collection:
    table = cast("sa.Table", mapper.local_table)
    secret = [column.name for column in table.columns if is_secret(column.type)]
    hidden = tuple(dict.fromkeys((*resource.hidden, *secret)))
    _check(mapper, resource, table, hidden)
    version = mapper.version_id_col
    every = {
        column.name: column_of(column, resource, counted=column is version)
        for column in table.columns
    }
    columns = {name: column for name, column in every.items() if name not in hidden}
    return Collection(
        name=table.name,
        table=identifier(*(part for part in (table.schema, table.name) if part)),
        comment=table.comment or "",
        resource=resource,
        columns=columns,
        every=every,
        hidden=hidden,
        key=tuple(columns[column.name] for column in table.primary_key),
        version=None if version is None else columns.get(version.name),
        checks={
            str(constraint.name): _constrained(table, constraint)
            for constraint in table.constraints
        },
        relations={name: _relation(mapper, name, declared) for name in resource.embed},
    )


def _constrained(table: sa.Table, constraint: sa.Constraint) -> tuple[str, ...]:
    """Return the columns that a constraint is about; those of a CHECK stand in its text."""
    if isinstance(constraint, sa.CheckConstraint):
        words = set(re.findall(r"\w+", str(constraint.sqltext)))
        return tuple(column.name for column in table.columns if column.name in words)
    if isinstance(constraint, sa.schema.ColumnCollectionConstraint):
        return tuple(column.name for column in constraint.columns)
    return ()


def _check(mapper: Mapper[Any], resource: Resource, table: sa.Table, hidden: Iterable[str]) -> None:
    """Refuse a declaration that would not mean what it says."""
    named = [*resource.hidden, *resource.read_only, *resource.restricted]
    named += [*(resource.filterable or ()), *([resource.owner] if resource.owner else [])]
    where = f"{mapper.class_.__name__}.__resource__"
    if unknown := sorted(set(named) - set(table.columns.keys())):
        raise DeclarationError(f"{where} names columns that {table.name} lacks: {unknown}.")
    if not table.primary_key.columns:
        raise DeclarationError(f"{where}: {table.name} has no primary key to address rows by.")
    keys = {column.name for column in table.primary_key}
    if covered := sorted(keys & {*hidden, *resource.restricted}):
        raise DeclarationError(f"{where}: {covered} are in the key of {table.name}: show them.")
    if not 1 <= resource.page_size <= resource.largest_page:
        raise DeclarationError(f"{where}: page_size must be between 1 and largest_page.")


def _relation(mapper: Mapper[Any], name: str, declared: Declared) -> Relation:
    """Find what a name in ``embed`` means: a relationship, or a table at one foreign key."""
    where = f"{mapper.class_.__name__}.__resource__"
    found = (
        _by_relationship(mapper, name)
        if name in mapper.relationships
        else _by_foreign_key(cast("sa.Table", mapper.local_table), name, declared)
    )
    if len(found) != 1:
        reason = "no foreign key connects them" if not found else "several foreign keys do"
        raise DeclarationError(f"{where} embeds {name}, but {reason}; name a relationship.")
    if found[0].target not in declared:
        raise DeclarationError(
            f"{where} embeds {name}, but {found[0].target} is not served; declare it, too."
        )
    return found[0]


def _by_relationship(mapper: Mapper[Any], name: str) -> list[Relation]:
    relationship = mapper.relationships[name]
    if relationship.secondary is not None:
        return []
    pairs = tuple(
        (here.name, there.name)
        for here, there in relationship.local_remote_pairs or ()
        if here.name
    )
    target = str(cast("sa.Table", relationship.mapper.local_table).name)
    return [Relation(name, target, pairs, bool(relationship.uselist))]


def _by_foreign_key(table: sa.Table, name: str, declared: Declared) -> list[Relation]:
    found = [
        Relation(name, name, _pairs(constraint), many=False)
        for constraint in table.foreign_key_constraints
        if constraint.referred_table.name == name
    ]
    if name in declared:
        other = cast("sa.Table", declared[name][0].local_table)
        found += [
            Relation(
                name, name, tuple((there, here) for here, there in _pairs(constraint)), many=True
            )
            for constraint in other.foreign_key_constraints
            if constraint.referred_table is table
        ]
    return found


def _pairs(constraint: sa.ForeignKeyConstraint) -> tuple[tuple[str, str], ...]:
    return tuple((element.parent.name, element.column.name) for element in constraint.elements)
