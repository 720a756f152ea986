"""One thing is broken at a time in a sound history, everywhere; each must be caught."""

import ast
import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from project.database import ROOT
from project.schema.catalog import read
from project.schema.connections import Connection, connected
from project.schema.equivalence import without_equivalents
from project.schema.snapshot import Difference, Snapshot, differences

from .conftest import Databases, execute

SOURCE = ast.parse((ROOT / "tests" / "cases" / "history.py").read_text())
LAST = 13

#: Mutants that change nothing: the function, what was done to it, and why it does not matter.
HARMLESS = {
    ("downgrade_2", "without line 1"): "a check of one column goes with its column",
    ("downgrade_4", "without line 6"): "the default is 0 before and after",
    ("downgrade_6", "'customer' is 'customer_x'"): "DROP INDEX names no table",
    ("downgrade_8", "'purchase' is 'purchase_x'"): "DROP INDEX names no table",
}


def functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def mutants(name: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the history without each of a function's statements, and with each constant altered."""
    function = functions(SOURCE)[name]
    function.returns = None  # an annotation does nothing
    for position, statement in enumerate(function.body):
        tree = copy.deepcopy(SOURCE)
        functions(tree)[name].body[position] = ast.Pass()
        yield f"without line {statement.lineno - function.lineno}", tree
    for position, node in enumerate(ast.walk(function)):
        if isinstance(node, ast.Constant):
            for value in altered(node.value):
                tree = copy.deepcopy(SOURCE)
                list(ast.walk(functions(tree)[name]))[position].value = value  # type: ignore[attr-defined]
                yield f"{node.value!r} is {value!r}", tree


def altered(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif value is None:
        yield "x"
    elif isinstance(value, str):
        # Of SQL, each number, each literal and each name that is made; else the word itself.
        for match in re.finditer(r"(?<![\w'])\d+|'(\w+)'|(?<=CREATE )?\b[a-z_]{4,}\b", value):
            word = match[0]
            other = str(int(word) + 1) if word.isdigit() else word.rstrip("'") + "_x"
            other += "'" if word.startswith("'") else ""
            yield value[: match.start()] + other + value[match.end() :]


@contextmanager
def opened(url: sa.URL) -> Iterator[sa.Engine]:
    """An engine of one connection, which keeps what it has learnt of the catalog."""
    engine = sa.create_engine(url, pool_size=1, max_overflow=0)
    try:
        yield engine
    finally:
        engine.dispose()


def run(engine: sa.Engine, scope: dict[str, Any], name: str) -> None:
    """Run one function of a history as Alembic would: in a transaction."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with context.begin_transaction(_per_migration=True), Operations.context(context):
            scope[name]()
        connection.commit()


def executed(tree: ast.Module) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(tree), "history", "exec"), scope)
    return scope


@dataclass
class Sound:
    """The sound history: a database and a catalog at each revision, and the models'."""

    databases: Databases
    stages: list[sa.URL]
    catalogs: list[Snapshot]
    models: Connection
    declared: Snapshot


def catalog(engine: sa.Engine) -> Snapshot:
    connection = engine.raw_connection()
    try:
        return read(connection.driver_connection)  # type: ignore[arg-type]
    finally:
        connection.close()


@pytest.fixture(scope="module")
def sound(scratch_server: sa.URL) -> Iterator[Sound]:
    databases = Databases(scratch_server)
    scope = executed(SOURCE)
    stages = [databases.make()]
    with opened(stages[0]) as engine:
        catalogs = [catalog(engine)]
    for number in range(1, LAST + 1):
        stages.append(databases.make(str(stages[-1].database)))
        with opened(stages[-1]) as engine:
            run(engine, scope, f"upgrade_{number}")
            catalogs.append(catalog(engine))
    models = databases.make()
    execute(models, "CREATE SCHEMA shop")
    scope["metadata"].create_all(sa.create_engine(models, poolclass=sa.NullPool))
    with connected(models) as connection:
        yield Sound(databases, stages, catalogs, connection, read(connection))
    databases.drop()


def disagreement(sound: Sound, found: Snapshot) -> list[Difference]:
    """What ``check`` says of a history that leads to `found`."""
    listed = differences(sound.declared, found)
    return without_equivalents(listed, sound.declared, found, sound.models)


def is_caught(sound: Sound, number: int, tree: ast.Module) -> bool:
    """Tell whether ``roundtrip`` or ``check`` would see what is wrong with a revision."""
    scope = executed(tree)
    url = sound.databases.make(str(sound.stages[number - 1].database))
    try:
        with opened(url) as engine:
            before = sound.catalogs[number - 1]
            for revision in range(number, LAST + 1):
                run(engine, scope, f"upgrade_{revision}")
                after = catalog(engine)
                run(engine, scope, f"downgrade_{revision}")
                if differences(before, catalog(engine)):
                    return True
                run(engine, scope, f"upgrade_{revision}")
                before = catalog(engine)
                if differences(after, before):
                    return True
                if not differences(sound.catalogs[revision], before):
                    return False  # from here on it is the sound history
            return bool(disagreement(sound, catalog(engine)))
    except (sa.exc.SQLAlchemyError, NameError, KeyError, TypeError, ValueError):
        return True  # the server, SQLAlchemy or Alembic refused it, which is a finding
    finally:
        execute(sound.databases.server, f'DROP DATABASE "{url.database}" WITH (FORCE)')
        sound.databases.made.remove(str(url.database))


def test_the_history_is_sound(sound: Sound) -> None:
    assert disagreement(sound, sound.catalogs[-1]) == []
    assert not any(is_caught(sound, number, SOURCE) for number in range(1, LAST + 1))


@pytest.mark.sample(5)
@pytest.mark.parametrize("name", [n for n in functions(SOURCE) if n.rpartition("_")[2].isdigit()])
def test_whatever_is_broken_is_caught(sound: Sound, name: str) -> None:
    number = int(name.rpartition("_")[2])
    tried = list(mutants(name))
    missed = {what for what, tree in tried if not is_caught(sound, number, tree)}
    assert tried
    assert missed == {what for function, what in HARMLESS if function == name}
