"""What is known of a foreign project's migrations and models: the worker's answers as values."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from project.schema import syntax
from project.schema.snapshot import Key


@dataclass(frozen=True)
class Revision:
    """A migration, without its code."""

    revision: str
    down_revisions: tuple[str, ...]
    dependencies: tuple[str, ...]  # revisions that must run before, on another branch
    branch_labels: tuple[str, ...]
    path: Path
    doc: str
    has_downgrade: bool
    downgrade_raises: bool
    empty_downgrade: bool  # though the upgrade does something, unlike that of a mere merge


@dataclass(frozen=True)
class History:
    """The migrations that the configuration leads to."""

    heads: tuple[str, ...]
    bases: tuple[str, ...]
    locations: tuple[Path, ...]  # the folders of the revisions
    revisions: tuple[Revision, ...]  # each after those that it builds on


class Place(NamedTuple):
    """A line of a file, from 1."""

    path: str
    line: int


@dataclass(frozen=True)
class Table:
    """A table of the models, and where it is written."""

    name: str
    schema: str | None
    metadata: int  # the position in env.py's list
    place: Place | None  # of the class or the Table; None where that is not the project's own
    columns: Mapping[str, Place]  # by the column's name; only those that were found
    bases: frozenset[str]  # names of its classes and of theirs


class Refused(NamedTuple):
    """An index or a constraint of the models that PostgreSQL refuses, and why."""

    kind: str  # "index", "constraint"
    name: tuple[str, str, str]  # schema, table, its own
    reason: str
    state: str | None  # PostgreSQL's code of it; None where SQLAlchemy has no words for it

    @property
    def key(self) -> Key:
        """Return what is refused."""
        return Key(self.kind, self.name)

    def __str__(self) -> str:
        """Say it in a sentence."""
        who = "PostgreSQL" if self.state else "SQLAlchemy"
        return f"{who} refuses the {self.key} of the models: {self.reason.rstrip('.')}."


@dataclass(frozen=True)
class MetadataFacts:
    """What env.py gives autogenerate."""

    metadatas: int
    tables: tuple[Table, ...]
    schemas: tuple[str, ...]  # named by the models; the default one has no name
    version_table: str
    version_table_schema: str | None
    include_schemas: bool
    imported: frozenset[str]  # files of the project's own, without the revisions
    filters: tuple[str, ...]  # functions that may hide things: "include_object", "include_name"
    comparisons: int = 1  # how often env.py has models compared in one run, with one database each

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Where ``schema.table`` and ``schema.table.column`` are written, as far as is known."""
        found: dict[str, Place] = {}
        for table in self.tables:
            name = f"{table.schema or 'public'}.{table.name}"
            if table.place is not None:
                found[name] = table.place
            found |= {f"{name}.{column}": place for column, place in table.columns.items()}
        return found


def history(told: Mapping[str, Any]) -> History:
    """Take the worker's answer, and from the files what only their text says."""
    return History(
        heads=tuple(told["heads"]),
        bases=tuple(told["bases"]),
        locations=tuple(Path(folder) for folder in told["locations"]),
        revisions=tuple(_revision(revision) for revision in told["revisions"]),
    )


def _revision(told: Mapping[str, Any]) -> Revision:
    path = Path(told["path"])
    # A revision may be there compiled only.
    raises, empty = syntax.downgrade(path.read_bytes()) if path.suffix == ".py" else (False, False)
    return Revision(
        revision=told["revision"],
        down_revisions=tuple(told["down_revisions"]),
        dependencies=tuple(told["dependencies"]),
        branch_labels=tuple(told["branch_labels"]),
        path=path,
        doc=told["doc"],
        has_downgrade=told["has_downgrade"],
        downgrade_raises=raises,
        empty_downgrade=empty,
    )


def refused(told: Iterable[Mapping[str, Any]]) -> tuple[Refused, ...]:
    """Take the worker's answer."""
    return tuple(
        Refused(
            each["kind"],
            (each["schema"] or "public", each["table"], each["name"]),
            each["reason"],
            each["state"],
        )
        for each in told
    )


def metadata(told: Mapping[str, Any]) -> MetadataFacts:
    """Take the worker's answer, and from the files the lines of classes and columns."""
    read = cache(Path.read_bytes)  # models share files
    return MetadataFacts(
        metadatas=told["metadatas"],
        tables=tuple(_table(table, read) for table in told["tables"]),
        schemas=tuple(told["schemas"]),
        version_table=told["version_table"],
        version_table_schema=told["version_table_schema"],
        include_schemas=told["include_schemas"],
        imported=frozenset(told["imported"]),
        filters=tuple(told["filters"]),
        comparisons=told["comparisons"],
    )


def _table(told: Mapping[str, Any], read: Callable[[Path], bytes]) -> Table:
    """Find the lines of a table: a column's is in the class, in a base of it or in the call."""
    place: Place | None = None
    columns: dict[str, Place] = {}
    for file, name in told["classes"]:
        found = syntax.class_lines(read(Path(file)), name)
        if found is not None:
            place = place or Place(file, found[0])
            for column, attribute in told["attributes"].items():
                if attribute in found[1]:
                    columns.setdefault(column, Place(file, found[1][attribute]))
    if told["place"] is not None:
        call = Place(*told["place"])
        place = place or call
        for column, line in syntax.column_lines(read(Path(call.path)), call.line).items():
            columns.setdefault(column, Place(call.path, line))
    bases = frozenset(told["bases"])
    return Table(told["name"], told["schema"], told["metadata"], place, columns, bases)
