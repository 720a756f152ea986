"""Which revisions are asked about."""

import subprocess
from pathlib import Path

from project.schema.configuration import UsageError
from project.schema.source import History

#: What new work is compared with, where nothing else is said.
TRUNK = "origin/main"


def chosen(history: History, named: str | None, since: str | None, folder: Path) -> set[str]:
    """Return the revisions to review.

    Args:
        history: All revisions.
        named: A revision, or ``BASE..HEAD``: those that HEAD builds on and BASE does not.
        since: A commit of git; its revisions are left out.
        folder: The project's, in which git is asked.

    Raises:
        UsageError: there is no such revision, or git does not know the commit.

    """
    if named and since:
        raise UsageError("Name revisions, or a commit with --since; not both.")
    if named:
        base, dots, head = named.partition("..")
        if not dots:
            return {_known(history, named)}
        return _ancestors(history, head or "heads") - _ancestors(history, base or "base")
    try:
        new = added_since(since or TRUNK, folder)
    except UsageError:
        if since:
            raise
        return set(history.heads)
    found = {r.revision for r in history.revisions if r.path.resolve() in new}
    if not found and since:
        raise UsageError(f"No revision is new since {since}.")
    return found or set(history.heads)


def _ancestors(history: History, name: str) -> set[str]:
    """Return what a revision builds on, and itself."""
    below = {r.revision: (*r.down_revisions, *r.dependencies) for r in history.revisions}
    if name == "base":
        return set()
    found: set[str] = set()
    open_ = list(history.heads) if name in ("head", "heads") else [_known(history, name)]
    while open_:
        one = open_.pop()
        if one not in found:
            found.add(one)
            open_ += below[one]
    return found


def _known(history: History, name: str) -> str:
    """Complete the beginning of a revision's name, as Alembic does."""
    if name in ("head", "heads") and len(history.heads) == 1:
        return history.heads[0]
    matching = [r.revision for r in history.revisions if r.revision.startswith(name)]
    if name in matching:
        return name
    if len(matching) != 1:
        raise UsageError(f"There is no revision {name}." if not matching else f"{name} is several.")
    return matching[0]


def added_since(base: str, folder: Path) -> set[Path]:
    """Return the files that git has, or could add, and that the commit has not.

    Raises:
        UsageError: git does not know the commit.

    """
    git = ["git", "-C", str(folder)]
    diff = subprocess.run(  # noqa: S603
        [*git, "diff", "--name-only", "--diff-filter=A", "--relative", base, "--"],
        capture_output=True,
        check=False,
        text=True,
    )
    if diff.returncode:
        raise UsageError(f"git cannot compare with {base}: {diff.stderr.strip().splitlines()[0]}")
    others = subprocess.run(  # noqa: S603
        [*git, "ls-files", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        text=True,
    )
    names = (diff.stdout + others.stdout).splitlines()
    return {(folder / name).resolve() for name in names}
