"""The project as production runs it: of the commit on which new work builds, from git."""

import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from project.schema.configuration import Project, UsageError
from project.schema.selection import TRUNK


@dataclass(frozen=True)
class Previous:
    """The project of another commit, in a folder of its own."""

    project: Project | None  # None where there is none to be had
    said: str  # which it is, or why there is none


@contextmanager
def previous(
    project: Project, new: Sequence[Path], running: str | None = None
) -> Iterator[Previous]:
    """Yield the project as it was without new revisions.

    Args:
        project: As it is now.
        new: The files of the revisions that production does not have.
        running: The commit that production runs. Without it, the one on which the branch of the
            revisions builds: where it left ``origin/main``, or else the last one without them.

    Raises:
        UsageError: git does not know the commit that is named.

    """
    try:
        top = Path(_git(project.ini.parent, "rev-parse", "--show-toplevel"))
        commit = _commit(top, new, running)
    except _GitError as error:
        if running:
            raise UsageError(f"git does not know the commit {running}: {error}") from None
        yield Previous(None, f"not known: {error}")
        return
    with TemporaryDirectory(prefix="previous-") as made:
        folder = Path(made).resolve()
        _extract(top, commit, folder)
        ini = folder / project.ini.relative_to(top)
        if not ini.is_file():
            yield Previous(None, f"not known: commit {commit[:10]} has no {project.ini.name}")
            return
        run_in = project.folder or project.ini.parent
        there = folder / run_in.relative_to(top) if run_in.is_relative_to(top) else run_in
        yield Previous(
            replace(project, ini=ini, folder=there, moved=(top, folder)),
            f"the models of commit {commit[:10]}",
        )


class _GitError(Exception):
    """There is no git, no repository or no such commit; the message says which."""


def _commit(top: Path, new: Sequence[Path], running: str | None) -> str:
    if running:
        given = _git(top, "rev-parse", "--verify", "--quiet", f"{running}^{{commit}}")
        try:
            return _git(top, "merge-base", given, "HEAD")  # a branch may have moved on
        except _GitError:
            return given
    names = [path.resolve().relative_to(top).as_posix() for path in new]
    try:
        left = _git(top, "merge-base", TRUNK, "HEAD")
        if not _git(top, "ls-tree", "--name-only", left, "--", *names):
            return left
    except _GitError:
        pass  # no such branch: the history of the files tells
    added = _git(top, "log", "--diff-filter=A", "--format=%H", "--", *names).split()
    return _git(top, "rev-parse", "--verify", "--quiet", f"{added[-1]}^" if added else "HEAD")


def _extract(top: Path, commit: str, folder: Path) -> None:
    archive = ["git", "-C", str(top), "archive", "--format=tar", commit]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            tar.extractall(folder, filter=_inside)  # noqa: S202


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Leave out links that lead out of the folder."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        return None


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *words],  # noqa: S607
            capture_output=True,
            check=False,
            text=True,
        )
    except OSError:
        raise _GitError("there is no git") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"there is no {words[-1]}"])[0]
        raise _GitError(said.removeprefix("fatal: ").rstrip("."))
    return done.stdout.strip()
