"""Differences as findings: what is said of them, to whom they lead, and what would mend them."""

from collections.abc import Iterable, Iterator

from project.schema.checking.origin import origin
from project.schema.checking.remedy import remedy
from project.schema.facts import MetadataFacts
from project.schema.finding import Finding
from project.schema.snapshot import MISSING, Difference, Key, Snapshot, shown

#: Kinds whose items go with another: where one side lacks that, they are not said one by one.
PARTS = {
    *("column", "constraint", "index", "trigger", "rule", "policy"),
    *("domain constraint", "user mapping", "privileges on column"),
}
WHOLES = {"table", "view", "domain", "foreign server"}


def said(
    differing: Iterable[Difference],
    sides: tuple[Snapshot, Snapshot],
    here: str,
    there: str,
    facts: MetadataFacts | None,
) -> Iterator[Finding]:
    """Say each difference; what belongs to a table that is missing as a whole goes with it.

    Args:
        differing: What differs.
        sides: What was expected, and what was found.
        here: What the expected side is called: "the models".
        there: What the other one is called.
        facts: Where the models are written, if they are the expected side.

    """
    listed = list(differing)
    whole = {d.key.name for d in listed if d.key.kind in WHOLES and d.attribute is None}
    for difference in listed:
        key = difference.key
        if key.kind in PARTS and key.name[:-1] in whole:
            continue
        path, line = place(facts, key)
        yield Finding(
            f"{key.kind.replace(' ', '-')}-{_code(difference)}",
            _sentence(difference, here, there),
            object=str(key),
            attribute=difference.attribute or "",
            expected=shown(difference.expected),
            found=shown(difference.found),
            remedy=remedy(difference, *sides),
            path=path,
            line=line,
            origin="" if facts is None else origin(difference),
        )


def reordered(
    differing: Iterable[Difference], here: str, there: str, facts: MetadataFacts | None
) -> Iterator[Finding]:
    """Say in which tables the columns stand in another order: information, and no more."""
    for difference in differing:
        path, line = place(facts, difference.key)
        yield Finding(
            "column-order",
            f"The columns of {difference.key} stand in another order in {there} than in {here}.",
            level="note",
            object=str(difference.key),
            attribute=difference.attribute or "",
            expected=shown(difference.expected),
            found=shown(difference.found),
            path=path,
            line=line,
            origin="" if facts is None else origin(difference),
        )


def _code(difference: Difference) -> str:
    if difference.found is MISSING:
        return "missing"
    return "unexpected" if difference.expected is MISSING else "differs"


def _sentence(difference: Difference, here: str, there: str) -> str:
    if difference.found is MISSING:
        return f"The {difference.key} is in {here} and not in {there}."
    if difference.expected is MISSING:
        return f"The {difference.key} is in {there} and not in {here}."
    return f"The {difference.attribute} of {difference.key} differs between {here} and {there}."


def place(facts: MetadataFacts | None, key: Key) -> tuple[str, int]:
    """Find the line of the model that declares the object, or else its table."""
    if facts is None:
        return "", 0
    for name in (key.name[:3], key.name[:2]):
        if place := facts.places.get(".".join(name)):
            return place
    return "", 0
