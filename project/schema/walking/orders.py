"""A merge is one schema, whichever of its branches came first.

Two branches were written side by side, and a database may have had either before the other. What
each makes alone says nothing of both: one may find a table there that the other has made.
"""

from collections.abc import Iterator

from project.schema import scratch
from project.schema.catalog import read
from project.schema.connections import connected
from project.schema.equivalence import without_equivalents
from project.schema.finding import Finding
from project.schema.snapshot import differences, shown, without_parts
from project.schema.source import Revision, SourceError
from project.schema.walking.undoing import about
from project.schema.walking.walk import Walk


def other_order(walk: Walk, merge: Revision) -> Iterator[Finding]:
    """Upgrade another database by the branches of a merge the other way round, and compare.

    Args:
        walk: Which stands at the merge.
        merge: A revision that builds on several; of any other nothing is said.

    Raises:
        ScratchError: the server gives no scratch database.

    """
    if len(merge.down_revisions) == 1 or not merge.down_revisions:
        return
    places = {revision.revision: place for place, revision in enumerate(walk.source.revisions)}
    branches = sorted(merge.down_revisions, key=lambda name: -places[name])
    order = ", then ".join(branches)
    with scratch.database(walk.server) as other:
        walk.project.begin(other)
        try:
            for name in (*branches, merge.revision):
                walk.source.upgrade(other, name)
        except SourceError as error:
            message = (
                f"The branches that {merge.revision} merges fail in the order {order}: {error}"
            )
            yield about(merge, "order-matters", message)
            return
        with connected(other) as connection:
            here = walk.catalog()
            there = read(connection, walk.leave_out, privileges=walk.privileges)
            differing = without_equivalents(differences(here, there), here, there, connection)
    for difference in without_parts(differing):
        what = f"the {difference.attribute} of " if difference.attribute else ""
        yield about(
            merge,
            "order-matters",
            f"With the branches of {merge.revision} in the order {order}, {what}{difference.key}"
            " is another.",
            object=str(difference.key),
            attribute=difference.attribute or "",
            expected=shown(difference.expected),
            found=shown(difference.found),
            remedy="let the one branch build on the other",
        )
