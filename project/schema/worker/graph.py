"""The revisions of a foreign project, as its Alembic knows them: told to the other side as JSON."""

from typing import Any

from alembic.script import Script, ScriptDirectory
from alembic.script.revision import Revision, RevisionError

from project.schema.worker.steering import RefusedError


def history(script: ScriptDirectory) -> dict[str, Any]:
    """Tell all revisions, each after those that it builds on."""
    revisions = [_told(script, revision) for revision in script.walk_revisions()]
    return {
        "heads": script.get_heads(),
        "bases": script.get_bases(),
        "locations": [str(path) for path in script._version_locations],  # noqa: SLF001
        "revisions": revisions[::-1],
    }


def select(script: ScriptDirectory, name: str) -> list[str]:
    """Find the revisions that a name, or a range of two, means to Alembic.

    Raises:
        RefusedError: it means none, or Alembic cannot tell which.

    """
    base, dots, head = name.partition("..")
    try:
        if not dots:
            return _resolved(script, name)
        upper = tuple(_resolved(script, head or "heads"))
        lower = tuple(_resolved(script, base or "base"))
        found = script.iterate_revisions(upper, lower, implicit_base=True)
        return [revision.revision for revision in found]
    except RevisionError as error:
        raise RefusedError(str(error)) from error


def _resolved(script: ScriptDirectory, name: str) -> list[str]:
    try:
        found = list(script.revision_map.get_revisions(name))
    except RevisionError:
        # Counted from another one (ae10+2) Alembic knows only the way; it begins at its end.
        way = script.revision_map.iterate_revisions(name, "base")
        found = [next(iter(way), None)]
    return [each.revision for each in found if isinstance(each, Revision)]


def _told(script: ScriptDirectory, revision: Script) -> dict[str, Any]:
    return {
        "revision": revision.revision,
        "down_revisions": _words(revision.down_revision),
        # A migration may depend on a branch by its label.
        "dependencies": [
            found.revision
            for name in _words(revision.dependencies)
            for found in script.get_revisions(name)
        ],
        "branch_labels": sorted(revision.branch_labels),
        "path": revision.path,
        "doc": revision.doc,
        "has_downgrade": callable(getattr(revision.module, "downgrade", None)),
    }


def _words(value: Any) -> list[str]:  # noqa: ANN401
    return [value] if isinstance(value, str) else list(value or ())
