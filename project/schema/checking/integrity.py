"""Was a revision edited after it was recorded?

The record is a file beside the revisions, one line for each, the head last: two branches that add a
revision conflict in git there, as their heads do in Alembic.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from project.schema.finding import Finding
from project.schema.source import History, Revision

FILE = "revisions.txt"


def record(history: History) -> Path:
    """Write the record anew, and return the file."""
    path = _path(history)
    path.write_text("".join(f"{r.revision} {_digest(r)}\n" for r in history.revisions))
    return path


def edited(history: History) -> Iterator[Finding]:
    """Compare the revisions with the record; without one there is nothing to say."""
    path = _path(history)
    if not path.is_file():
        return
    recorded = dict(line.split() for line in path.read_text().splitlines() if line.strip())
    for revision in history.revisions:
        digest = recorded.pop(revision.revision, None)
        if digest is None:
            yield _about(
                revision,
                "not-recorded",
                f"Revision {revision.revision} is new: once it is released, it must not change.",
                level="note",
            )
        elif digest != _digest(revision):
            yield _about(
                revision,
                "edited",
                f"Revision {revision.revision} was edited after it was recorded; databases that"
                " have run it already will not run it again.",
            )
    yield from _gone(recorded, path)


def _gone(recorded: Iterable[str], path: Path) -> Iterator[Finding]:
    for revision in recorded:
        yield Finding(
            "revision-gone",
            f"Revision {revision} was recorded and is gone; databases may stand at it.",
            object=f"revision {revision}",
            path=str(path),
            remedy="bring it back, or record the history anew: check --record",
        )


def _about(revision: Revision, code: str, message: str, *, level: str = "error") -> Finding:
    return Finding(
        code,
        message,
        level="note" if level == "note" else "error",
        object=f"revision {revision.revision}",
        path=str(revision.path),
        line=1,
        remedy="record it: check --record" if level == "note" else "undo the edit; add a revision",
    )


def _path(history: History) -> Path:
    return history.locations[0].parent / FILE


def _digest(revision: Revision) -> str:
    # As git may check it out: with the line ends of another system.
    text = "\n".join(revision.path.read_text().splitlines())
    return hashlib.sha256(text.encode()).hexdigest()[:32]
