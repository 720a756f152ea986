"""A stretch of a history, walked from one end to the other."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from threading import Event

from project.schema.finding import Finding
from project.schema.source import Revision, SourceError
from project.schema.walking import orders
from project.schema.walking.proving import blame_no_revision, prove
from project.schema.walking.undoing import failed
from project.schema.walking.walk import Walk

#: Told which revision comes next.
Tell = Callable[[Revision], None]


@dataclass
class Stretch:
    """What was found on a stretch."""

    findings: list[Finding] = field(default_factory=list)
    proved: int = 0
    ended: bool = False  # before the end of the stretch: an upgrade fails on empty tables, too


def walked(  # noqa: PLR0913
    walk: Walk,
    way: Sequence[Revision],
    places: range,
    chosen: Collection[str],
    *,
    tell: Tell,
    called_off: Event | None = None,
) -> Stretch:
    """Prove what is chosen of a stretch, and go through the rest of it.

    Args:
        walk: Which stands where the stretch begins.
        way: The revisions, each after those that it builds on.
        places: Which of them the stretch is.
        chosen: The revisions to prove.
        tell: Told before each revision.
        called_off: Set when nobody wants to know any more.

    Raises:
        ScratchError: the server has failed, or lacks an extension.
        SourceError: the process of the project is gone.

    """
    stretch = Stretch()
    for place in places:
        if called_off is not None and called_off.is_set():
            break
        revision = way[place]
        tell(revision)
        try:
            if revision.revision in chosen:
                stretch.findings += [
                    *prove(walk, revision, place),
                    *orders.other_order(walk, revision),
                ]
                stretch.proved += 1
            else:
                walk.upgrade(revision)
        except SourceError as error:
            blame_no_revision(walk, error)
            stretch.findings.append(
                failed(revision, "upgrade", error, remedy=walk.project.beginning(error))
            )
            stretch.ended = True
            break
    return stretch
