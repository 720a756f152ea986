"""What is told of an error in the project's code."""

import traceback
from pathlib import Path
from typing import Any

from alembic.util import CommandError

from project.schema.worker.steering import RefusedError


def state_of(error: BaseException) -> str | None:
    """Return PostgreSQL's code of an error; each driver has a name of its own for it."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def failure_of(error: BaseException) -> dict[str, Any]:
    """Tell of an error what a person needs: which revision, and the database's own words."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    scopes = [frame.f_globals for frame in frames]
    revision = next((scope for scope in scopes if {"revision", "down_revision"} <= set(scope)), {})
    cause = getattr(error, "orig", None) or error
    lost = getattr(error, "connection_invalidated", False)
    plain = isinstance(cause, (RefusedError, CommandError))
    return {
        "type": "" if plain else type(cause).__name__,
        "message": (str(cause).strip().splitlines() or [_line(error)])[0],
        # A connection that was lost is an error of the client's, which has no state.
        "state": state_of(error) or ("08006" if lost else None),
        "revision": revision.get("revision"),
        "path": revision.get("__file__"),
        "in_env": any(frame.f_code.co_filename.endswith("env.py") for frame in frames),
        "details": "".join(traceback.format_exception(error)),
    }


def _line(error: BaseException) -> str:
    """Return the line that raised an error which says nothing, such as of an ``assert``."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.line} ({Path(last.filename).name}:{last.lineno})"
