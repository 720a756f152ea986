"""Where a history ends, what is wrong with it, and where a database stands in it."""

from collections.abc import Collection, Iterable, Iterator

from project.schema.finding import Finding
from project.schema.source import History, Revision, Source


def graph(history: History) -> Iterator[Finding]:
    """Find what is wrong with a history itself: several heads, downgrades that do nothing."""
    heads = history.heads
    if len(heads) > 1 and not _apart(history):
        yield Finding(
            "several-heads",
            f"The history has {len(heads)} heads, {', '.join(sorted(heads))}: "
            "whoever upgrades to head is refused.",
            remedy=f'alembic merge -m "merge" {" ".join(sorted(heads))}',
        )
    for revision in history.revisions:
        if revision.empty_downgrade or not revision.has_downgrade:
            yield Finding(
                "no-downgrade",
                f"Revision {revision.revision} changes the schema and its downgrade does nothing."
                if revision.has_downgrade
                else f"Revision {revision.revision} has no downgrade.",
                remedy="undo the upgrade, or raise with a sentence that says why it cannot be",
                object=f"revision {revision.revision}",
                path=str(revision.path),
                line=1,
            )


def _apart(history: History) -> bool:
    """Tell whether each head ends a branch that has a label of its own, so that all are meant."""
    labels = {each.revision: set(each.branch_labels) for each in history.revisions}
    return all(
        labels[head].difference(*(labels[other] for other in history.heads if other != head))
        for head in history.heads
    )


def ancestors(source: Source, stamped: Collection[str]) -> set[str]:
    """Return the revisions that a database has which is stamped with some of them."""
    parents = {r.revision: (*r.down_revisions, *r.dependencies) for r in source.revisions}
    seen: set[str] = set()
    left = list(stamped)
    while left:
        revision = left.pop()
        if revision not in seen:
            seen.add(revision)
            left += parents.get(revision, ())
    return seen


def strange(revisions: Iterable[str]) -> Iterator[Finding]:
    """Find that a database stands at revisions of another history."""
    for revision in sorted(revisions):
        yield Finding(
            "unknown-revision",
            f"The database stands at {revision}, which these migrations do not know.",
            object=f"revision {revision}",
            remedy="check with the code that migrated the database",
        )


def pending(revisions: Iterable[Revision]) -> Iterator[Finding]:
    """Note the revisions that have not reached a database."""
    for revision in revisions:
        yield Finding(
            "pending",
            f"Revision {revision.revision} ({revision.doc}) has not reached the database.",
            level="note",
            object=f"revision {revision.revision}",
            path=str(revision.path),
        )


def length(history: History) -> str:
    """Say how long a history is."""
    return f"{len(history.revisions)} revisions, head {', '.join(history.heads) or 'none'}"
