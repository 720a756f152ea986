"""What is said of a revision that cannot be undone, or of what its way up and down has left."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from project.schema import rows
from project.schema.finding import Finding
from project.schema.snapshot import Difference, Key, Snapshot, shown, without_parts
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


@dataclass(frozen=True)
class Passage:
    """What a revision was proved on: the catalog and the rows before, above, and below again."""

    before: Snapshot
    above: Snapshot
    rows_before: rows.Contents
    rows_after: rows.Contents

    def replaces_nulls(self, loss: rows.Loss) -> bool:
        """Whether values in place of NULL are what a revision of this kind is for.

        It fills a column, or allows no NULL in it or in what takes its place. Where it converts the
        column, or keeps its values elsewhere, NULL is a value to be kept as others are.
        """
        table = (loss.schema, loss.table)
        key = Key("column", (*table, str(loss.column)))
        was, became = self.before.items.get(key), self.above.items.get(key)
        if became is None:
            new = self.above.items.keys() - self.before.items.keys()
            here = [each for each in new if each.kind == "column" and each.name[:-1] == table]
            return Key("table", table) not in self.above.items or any(
                not self.above.items[each].attributes.get("nullable", True) for each in here
            )
        if not became.attributes.get("nullable", True):
            return True
        return was is None or was.attributes.get("type") == became.attributes.get("type")

    def replaces_default(self, loss: rows.Loss) -> bool:
        """Whether nobody has written to the column, so that all rows have what it began with."""
        table = (loss.schema, loss.table)
        key = Key("column", (*table, str(loss.column)))
        was, became = self.before.items.get(key), self.above.items.get(key)
        if was is None or became is None or loss.column not in self.rows_before[table].monotonous:
            return False
        default, type_ = (str(was.attributes.get(name) or "") for name in ("default", "type"))
        return rows.is_constant(default or None) and became.attributes.get("type") == type_


def lost(revision: Revision, passage: Passage) -> Iterator[Finding]:
    """Tell what rows a way up and down loses."""
    before, after = passage.rows_before, passage.rows_after
    declarations = LOSES.findall(Path(revision.path).read_text())
    names = {name for table in before for name in (table[1], *before[table].columns)}
    for loss in rows.losses(before, after):
        declared = next((text for text in declarations if _covers(text, loss, names)), "")
        of_nulls = loss.of_nulls and passage.replaces_nulls(loss)
        if of_nulls or passage.replaces_default(loss):
            what = "NULL" if of_nulls else "the default"
            yield about(
                revision,
                "nulls-filled" if of_nulls else "defaults-filled",
                f"Up and down again, revision {revision.revision} leaves values in place of {what}"
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
            + (f", as it declares: {declared}." if declared else "."),
            level="note" if declared else "error",
            object=f"{kind} {name}",
            found=loss.example,
            remedy="" if declared else "keep the rows, or declare the loss: # loses: …, because …",
        )


def _covers(declaration: str, loss: rows.Loss, names: Collection[str]) -> bool:
    """Tell whether a declaration is about a loss; one that begins with no name is about all.

    ``note.text, which …`` is about that column, ``note, which …`` about everything in that table.
    """
    known = set()
    for word in re.findall(r"[\w.]+", declaration):
        name = word.strip(".").rpartition(".")[2]
        if name in names:
            known.add(name)
        elif name != "and":
            break
    return not known or loss.table in known or loss.column in known


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
