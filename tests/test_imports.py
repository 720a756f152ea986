"""Who may import whom, and who may read the environment: the design, held by a test."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.database import ROOT

#: Part of the project → the parts of it that it may import (docs/architecture.md has the picture).
MAY_IMPORT = {
    "settings": set(),
    "embedded": set(),
    "models": {"models"},
    "schema": {"schema", "embedded"},
    "database": {"settings", "embedded"},
    "connection": set(),
    "pool": {"connection", "database", "settings"},
    "revisions": {"database"},
    "follower": {"connection", "pool"},
    "api": {"api", "models"},
    "handlers": {
        "handlers",
        "logs",
        "api",
        "models",
        "connection",
        "pool",
        "replica",
        "revisions",
        "follower",
        "settings",
        "schema",
    },
    "replica": {"connection", "pool", "settings"},
    "metrics": {"pool"},
    "admin": {"metrics"},
    "app": {
        "handlers",
        "api",
        "models",
        "pool",
        "replica",
        "metrics",
        "revisions",
        "follower",
        "settings",
    },
    "server": set(),
    "logs": set(),
    "processes": set(),
    "serving": {
        "admin",
        "app",
        "handlers",
        "pool",
        "replica",
        "metrics",
        "processes",
        "revisions",
        "server",
        "settings",
    },
    "__main__": {
        "admin",
        "serving",
        "processes",
        "logs",
        "tokens",
        "database",
        "pool",
        "revisions",
        "settings",
    },
    "tokens": {"models", "database", "follower", "settings"},
    "psql": {"database", "settings"},
    "__init__": set(),
}

MODULES = sorted((ROOT / "project").rglob("*.py"))
MIGRATIONS = sorted((ROOT / "alembic" / "versions").glob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            if node.module == "project":
                yield from (f"project.{alias.name}" for alias in node.names)
            else:
                yield str(node.module)


def part(path: Path) -> str:
    return path.relative_to(ROOT / "project").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_the_design_allows(path: Path) -> None:
    imported = {name.split(".")[1] for name in imports(path) if name.startswith("project.")}
    assert imported <= MAY_IMPORT[part(path)]


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.name)
def test_a_migration_imports_sqlalchemy_and_alembic_only(path: Path) -> None:
    imported = {name.split(".")[0] for name in imports(path)}
    assert imported <= {"sqlalchemy", "alembic", "collections"}


def test_what_runs_in_the_interpreter_of_another_project_imports_nothing_else() -> None:
    for path in (ROOT / "project" / "schema" / "worker").glob("*.py"):
        own = {name for name in imports(path) if name.startswith("project.")}
        assert all(name.startswith("project.schema.worker") for name in own), path


def test_only_settings_and_the_scratch_server_read_the_environment() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in (*MODULES, ROOT / "alembic" / "env.py")
        # To set a variable for a foreign program is not to read one.
        if re.search(r"\benviron\b(?!\[[\w.]+\] = )|\bgetenv\b", path.read_text())
    }
    # A source only looks whether it is still the one that its processes were started with.
    assert readers == {
        "project/settings.py",
        "project/schema/scratch.py",
        "project/schema/process.py",
    }


def test_the_folder_of_migrations_is_no_package() -> None:
    assert not list((ROOT / "alembic").rglob("__init__.py"))


def test_a_synchronous_project_is_checked_without_greenlet() -> None:
    # SQLAlchemy 2.1 does not bring it, and nothing but asynchronous engines needs it.
    code = "import sys; sys.modules['greenlet'] = None; import project.schema.worker.answers"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
