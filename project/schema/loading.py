"""Lets a process import each revision once.

Every Alembic command reads all files of the history anew, so a walk would take time that grows with
the square of its length. A process that serves one walk may keep what it has imported.
"""

from collections.abc import Iterator

from alembic.script import Script, ScriptDirectory


def install() -> None:
    """Keep the revisions of each list of folders, which an env.py may still change."""
    loaded: dict[tuple[str, ...], list[Script]] = {}
    # No public hook: the method is the one place from which Alembic imports revisions.
    load = ScriptDirectory._load_revisions  # noqa: SLF001

    def load_once(directory: ScriptDirectory) -> Iterator[Script]:
        folders = tuple(str(path) for path in directory._version_locations)  # noqa: SLF001
        if folders not in loaded:
            loaded[folders] = list(load(directory))
        return iter(loaded[folders])

    ScriptDirectory._load_revisions = load_once  # type: ignore[method-assign,assignment]  # noqa: SLF001
