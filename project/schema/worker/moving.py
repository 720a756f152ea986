"""A project in another folder than the one it is installed from: what is imported comes from there.

An editable installation names the working tree, by a path or by a finder. Runs in the worker.
"""

import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from project.schema.worker.steering import RefusedError


def move(old: Path, new: Path) -> None:
    """Let imports that lead into one folder lead into the other, where it has the same."""
    sys.path[:] = [_moved(entry, old, new) for entry in sys.path]
    for finder in sys.meta_path:
        # The module of a finder as setuptools writes it holds the names and where they are.
        home = sys.modules.get(getattr(finder, "__module__", ""))
        mapping: Any = getattr(home, "MAPPING", None)
        if isinstance(mapping, MutableMapping):
            for name, path in list(mapping.items()):
                mapping[name] = _moved(path, old, new)


def _moved(entry: str, old: Path, new: Path) -> str:
    path = Path(entry or ".")
    if not path.is_absolute() or not path.is_relative_to(old) or path.is_relative_to(new):
        return entry
    other = new / path.relative_to(old)
    return str(other) if other.exists() else entry  # what is not in git is not of the project


def check(old: Path, new: Path) -> None:
    """Make sure that nothing of the project was imported from where it is installed.

    Raises:
        RefusedError: something was.

    """
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and _moved(file, old, new) != file:
            raise RefusedError(f"{module.__name__} is imported from {old}, as it is now")
