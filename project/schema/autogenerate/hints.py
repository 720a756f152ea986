"""What models say in ``info`` for the sake of migrations."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from project.schema.autogenerate.change import Hints, Path
from project.schema.autogenerate.renames import Rename
from project.schema.autogenerate.text import shown
from project.schema.snapshot import Key, Snapshot


@dataclass(frozen=True)
class Declared:
    """All hints of some metadata."""

    hints: Hints
    renames: tuple[Rename, ...]
    new: Collection[Key]  # what is not renamed, though it may look so
    expand: Collection[Path] = ()  # columns that change their type by way of another one


def declared(metadatas: Iterable[sa.MetaData], *, safe: bool = True) -> Declared:
    """Collect the hints.

    Args:
        metadatas: What env.py calls ``target_metadata``.
        safe: Whether tables are changed under traffic at all.

    """
    tables = [table for metadata in metadatas for table in metadata.tables.values()]
    columns = [
        ((*_path(table), column.name), column) for table in tables for column in table.columns
    ]
    renames: list[Rename] = []
    new: set[Key] = set()
    for kind, name, info in (named for table in tables for named in _named(table)):
        old = info.get("renamed_from")
        if old is not None:
            given = tuple(str(old).split(".")) if kind == "table" else (str(old),)
            renames.append(Rename(kind, (*name[: len(name) - len(given)], *given), name))
        elif "renamed_from" in info:
            new.add(Key(kind, name))
    for _, column in columns:
        for label, old in column.info.get("values_renamed_from", {}).items():
            renames.append(Rename("label", (*_enum(column), old), (*_enum(column), label)))
    order = ("table", "column", "constraint", "index", "label")
    renames.sort(key=lambda rename: (order.index(rename.kind), rename.new))
    tiny = {_path(table) for table in tables if table.info.get("tiny")}
    hints = Hints(
        {name: str(c.info["backfill"]) for name, c in columns if "backfill" in c.info},
        {name: str(c.info["using"]) for name, c in columns if "using" in c.info},
        {
            name: dict(c.info["values_replaced"])
            for name, c in columns
            if "values_replaced" in c.info
        },
        tiny if safe else {("*",)},
    )
    expand = {name for name, column in columns if column.info.get("expand")}
    return Declared(hints, tuple(dict.fromkeys(renames)), new, expand)


def _path(table: sa.Table) -> Path:
    return table.schema or "public", table.name


def _named(table: sa.Table) -> Iterator[tuple[str, Path, Mapping[str, object]]]:
    """Yield what can carry a hint: kind, name and ``info``."""
    path = _path(table)
    yield "table", path, table.info
    for column in table.columns:
        yield "column", (*path, column.name), column.info
    preparer = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]
    for constraint in table.constraints:
        if constraint.info:
            # The name that the naming convention gives.
            name = preparer.format_constraint(constraint)
            if name is not None:
                yield "constraint", (*path, name.strip('"')), constraint.info
    for index in table.indexes:
        if index.info and index.name:
            yield "index", (*path, preparer.format_index(index).strip('"')), index.info


def _enum(column: sa.Column[object]) -> Path:
    type_ = getattr(column.type, "item_type", column.type)
    while isinstance(type_, sa.types.TypeDecorator):
        type_ = type_.impl
    return getattr(type_, "schema", None) or "public", str(getattr(type_, "name", ""))


def removable(rename: Rename) -> str:
    """Say that a hint is not needed any more."""
    name = ".".join(rename.new[1:] if rename.new[0] == "public" else rename.new)
    return (
        f"The hint renamed_from {rename.old[-1]!r} of {rename.kind} {name} has done its work, or"
        " names nothing: it can be removed."
    )


def notes(declared: Declared, catalog: Snapshot) -> list[str]:
    """Say which hints can be removed, where models and migrations agree."""
    return [
        *(removable(rename) for rename in to_do(declared.renames, catalog, catalog)[1]),
        *(
            f"The hint expand of column {shown(path)} has nothing to do: it can be removed."
            for path in sorted(declared.expand)
        ),
    ]


def to_do(
    renames: Iterable[Rename], before: Snapshot, after: Snapshot
) -> tuple[list[Rename], list[Rename]]:
    """Split declared renames into those to do and those that are done or name nothing.

    A column's rename is declared with the new name of its table; the old column is looked for under
    the table's old name, too.
    """
    listed = list(renames)
    tables = {rename.new: rename.old for rename in listed if rename.kind == "table"}
    pending: list[Rename] = []
    done: list[Rename] = []
    for rename in listed:
        path = rename.old
        if rename.kind == "label":
            values = before.items.get(Key("enum", path[:-1]))
            there = values is not None and path[-1] in (values.attributes["values"] or ())  # type: ignore[operator]
            here = there
        else:
            here = Key(rename.kind, path) in before.items
            old = tables.get(path[:2])
            there = old is not None and Key(rename.kind, (*old, *path[2:])) in before.items
        stays = Key(rename.kind, path) in after.items and rename.kind != "label"
        (pending if (here or there) and not stays else done).append(rename)
    return pending, done
