"""Every revision there and back again, with rows in the tables.

Before each revision every table holds rows that satisfy the catalog. Then: up; down, after which
the catalog and the rows must be what they were; up again, after which the catalog must be what it
was the first time. At the end the history goes down to base and must leave nothing behind.

A loss of rows that is meant is declared in the revision's file, with its reason::

    # loses: my_table.note, which nobody has filled since 2024

So is what rows must be like for an upgrade to pass, such as one that adds a unique constraint; it
is then proved with rows like that::

    # assumes: no rows repeat: SELECT name FROM my_table GROUP BY name HAVING count(*) > 1
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

import sqlalchemy as sa

from project.schema.configuration import Project
from project.schema.finding import Finding, Report
from project.schema.progress import Progress, silent
from project.schema.selection import Selection
from project.schema.snapshot import Snapshot, differences, without_parts
from project.schema.source import Revision, SourceError
from project.schema.walking import beside
from project.schema.walking.proving import blame_no_revision, refused_by_rows
from project.schema.walking.stretch import walked
from project.schema.walking.undoing import about
from project.schema.walking.walk import Walk, opened

#: Seed of the generated rows; the same seed makes the same rows.
SEED = 1

#: Rows of a table: each is of another kind (``rows.proposals``).
ROWS = 10

ALL = Selection()

NOT_IN_ONE_GO = "The history does not go down to base in one go"


def roundtrip(  # noqa: PLR0913
    project: Project,
    server: sa.URL,
    *,
    only: Selection = ALL,
    seed: int = SEED,
    rows_per_table: int = ROWS,
    progress: Progress = silent,
    walks: int | None = None,
) -> Report:
    """Walk the history.

    Args:
        project: Whose history.
        server: Where the scratch database is made.
        only: The revisions to prove. The others are only gone through, as far as the last of these.
        seed: Of the generated rows.
        rows_per_table: How many rows each table holds at least; with 0 only schemas are proved.
        progress: Told before each revision how many are done, of how many, and which comes.
        walks: How many walk beside each other, 1 or 2, with the same result; None for what pays.

    Raises:
        SourceError: the project cannot be imported, or has no such revision.
        UsageError: no revision is meant, or git does not know the commit.
        ScratchError: the server gives no scratch database, or is gone in the middle.

    """
    with opened(project, server, seed, rows_per_table) as walk:
        walk.begin_after(0)
        empty = walk.catalog()
        chosen = only.of(walk.source)
        way = _as_far_as(chosen, walk.source.revisions)
        begins = beside.part(way, chosen, walks)
        telling = _Telling(progress, len(way))
        with beside.second(walk, way, begins, chosen, tell=telling.tell) as second:
            parts = [walked(walk, way, range(begins), chosen, tell=telling.tell)]
            last = walk
            if second is not None and not parts[0].ended:
                if (rest := second.rest(walk)) is not None:
                    last = second.walk
                else:
                    telling.done = begins
                    places = range(begins, len(way))
                    rest = walked(walk, way, places, chosen, tell=telling.tell)
                parts.append(rest)
            disturbed = second is not None and second.disturbed(walk)
            findings = [finding for part in parts for finding in part.findings]
            reversible = all(r.has_downgrade and not r.downgrade_raises for r in way)
            if reversible and not any(part.ended for part in parts):
                asked = [revision for revision in way if revision.revision in chosen]
                findings += _down_to_base(last, empty, asked, findings)
    if disturbed:
        return roundtrip(
            project,
            server,
            only=only,
            seed=seed,
            rows_per_table=rows_per_table,
            progress=progress,
            walks=1,
        )
    proved = sum(part.proved for part in parts)
    facts = (f"{proved} of {len(way)} revisions proved with rows in the tables (seed {seed})",)
    return project.relative(Report("every revision up, down and up again", tuple(findings), facts))


@dataclass
class _Telling:
    """Tells how far two walks have come together."""

    progress: Progress
    number: int
    done: int = 0
    lock: Lock = field(default_factory=Lock)

    def tell(self, revision: Revision) -> None:
        with self.lock:
            self.progress(self.done, self.number, revision.revision)
            self.done += 1


def _as_far_as(chosen: Collection[str], revisions: Sequence[Revision]) -> Sequence[Revision]:
    """Return the revisions up to the last one of those that were chosen."""
    places = [place for place, each in enumerate(revisions) if each.revision in chosen]
    return revisions[: places[-1] + 1 if places else 0]


def _on_the_way(error: SourceError, asked: Iterable[Revision], code: str, message: str) -> Finding:
    """Say what happened on the way to base, of the revision if it was asked about."""
    level = "note" if code == "downgrade-refused" else "error"
    said = f"{message}: {error}"
    for revision in asked:
        if revision.revision == error.revision:
            return about(revision, code, said, level=level)
    return Finding(code, said, level=level)  # type: ignore[arg-type]


def _down_to_base(
    walk: Walk, empty: Snapshot, asked: Iterable[Revision], said: Collection[Finding]
) -> Iterator[Finding]:
    """Go down in one go, and say what a revision alone has not been blamed for already."""
    if any(finding.code == "downgrade-failed" for finding in said):
        return
    blamed = {(finding.object, finding.attribute) for finding in said}
    try:
        walk.downgrade_to_base()
    except SourceError as error:
        blame_no_revision(walk, error)
        if not refused_by_rows(error):
            yield _on_the_way(error, asked, "downgrade-failed", NOT_IN_ONE_GO)
            return
        # Each has been taken back with rows of the schema before it. What a later one allows, such
        # as a longer text, or a row in a table that it has made itself, it need not take.
        message = "Down to base in one go, rows of later revisions are refused"
        yield _on_the_way(error, asked, "downgrade-refused", message)
        walk.clear()
        try:
            walk.downgrade_to_base()
        except SourceError as again:
            blame_no_revision(walk, again)
            yield _on_the_way(again, asked, "downgrade-failed", NOT_IN_ONE_GO)
            return
    for difference in without_parts(differences(empty, walk.catalog())):
        if (str(difference.key), difference.attribute or "") in blamed:
            continue
        yield Finding(
            "left-behind",
            f"Down at base, {difference.key} is still there."
            if difference.attribute is None
            else f"Down at base, the {difference.attribute} of {difference.key} is not as it was.",
            object=str(difference.key),
            attribute=difference.attribute or "",
        )
