"""What is said of a revision that cannot be undone, or of what its way up and down has left."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from project.schema import rows
from project.schema.finding import Finding
from project.schema.snapshot import Difference, shown, without_parts
from project.schema.source import Revision, SourceError

#: How a revision's file declares that rows are lost on purpose.
LOSES = re.compile(r"^\s*# loses: *(.*)$", re.MULTILINE)


def irreversible(revision: Revision) -> Finding:
    """Note that a revision cannot be undone, on purpose."""
    return about(
        revision,
        "irreversible",
        f"Revision {revision.revision} cannot be undone, and says so.",
        level="note",
    )


def not_the_same(
    revision: Revision, step: str, differing: Collection[Difference]
) -> Iterator[Finding]:
    """Tell what a step should have left as it was."""
    for difference in without_parts(differing):
        what = f"the {difference.attribute} of " if difference.attribute else ""
        yield about(
            revision,
            "not-restored" if step == "downgrade" else "not-repeated",
            f"After the {step} of revision {revision.revision}, {what}{difference.key}"
            f" is not what it was.",
            object=str(difference.key),
            attribute=difference.attribute or "",
            expected=shown(difference.expected),
            found=shown(difference.found),
        )


def lost(revision: Revision, before: rows.Contents, after: rows.Contents) -> Iterator[Finding]:
    """Tell what rows a way up and down loses."""
    declared = LOSES.search(Path(revision.path).read_text())
    for loss in rows.losses(before, after):
        if loss.of_nulls:
            yield about(
                revision,
                "nulls-filled",
                f"Up and down again, revision {revision.revision} leaves values in place of NULL"
                f" in {loss.schema}.{loss.table}.{loss.column}.",
                level="note",
                object=f"column {loss.schema}.{loss.table}.{loss.column}",
                found=loss.example,
            )
            continue
        name = ".".join(filter(None, (loss.schema, loss.table, loss.column)))
        kind, what = ("column", "value") if loss.column else ("table", "row")
        number = f"{loss.count} {what}{'s' * (loss.count != 1)}"
        yield about(
            revision,
            "rows-lost",
            f"Up and down again, revision {revision.revision} loses {number} of {name}"
            + (f", as it declares: {declared[1]}." if declared else "."),
            level="note" if declared else "error",
            object=f"{kind} {name}",
            found=loss.example,
            remedy="" if declared else "keep the rows, or declare the loss: # loses: …, because …",
        )


def failed(
    revision: Revision, step: str, error: SourceError, when: str = "", *, remedy: str = ""
) -> Finding:
    """Say that a step fails."""
    return about(
        revision,
        f"{step.replace(' ', '-')}-failed",
        f"The {step} of revision {revision.revision} fails{when}: {error}",
        remedy=remedy,
    )


def about(revision: Revision, code: str, message: str, **values: str) -> Finding:
    """Say something of a revision as a whole."""
    fields = {"object": f"revision {revision.revision}", "path": str(revision.path), **values}
    return Finding(code=code, message=message, line=1, **fields)  # type: ignore[arg-type]
