"""Models that were never imported: their tables are missing from the metadata, and nobody says so.

Autogenerate takes such a table for one that was deleted, or never sees that it is new.
"""

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

from project.schema.facts import MetadataFacts, Place

#: Folders in which classes like models are none of the application's.
ELSEWHERE = {"tests", "test", "testing", "migrations", "alembic", "versions", "examples", "scripts"}


def unimported(facts: MetadataFacts) -> Iterator[tuple[str, Place]]:
    """Yield names and places of models in files that were not imported.

    Looked at is the package in which imported models are, or their folder where it is none. A class
    counts if it names its table and inherits from what imported models inherit from; a call of
    ``Table``, if it is in a folder of imported models.
    """
    files = {Path(table.place.path) for table in facts.tables if table.place}
    # Whose models are installed has not forgotten to import them, and need not want all of them.
    files = {file for file in files if "site-packages" not in file.parts}
    bases = {base for table in facts.tables for base in table.bases}
    folders = {file.parent for file in files}
    imported = {Path(file) for file in facts.imported} | files
    for file in sorted(set(_python_files(folders)) - imported):
        try:
            module = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, OSError):  # not Python after all, or of a later release
            continue
        for name, line in _models(module, bases, tables=file.parent in folders):
            yield name, Place(str(file), line)


def _python_files(folders: Collection[Path]) -> Iterator[Path]:
    for folder in folders:
        top = folder
        while (top.parent / "__init__.py").exists() and (top / "__init__.py").exists():
            top = top.parent
        found = top.rglob("*.py") if (top / "__init__.py").exists() else top.glob("*.py")
        for file in found:
            inside = file.relative_to(top)
            is_test = file.name.startswith(("test_", "conftest")) or file.stem.endswith("_test")
            if not is_test and ELSEWHERE.isdisjoint(inside.parts):
                yield file


def _models(module: ast.Module, bases: set[str], *, tables: bool) -> Iterator[tuple[str, int]]:
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            inherited = {_last_name(base) for base in node.bases}
            if _names_its_table(node) and not inherited.isdisjoint(bases):
                yield node.name, node.lineno
        elif tables and isinstance(node, (ast.Assign, ast.Expr, ast.AnnAssign)):
            call = node.value
            if isinstance(call, ast.Call) and _last_name(call.func) == "Table":
                name = call.args[0] if len(call.args) > 1 else None
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value, node.lineno


def _names_its_table(node: ast.ClassDef) -> bool:
    """Tell whether a class has a table: a name for it, or a primary key if its base names it."""
    names = {
        target.id
        for statement in node.body
        if isinstance(statement, (ast.Assign, ast.AnnAssign))
        for target in (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        )
        if isinstance(target, ast.Name)
    }
    has_key = any(
        isinstance(part, ast.keyword) and part.arg == "primary_key" for part in ast.walk(node)
    )
    return "__abstract__" not in names and ("__tablename__" in names or has_key)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
