"""What source text says of revisions and models, read without running it."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

#: Calls that change a schema: Alembic's operations, and what projects call their own after them.
OPERATION = re.compile(r"(create|drop|alter|rename|add|batch_alter)_\w+|create")

#: Statements that do.
STATEMENT = re.compile(r"\s*(CREATE|DROP|ALTER|COMMENT|GRANT|REVOKE)\s", re.IGNORECASE)


#: How many files are kept as they were read: a file of models is asked for each of its tables.
KEPT = 32


@lru_cache(KEPT)
def parsed(source: bytes) -> ast.Module:
    """Parse a file of a project, whose interpreter may be newer than this one.

    Returns:
        Nothing of what this interpreter does not understand.

    """
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def downgrade(source: bytes) -> tuple[bool, bool]:
    """Tell whether a revision's ``downgrade`` only raises, and whether it leaves everything.

    Args:
        source: The text of a revision's file.

    Returns:
        The second is false also where the upgrade changes nothing but rows.

    """
    tree = parsed(source)
    bodies = {
        node.name: [statement for statement in node.body if not _does_nothing(statement)]
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    body = bodies.get("downgrade")
    raises = isinstance(next(iter(body or ()), None), ast.Raise)
    return raises, body == [] and bool(bodies.get("upgrade")) and _changes_schema(tree)


def _changes_schema(tree: ast.Module) -> bool:
    """Tell whether anything here looks like a change of the schema, functions it calls included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if OPERATION.fullmatch(name):
                return True
        if isinstance(node, ast.Constant) and STATEMENT.match(str(node.value)):
            return True
    return False


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Return):
        return statement.value is None
    # A docstring or an ellipsis.
    lone_value = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return lone_value or isinstance(statement, ast.Pass)


def class_lines(source: bytes, name: str) -> tuple[int, dict[str, int]] | None:
    """Find the line of a class and those of its attributes.

    Args:
        source: The text of a module.
        name: The class, with those around it: ``Outer.Inner``.

    Returns:
        None if there is no such class, as there is none for a class that a function makes.

    """
    body = parsed(source).body
    found: ast.ClassDef | None = None
    for part in name.split("."):
        found = next((node for node in _classes(body) if node.name == part), None)
        if found is None:
            return None
        body = found.body
    assert found is not None  # noqa: S101
    lines: dict[str, int] = {}
    for statement in found.body:
        for attribute in _names(statement):
            lines.setdefault(attribute, statement.lineno)
    return found.lineno, lines


def _classes(body: list[ast.stmt]) -> Iterator[ast.ClassDef]:
    """Yield the classes of a body, also those under ``if`` and ``try``."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node
        elif isinstance(node, (ast.If, ast.Try)):
            yield from _classes([*node.body, *node.orelse])


def _names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    elif isinstance(statement, ast.FunctionDef):  # a declared_attr
        yield statement.name


def column_lines(source: bytes, line: int) -> dict[str, int]:
    """Find the lines of the columns that the call on a line defines: ``Table("name", …)``."""
    return dict(_named_calls(source).get(line, {}))


@lru_cache(KEPT)
def _named_calls(source: bytes) -> Mapping[int, Mapping[str, int]]:
    """Find the calls that are arguments of one and begin with a name, by the line of that one."""
    calls: dict[int, dict[str, int]] = {}
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.Call):
            continue
        for argument in node.args:
            if isinstance(argument, ast.Call) and argument.args:
                name = argument.args[0]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    calls.setdefault(node.lineno, {}).setdefault(name.value, argument.lineno)
    return calls
