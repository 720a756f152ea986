"""Lets a process import each revision once.

Every Alembic command reads all files of the history anew and finds out how they hang together, so a
walk would take time that grows with the square of its length. A process that serves one walk may
keep what it has imported.
"""

from collections.abc import Iterator

from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionMap

#: The revisions of each list of folders, which an env.py may still change, and what they make up.
_loaded: dict[tuple[str, ...], list[Script]] = {}
_maps: dict[tuple[str, ...], RevisionMap] = {}


def install() -> None:
    """Begin to keep the revisions, for as long as the process lives."""
    # No public hook: the method is the one place from which Alembic imports revisions.
    load = ScriptDirectory._load_revisions  # noqa: SLF001

    def load_once(directory: ScriptDirectory) -> Iterator[Script]:
        folders = _folders(directory)
        if folders not in _loaded:
            _loaded[folders] = list(load(directory))
        return iter(_loaded[folders])

    ScriptDirectory._load_revisions = load_once  # type: ignore[method-assign,assignment]  # noqa: SLF001


def revision_map(directory: ScriptDirectory) -> RevisionMap:
    """Return the map of the revisions, the same for the same folders."""
    return _maps.setdefault(_folders(directory), directory.revision_map)


def _folders(directory: ScriptDirectory) -> tuple[str, ...]:
    return tuple(str(path) for path in directory._version_locations)  # noqa: SLF001
