"""What follows for the release still running from the catalogs alone.

It only shows once somebody writes, or has a connection open: a type that changed is noticed by
statements that are prepared; a label that is new, by an old reader; a function that is gone, by
whoever called it.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from project.schema.finding import Finding, Level
from project.schema.hazards.codes import CODES
from project.schema.hazards.references import was_there
from project.schema.snapshot import MISSING, Difference, Item, Key, Snapshot

MAY = "old-release-may-break"


def of_catalog(
    differing: Sequence[Difference], before: Snapshot, after: Snapshot
) -> Iterator[Finding]:
    """Tell what follows from a difference of the catalogs."""
    enums = {item.key.name[-1] for item in before.of_kind("enum")}
    for difference in differing:
        key, kind = difference.key, difference.key.kind
        name = ".".join(key.name).removeprefix("public.")
        if kind == "column":
            yield from _of_column(difference, name, enums, after)
        elif kind == "table" and difference.attribute == "persistence":
            if difference.found == "unlogged":
                yield noted(
                    "not-crash-safe",
                    f"{name} becomes UNLOGGED: it is empty after a crash, and on every replica.",
                    f"table {name}",
                    "",
                )
        elif kind == "enum" and difference.attribute == "values":
            yield from _labels(difference, name)
        elif kind == "enum" and difference.found is MISSING and _is_used(name, before):
            yield noted(
                MAY,
                f"The enum {name} is gone; drivers that name a parameter's type (asyncpg) fail.",
                f"enum {name}",
                "",
            )
        elif kind == "function" and difference.found is MISSING and not _takes_over(key, after):
            yield noted(
                MAY,
                f"The function {name} is gone; whoever calls it fails.",
                f"function {name}",
                "# drop it a release after the last caller",
            )


def _of_column(
    difference: Difference, name: str, enums: Collection[str], after: Snapshot
) -> Iterator[Finding]:
    if difference.attribute == "type" and difference.key in after.items:
        enum = str(difference.expected).removeprefix("public.")
        if enum.rpartition(".")[2] in enums:
            yield noted(
                MAY,
                f"{name} is no {enum} any more; drivers that name a parameter's"
                " type (asyncpg) fail to compare it.",
                f"column {name}",
                "# release code first that knows the new type",
            )
        yield noted(
            "prepared-statements",
            f"The type of {name} changes: each open connection that has prepared a statement"
            " with it fails once.",
            f"column {name}",
            "# close the pool's connections afterwards, or set prepare_threshold=None",
        )
    elif difference.attribute == "nullable" and difference.found is True:
        yield noted(
            "old-release-reads-new-values",
            f"{name} may be NULL now; the release still running has never met one there.",
            f"column {name}",
            "# release code first that reads a NULL",
        )


def _takes_over(function: Key, after: Snapshot) -> bool:
    """Whether another function takes the calls of one: its arguments, and more with defaults."""
    schema, name = function.name
    called, _, arguments = name.partition("(")
    arguments = arguments.removesuffix(")")
    begin = f"{called}({arguments}," if arguments else f"{called}("
    return any(
        item.key != function
        and item.key.name[0] == schema
        and item.key.name[1].startswith(begin)
        and " DEFAULT " in str(item.attributes["arguments"])
        for item in after.of_kind("function")
    )


def _is_used(type_: str, catalog: Snapshot) -> bool:
    """Whether a column is of a type, or of an array of it."""
    shown = (str(item.attributes["type"]) for item in catalog.of_kind("column"))
    return any(each.removeprefix("public.").removesuffix("[]") == type_ for each in shown)


def _labels(difference: Difference, name: str) -> Iterator[Finding]:
    old, new = difference.expected, difference.found
    assert isinstance(old, tuple)  # noqa: S101
    assert isinstance(new, tuple)  # noqa: S101
    if added := [str(label) for label in new if label not in old]:
        yield noted(
            "old-release-reads-new-values",
            f"Once the new release writes {', '.join(map(repr, added))}, the one still running"
            f" reads a label of {name} that it does not know: SQLAlchemy raises LookupError.",
            f"enum {name}",
            "# release code that knows the label first; write it from the next release on",
        )
    if gone := [str(label) for label in old if label not in new]:
        yield Finding(
            "old-release-breaks",
            f"{', '.join(map(repr, gone))} is not a label of {name} any more: who writes it fails.",
            object=f"enum {name}",
            remedy="# keep the label, and stop writing it",
        )


def rules(before: Snapshot, after: Snapshot, broken: Collection[str]) -> Iterator[Finding]:
    """Find new rules that take the place of what is sent, where no statement above has shown it.

    Rows that come by way of a partitioned table are not asked for the rules of its partitions
    ("CREATE RULE"); and a row to which others refer could not be deleted before.
    """
    for item in after.of_kind("rule"):
        table = before.items.get(Key("table", item.key.name[:2]))
        definition = str(item.attributes["definition"])
        found = re.search(r"\bON (\w+) TO\b.*\bDO\s+INSTEAD\b", definition, re.DOTALL)
        name = _shown(item.key.name[:2])
        if item.key in before.items or table is None or not found or f"table {name}" in broken:
            continue
        partition = table.attributes["partition of"]
        yield noted(
            MAY,
            f"{found[1]} on {name} is replaced by the rule {item.key.name[-1]}"
            + ("; what comes by way of the partitioned table is not." if partition else "."),
            f"table {name}",
            "# a trigger on the partition applies to both" if partition else "",
        )


_REFERENCE = re.compile(r"FOREIGN KEY \(.*?\) REFERENCES (\S+?)\(.*?\)(.*)")


def references(before: Snapshot, after: Snapshot) -> Iterator[Finding]:
    """Find tables of which a row cannot be deleted any more once the new release refers to it."""
    for item in after.of_kind("constraint"):
        found = _REFERENCE.match(str(item.attributes["definition"]))
        if found is None or was_there(item, before, after) or " ON DELETE " in found[2]:
            continue
        other = Key("table", _name(found[1]))
        if other in before.items and other.name != item.key.name[:2] and _is_new(item, before):
            table, name = _shown(item.key.name[:2]), _shown(other.name)
            yield noted(
                MAY,
                f"Once the new release has rows of {table} refer to rows of {name}, the one still"
                " running cannot delete these.",
                f"table {name}",
                '# sa.ForeignKey(…, ondelete="CASCADE") or "SET NULL", where that is meant',
                level="note",
            )


def _is_new(reference: Item, before: Snapshot) -> bool:
    """Whether the columns that refer, or their table, are new: nothing wrote them before."""
    listed = re.search(r"\((.*?)\)", str(reference.attributes["definition"]))
    columns = [part.strip().strip('"') for part in listed[1].split(",")] if listed else []
    return any(
        Key("column", (*reference.key.name[:2], column)) not in before.items for column in columns
    )


def _name(written: str) -> tuple[str, str]:
    schema, _, name = written.replace('"', "").rpartition(".")
    return schema or "public", name


def _shown(name: tuple[str, ...]) -> str:
    return ".".join(name).removeprefix("public.")


def noted(
    code: str, message: str, about: str, advice: str, *, level: Level | None = None
) -> Finding:
    """Make a finding of what follows from a catalog."""
    level = level or CODES[code].level
    return Finding(code, message, level=level, object=about, remedy=advice)
