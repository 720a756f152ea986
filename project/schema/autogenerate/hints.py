"""What models say in ``info`` for the sake of migrations."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from project.schema.autogenerate.change import Hints, Path, RefusedError
from project.schema.autogenerate.definitions import strings
from project.schema.autogenerate.renames import Rename, apart
from project.schema.autogenerate.text import shown
from project.schema.snapshot import Key, Snapshot


@dataclass(frozen=True)
class Declared:
    """All hints of some metadata."""

    hints: Hints
    renames: tuple[Rename, ...]
    new: Collection[Key]  # what is not renamed, though it may look so
    expand: Collection[Path] = ()  # what changes in several revisions: columns and tables


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
    expand |= {_path(table) for table in tables if table.info.get("expand")}
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
            f"The hint expand of {shown(path)} has nothing to do: it can be removed."
            for path in sorted(declared.expand)
        ),
    ]


def to_do(
    renames: Iterable[Rename], before: Snapshot, after: Snapshot
) -> tuple[list[Rename], list[Rename]]:
    """Split declared renames into those to do and those that are done or name nothing.

    A column's rename is declared with the new name of its table; the old column is looked for under
    the table's old name, too. Where the new name is in use already, the rename is done, unless what
    has that name gives it up by a rename of its own: in a row of names, or in a circle.

    Raises:
        RefusedError: nothing tells whether a rename is done.

    """
    declared = list(renames)
    enums = _enums([rename for rename in declared if rename.kind == "label"], before, after)
    listed = [*enums, *declared]
    tables = {r.new: r.old for r in listed if r.kind in {"table", "enum"}}
    found = {r: _there(r.kind, r.old, tables, before) for r in listed}
    left = [rename for rename in listed if found[rename] and rename.old != rename.new]
    pending = {r for r in left if not _there(r.kind, r.new, tables, before)}
    while more := _freed([rename for rename in left if rename not in pending], pending):
        if not _is_circle(more) or _changed_places(more, found, before, after):
            pending.update(more)
        left = [rename for rename in left if rename not in more]
    for rename in left:
        if rename not in pending and not _there(rename.kind, rename.old, {}, after):
            raise RefusedError(
                f"{rename.kind} {shown(rename.new)} is to be the former {rename.old[-1]}, and both"
                " are there: remove the hint renamed_from if that is done, or drop the one first,"
                " in a migration of its own."
            )
    to_do = [r for r in listed if r in pending]
    _refuse_two_of_one(to_do)
    return to_do, [r for r in listed if r not in pending]


def _refuse_two_of_one(renames: Iterable[Rename]) -> None:
    first: dict[tuple[str, Path], Rename] = {}
    for rename in renames:
        other = first.setdefault((rename.kind, rename.old), rename)
        if other.new != rename.new and rename.kind != "enum":
            raise RefusedError(
                f"{rename.kind} {shown(other.new)} and {shown(rename.new)} are both to be the"
                f" former {rename.old[-1]}, which one of them is at most: take renamed_from from"
                " the other."
            )


def _there(kind: str, path: Path, tables: Mapping[Path, Path], catalog: Snapshot) -> Key | None:
    """Find what has a name, perhaps in a table that has its old one."""
    if kind == "label":
        enums = [Key("enum", name) for name in (path[:-1], tables.get(path[:-1], path[:-1]))]
        return next((enum for enum in enums if path[-1] in _labels(catalog, enum)), None)
    old = tables.get(path[:2]) if kind not in {"table", "enum"} else None
    paths = [path] if old is None else [path, (*old, *path[2:])]
    keys = [Key(kind, path) for path in paths]
    return next((key for key in keys if key in catalog.items), None)


def _labels(catalog: Snapshot, enum: Key) -> list[str]:
    item = catalog.items.get(enum)
    return strings(item.attributes["values"]) if item is not None else []


def _enums(labels: Iterable[Rename], before: Snapshot, after: Snapshot) -> Iterator[Rename]:
    """Find enums that have another name together with labels of theirs."""
    told: dict[Path, dict[str, str]] = {}
    for rename in labels:
        told.setdefault(rename.new[:-1], {})[rename.old[-1]] = rename.new[-1]
    for new, names in told.items():
        if Key("enum", new) in before.items:
            continue
        wanted = _labels(after, Key("enum", new))
        for item in before.of_kind("enum"):
            values = [names.get(value, value) for value in strings(item.attributes["values"])]
            if values == wanted and item.key not in after.items:
                yield Rename("enum", item.key.name, new)
                break


def _freed(left: Collection[Rename], pending: Collection[Rename]) -> list[Rename]:
    """Return renames to a name that something renamed gives up: one, or a whole circle."""
    given_up = {(rename.kind, rename.old) for rename in pending}
    for rename in left:
        if (rename.kind, rename.new) in given_up:
            return [rename]
    takers = {(rename.kind, rename.new): rename for rename in left}
    for rename in left:
        circle = [rename]
        while taker := takers.get((rename.kind, circle[-1].old)):
            if taker is rename:
                return circle
            if taker in circle:
                break
            circle.append(taker)
    return []


def _is_circle(renames: Sequence[Rename]) -> bool:
    return {rename.old for rename in renames} == {rename.new for rename in renames}


def _changed_places(
    circle: Sequence[Rename],
    found: Mapping[Rename, Key | None],
    before: Snapshot,
    after: Snapshot,
) -> bool:
    """Tell whether names that change places are still to do so, by what they name.

    Raises:
        RefusedError: what they name is as much alike one way as the other.

    """
    to_do = done = 0
    for rename in circle:
        taker = next(other for other in circle if other.old == rename.new)
        was, stays = found[rename], found[taker]
        assert was is not None  # noqa: S101 - what is not there is in no circle
        assert stays is not None  # noqa: S101
        if rename.kind == "label":
            # One keeps its place among the others when it is renamed.
            here, there = (_labels(catalog, was) for catalog in (before, after))
            to_do += here.index(rename.old[-1]) != there.index(rename.new[-1])
            done += here.index(rename.new[-1]) != there.index(rename.new[-1])
        else:
            becomes = Key(rename.kind, rename.new)
            to_do += apart(was, becomes, before, after)
            done += apart(stays, becomes, before, after)
    if to_do == done:
        names = " and ".join(shown(rename.new) for rename in circle)
        raise RefusedError(
            f"{names} change places, and are so alike that nobody can tell whether they have done"
            " so. If they have, remove the hints renamed_from; if not, give one of them a third"
            " name first, in a migration of its own."
        )
    return to_do < done
