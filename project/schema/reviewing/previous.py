"""The project as production runs it: of the commit on which new work builds, from git."""

import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import sqlalchemy as sa

from project.schema.configuration import Project, UsageError
from project.schema.selection import TRUNK
from project.schema.source import Source


@dataclass(frozen=True)
class Commit:
    """What production runs, as git knows it."""

    top: Path  # of the repository
    name: str  # empty where it is not known
    reason: str = ""  # why it is not


@dataclass(frozen=True)
class Previous:
    """The project of another commit, in a folder of its own."""

    project: Project | None  # None where there is none to be had
    said: str  # which it is, or why there is none


def commit(project: Project, new: Sequence[Path], running: str | None = None) -> Commit:
    """Find the commit that production runs.

    Args:
        project: As it is now.
        new: The files of the revisions that production does not have.
        running: The commit, if it is known. Without it, the one on which the branch of the
            revisions builds: where it left ``origin/main``, or else the last one without them.

    Raises:
        UsageError: git does not know the commit that is named.

    """
    folder = project.ini.parent
    try:
        top = Path(_git(folder, "rev-parse", "--show-toplevel"))
        return Commit(top, _commit(top, new, running))
    except _GitError as error:
        if running:
            raise UsageError(f"git does not know the commit {running}: {error}") from None
        return Commit(folder, "", str(error))


@contextmanager
def previous(project: Project, commit: Commit) -> Iterator[Previous]:
    """Yield the project as it was in a commit."""
    if not commit.name:
        yield Previous(None, f"not known: {commit.reason}")
        return
    top = commit.top
    with TemporaryDirectory(prefix="previous-") as made:
        folder = Path(made).resolve()
        _extract(top, commit.name, folder)
        ini = folder / project.ini.relative_to(top)
        if not ini.is_file():
            yield Previous(None, f"not known: commit {commit.name[:10]} has no {project.ini.name}")
            return
        run_in = project.folder or project.ini.parent
        there = folder / run_in.relative_to(top) if run_in.is_relative_to(top) else run_in
        yield Previous(
            replace(project, ini=ini, folder=there, moved=(top, folder)),
            f"the models of commit {commit.name[:10]}",
        )


@dataclass
class Release:
    """The release still running, whose models are imported while other things are done.

    To import them may take as long as all the rest of a large project, so it begins with the commit
    that is likely, before the new revisions are known, and anew if it is another one.
    """

    project: Project
    base: sa.URL
    running: str | None
    stack: ExitStack = field(default_factory=ExitStack)
    aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2))
    commit: Commit | None = None
    models: Source | None = None  # None where there are none to be had
    said: str = ""
    imported: list[Future[None]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.take(())
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None and self.models is not None:
            self.models.kill()  # nobody waits for what is still imported
        self.aside.shutdown()
        self.stack.close()

    def take(self, new: Sequence[Path]) -> None:
        """Take the commit on which the files of new revisions build, if it is not taken already.

        Raises:
            UsageError: git does not know the commit that is named.

        """
        found = commit(self.project, new, self.running)
        if found == self.commit:
            return
        if self.models is not None:
            self.models.kill()
        self.commit, self.models = found, None
        old = self.stack.enter_context(previous(self.project, found))
        self.said = old.said
        if old.project is not None:
            self.models = self.stack.enter_context(old.project.open(self.base))
            self.imported.append(self.aside.submit(self.models.imports))

    def wait(self) -> None:
        """Wait until the models are imported; if they cannot be, those say so who ask them."""
        wait(self.imported)


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
        if not names or not _git(top, "ls-tree", "--name-only", left, "--", *names):
            return left
    except _GitError:
        pass  # no such branch: the history of the files tells
    if not names:
        return _git(top, "rev-parse", "--verify", "--quiet", "HEAD")
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
