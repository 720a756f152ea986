"""What a new rule means for rows to come, where no statement that was sent has hit upon it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from project.schema.finding import Finding
from project.schema.hazards.codes import CODES
from project.schema.hazards.fitting import STRINGS, fits
from project.schema.reviewing.compatibility import ADVICE, MAY
from project.schema.snapshot import Item, Key, Snapshot


def of_duplicates(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Tell that a rule on which rows that are there may fail is one for those to come, too.

    Of rows that an expression makes alike, no statement above may have hit upon two.
    """
    told = {f.object for f in findings if f.code in ("old-release-breaks", MAY)}
    for finding in findings:
        about = finding.object
        if (
            finding.code == "may-fail-duplicates"
            and about.startswith("table ")
            and about not in told
        ):
            told.add(about)
            yield replace(
                finding,
                code=MAY,
                message=f"INSERT and UPDATE on {about.removeprefix('table ')} fail from now on"
                " for a row that is like another one.",
                level=CODES[MAY].level,
                remedy=ADVICE[MAY],
            )


def of_checks(before: Snapshot, after: Snapshot, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Tell that a new check is one for rows to come, where no statement above was refused by it.

    Both ends of numbers and dates were sent; of texts there is no end. One in place of another on
    the same columns may as well allow more; there, what is refused is all that is known.
    """
    told = {f.object for f in findings if f.code in ("old-release-breaks", MAY)}
    kept = {_condition(item) for item in before.of_kind("constraint")}
    replaced = {
        (item.key.name[:2], _columns(item, before))
        for item in before.of_kind("constraint")
        if item.key not in after.items or _condition(item) != _condition(after.items[item.key])
    }
    for item in after.of_kind("constraint"):
        columns = _columns(item, before)
        about = f"table {'.'.join(item.key.name[:2]).removeprefix('public.')}"
        new = _condition(item) not in kept and (item.key.name[:2], columns) not in replaced
        texts = any(_is_endless(item.key.name[:2], column, before) for column in columns)
        if texts and new and about not in told and not _holds(item, columns, before):
            told.add(about)
            definition = str(item.attributes["definition"])
            yield Finding(
                MAY,
                f"INSERT and UPDATE on {about.removeprefix('table ')} fail from now on for a row"
                f" that does not satisfy {item.key.name[-1]}.",
                level=CODES[MAY].level,
                object=about,
                found=definition,
                remedy=ADVICE[MAY],
            )


def of_domains(before: Snapshot, after: Snapshot, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Tell that a new check of a domain that columns have is one for rows to come.

    Also one that rows are not read for, being NOT VALID.
    """
    told = {f.object for f in findings if f.code in ("old-release-breaks", MAY)}
    for item in after.of_kind("domain constraint"):
        domain = item.key.name[:2]
        users = [
            column.key.name[:2]
            for column in before.of_kind("column")
            if str(column.attributes["type"]).removesuffix("[]")
            in (".".join(domain), ".".join(domain).removeprefix("public."))
        ]
        same = item.key in before.items or _replaced(domain, before, after)
        tables = dict.fromkeys(".".join(name).removeprefix("public.") for name in users)
        for table in tables if not same else ():
            if f"table {table}" not in told:
                told.add(f"table {table}")
                yield Finding(
                    MAY,
                    f"INSERT and UPDATE on {table} fail from now on for a value that does not"
                    f" satisfy {item.key.name[-1]} of {'.'.join(domain).removeprefix('public.')}.",
                    level=CODES[MAY].level,
                    object=f"table {table}",
                    found=str(item.attributes["definition"]),
                    remedy=ADVICE[MAY],
                )


def _replaced(domain: tuple[str, ...], before: Snapshot, after: Snapshot) -> bool:
    """Whether a check of a domain is gone, so that a new one may allow more."""
    return any(
        c.key.name[:2] == domain and c.key not in after.items
        for c in before.of_kind("domain constraint")
    )


def of_types(before: Snapshot, after: Snapshot, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Tell that a narrower integer is narrower for values to come, such as those of a key.

    Of keys only such values are sent as there are; of other columns, and types, the ends are.
    """
    told = {f.object for f in findings if f.code in ("old-release-breaks", MAY)}
    for item in before.of_kind("column"):
        table, column = item.key.name[:2], item.key.name[-1]
        about = f"table {'.'.join(table).removeprefix('public.')}"
        new = after.items.get(item.key)
        if new is None or about in told or Key("table", table) not in before.items:
            continue
        old_type, new_type = str(item.attributes["type"]), str(new.attributes["type"])
        integers = {old_type, new_type} <= {"smallint", "integer", "bigint"}
        if integers and not fits(old_type, new_type):
            told.add(about)
            yield Finding(
                MAY,
                f"INSERT and UPDATE on {about.removeprefix('table ')} fail from now on for a value"
                f" of {column} that {new_type} does not hold.",
                level=CODES[MAY].level,
                object=about,
                found=f"{column}: {old_type} → {new_type}",
                remedy=ADVICE[MAY],
            )


def _condition(item: Item) -> tuple[tuple[str, ...], str]:
    definition = str(item.attributes["definition"]).removesuffix(" NOT VALID")
    return item.key.name[:2], definition


def _columns(item: Item, before: Snapshot) -> frozenset[str]:
    """Return the columns of a check that were there before, if it is one and enforced."""
    definition = str(item.attributes["definition"])
    if not definition.startswith("CHECK") or not item.attributes["enforced"]:
        return frozenset()
    table = item.key.name[:2]
    return frozenset(
        word
        for word in re.findall(r"\w+", definition)
        if Key("column", (*table, word)) in before.items
    )


def _is_endless(table: tuple[str, ...], column: str, before: Snapshot) -> bool:
    """Whether a type has more kinds of values than can be sent."""
    type_ = str(before.items[Key("column", (*table, column))].attributes["type"])
    return type_.startswith((*STRINGS, "json", "bytea")) or type_.endswith("[]")


def _holds(item: Item, columns: frozenset[str], before: Snapshot) -> bool:
    """Whether a check says no more than that a column that takes no NULL holds none."""
    (column, *more) = columns
    known = before.items[Key("column", (*item.key.name[:2], column))]
    said = _condition(item)[1].replace('"', "")
    return not (more or known.attributes["nullable"] or said != f"CHECK (({column} IS NOT NULL))")
