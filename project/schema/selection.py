"""Which revisions of a history are asked about."""

import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from project.schema.configuration import UsageError
from project.schema.source import Source


@dataclass(frozen=True)
class Selection:
    """Revisions, by name or by when they came; all of them if neither is given."""

    names: Collection[str] = ()  # as Alembic takes them, and ranges of such: ``base..head``
    since: str | None = None  # only those whose files are new since this commit

    def of(self, source: Source) -> set[str]:
        """Return the revisions that are meant.

        Raises:
            SourceError: there is no such revision.
            UsageError: git does not know the commit, or nothing is meant.

        """
        chosen = {revision.revision for revision in source.revisions}
        if self.names:
            chosen = {revision for name in self.names for revision in source.select(name)}
            if not chosen:
                raise UsageError(f"There is no revision in {' '.join(self.names)}.")
        if self.since is not None:
            new = added_since(self.since, source.ini.parent)
            chosen &= {r.revision for r in source.revisions if r.path.resolve() in new}
        return chosen


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
