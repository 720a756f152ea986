"""Model edits: models before and after made into databases, and the migration between them."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import sqlalchemy_utils
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import event, orm
from sqlalchemy.dialects import postgresql

from project.schema.autogenerate import hints, proof
from project.schema.autogenerate.change import Hints, MissingValueError, RefusedError
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.proposal import Proposal, propose
from project.schema.autogenerate.script import body, module
from project.schema.autogenerate.suspicions import Suspicion
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.connections import Connection, connected
from project.schema.facts import MetadataFacts
from project.schema.source import Source

from .conftest import Databases
from .foreign import INI
from .test_schema_catalog import EMPTYING

CASES = Path(__file__).with_name("cases")

NOTHING_HIDDEN = MetadataFacts(
    metadatas=1,
    tables=(),
    schemas=(),
    version_table="alembic_version",
    version_table_schema=None,
    include_schemas=False,
    imported=frozenset(),
    filters=(),
)

#: The foreign project; what it migrates is not its affair here.
ENV = """
import sqlalchemy as sa
from alembic import context

engine = sa.create_engine("postgresql+psycopg://nobody@localhost:1/nowhere")
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=sa.MetaData())
    with context.begin_transaction():
        context.run_migrations()
"""

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


@dataclass(frozen=True)
class Edit:
    """Models before and after, and what must come of it."""

    name: str
    before: str
    after: str
    writes: Sequence[str] = ()  # fragments of the upgrade
    undoes: Sequence[str] = ()  # fragments of the downgrade
    never: Sequence[str] = ()  # fragments that are not in the upgrade
    refused: str = ""
    condition: str = ""  # how PostgreSQL refuses rows that do not fit
    loses: Sequence[str] = ()  # beginnings of the losses that are told
    irreversible: str = ""

    def __str__(self) -> str:
        return self.name

    def turned(self) -> "Edit":
        """Return the edit that takes it back, of which only this is known: it comes out right."""
        return Edit(f"{self.name}, taken back", self.after, self.before)


def chapters(file: str) -> list[dict[str, Any]]:
    """Read a corpus."""
    found = tomllib.loads((CASES / file).read_text())["chapter"]
    assert isinstance(found, list)
    return found


def edits(file: str) -> Iterator[Edit]:
    """Return the edits: each is a text in the models of its chapter, and what replaces it."""
    for chapter in chapters(file):
        for edit in chapter["edit"]:
            given = dict(edit)
            models = after = chapter["models"]
            for old, new in replaced(edit):
                assert after.count(old) == 1 or not old, f"{given['what']}: {old}"
                after = after.replace(old, new) if old else f"{after}\n{new}"
            for name in ("from", "to", "changes"):
                given.pop(name, None)
            name = f"{chapter['name']}: {given.pop('what')}"
            yield Edit(name, models, after, **given)


def replaced(edit: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return which text of the models an edit replaces, and by which; none is the end."""
    if "changes" in edit:
        return [(old, new) for old, new in edit["changes"]]
    return [(edit.get("from", ""), edit.get("to", ""))]


def metadata_of(models: str) -> sa.MetaData:
    """Run models, with what such a module imports."""
    metadata = sa.MetaData(naming_convention=CONVENTION)

    def statement(when: str) -> Callable[[str], tuple[()]]:
        def add(sql: str) -> tuple[()]:
            ddl = sa.DDL(sql.replace("%", "%%"))  # type: ignore[no-untyped-call]
            event.listen(metadata, when, ddl)
            return ()

        return add

    scope: dict[str, Any] = {name: getattr(sa, name) for name in dir(sa) if name[0] != "_"}
    scope |= {"sa": sa, "postgresql": postgresql, "event": event, "utils": sqlalchemy_utils}
    scope |= {"Mapped": orm.Mapped, "mapped_column": orm.mapped_column, "metadata": metadata}
    scope["Base"] = orm.declarative_base(metadata=metadata)
    scope |= {"first": statement("before_create"), "then": statement("after_create")}
    exec(compile(models, "models.py", "exec"), scope)
    made = scope["metadata"]
    assert isinstance(made, sa.MetaData)
    return made


def statements_of(metadata: sa.MetaData) -> str:
    """Return what makes models, for whoever reads that a test failed."""
    said: list[str] = []

    def say(statement: sa.ClauseElement, *_: object, **__: object) -> None:
        said.append(f"{str(statement.compile(dialect=engine.dialect)).strip()};")

    engine = sa.create_mock_engine("postgresql+psycopg://", say)
    metadata.create_all(engine, checkfirst=False)
    return "\n".join(said)


def _schemas(metadata: sa.MetaData) -> Iterator[str]:
    for table in metadata.tables.values():
        types = (getattr(column.type, "item_type", column.type) for column in table.columns)
        for owner in (table, *types):
            if name := getattr(owner, "schema", None):
                yield str(name)


def create(url: sa.URL, metadata: sa.MetaData) -> None:
    """Make what models say, as the worker does."""
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        for name in sorted(set(_schemas(metadata))):
            connection.execute(sa.schema.CreateSchema(name, if_not_exists=True))
        metadata.create_all(connection)


@dataclass(frozen=True)
class Written:
    """A migration that was proposed, not proved yet."""

    bench: Workbench
    proposal: Proposal
    told: bool

    @property
    def upgrade(self) -> str:
        return body(self.proposal.upgrade)

    @property
    def downgrade(self) -> str:
        return "" if self.proposal.irreversible else body(self.proposal.downgrade)

    @property
    def text(self) -> str:
        return module(self.upgrade, self.downgrade)


@dataclass
class Bench:
    """Two databases, emptied for each edit, and a process that runs migrations on them."""

    urls: tuple[sa.URL, sa.URL]
    connections: tuple[Connection, Connection]
    source: Source
    folder: Path
    again: Callable[[], None] = lambda: None

    def of_models(self, before: str, after: str) -> Declared:
        """Make both sides; return the hints of the models after."""
        return self.of_metadata(metadata_of(before), metadata_of(after))

    def of_metadata(self, before: sa.MetaData, after: sa.MetaData) -> Declared:
        """Make both sides; return the hints of the models after."""

        def make(side: int, metadata: sa.MetaData) -> None:
            empty(self.connections[side])
            create(self.urls[side], metadata)

        self.again = lambda: make(0, before)
        self.again()
        make(1, after)
        return hints.declared([after])

    def of_statements(self, before: Sequence[str], after: Sequence[str]) -> Declared:
        """Make both sides."""

        def make(side: int, script: Sequence[str]) -> None:
            empty(self.connections[side])
            for statement in script:
                self.connections[side].execute(statement.encode())

        self.again = lambda: make(0, before)
        self.again()
        make(1, after)
        return Declared(Hints(), (), ())

    def sides(self) -> Workbench:
        """Return both sides, as they are."""
        sides = [Side.of(connection, []) for connection in self.connections]
        copy = self.urls[0]
        return Workbench(
            history=copy,
            copy=copy,
            source=self.source,
            declared=self.source,
            facts=NOTHING_HIDDEN,
            trying=self.connections[0],
            models=self.connections[1],
            before=sides[0],
            after=sides[1],
            ignore=(),
            leave_out=[],
            another=self.another,
        )

    def written(self, declared: Declared) -> Written:
        """Write the migration from the one to the other."""
        bench = self.sides()
        proposal = propose(bench, declared, self.folder, _nobody, _nobody_knows)
        told = bool(declared.hints.using or declared.hints.labels) or not proposal.converts
        return Written(bench, proposal, told)

    def another(self) -> sa.URL:
        self.again()
        return self.urls[0]

    def proved(self, written: Written) -> proof.Proof:
        """Run it up, down and up with rows."""
        file = self.folder / "proof.py"
        file.write_text(written.text)
        one_way = bool(written.proposal.irreversible)
        with written.bench.renewed() if one_way else nullcontext(written.bench) as bench:
            return proof.prove(bench, file, reversible=not one_way, told=written.told)


def _nobody(suspicion: Suspicion) -> bool:
    raise RefusedError(f"{suspicion.hint}.")


def _nobody_knows(missing: MissingValueError) -> str:
    raise missing


def empty(connection: Connection) -> None:
    """Drop everything; faster than another database."""
    for (statement,) in connection.execute(EMPTYING).fetchall():
        connection.execute(statement.encode())


@contextmanager
def bench(server: sa.URL, folder: Path) -> Iterator[Bench]:
    """Make the databases and start the process."""
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text(ENV)
    (folder / "alembic.ini").write_text(INI)
    databases = Databases(server)
    try:
        one, other = databases.make(), databases.make()
        with ExitStack() as stack:
            here, there = (stack.enter_context(connected(url)) for url in (one, other))
            source = stack.enter_context(Source.open(folder / "alembic.ini", scratch=one))
            yield Bench((one, other), (here, there), source, folder)
    finally:
        databases.drop()


class InjectedError(Exception):
    """What ends a migration at a statement."""


def run(url: sa.URL, text: str, function: str, fail_at: int | None = None) -> int:
    """Run a migration; return how many statements it executed.

    Args:
        url: The database.
        text: The migration.
        function: "upgrade" or "downgrade".
        fail_at: Number of the statement, from 0, in whose place an error is raised.

    """
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    scope: dict[str, Any] = {}
    exec(compile(text, "migration.py", "exec"), scope)
    executed = 0

    def count(*_: object) -> None:
        nonlocal executed
        if executed == fail_at:
            raise InjectedError
        executed += 1

    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        event.listen(engine, "before_cursor_execute", count)
        with context.begin_transaction(), Operations.context(context):
            scope[function]()
    return executed


def imports(text: str) -> set[str]:
    """Return the modules that a script imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def unexpected(edit: Edit, written: Written, seen: proof.Proof) -> list[str]:
    """Say in what a migration is not what its edit expects."""
    said = [
        *(f"it lacks {part}" for part in edit.writes if part not in written.upgrade),
        *(f"its downgrade lacks {part}" for part in edit.undoes if part not in written.downgrade),
        *(f"it has {part}" for part in edit.never if part in written.upgrade),
        *(f"lost: {loss}" for loss in seen.losses if not loss.startswith(tuple(edit.loses))),
    ]
    if bool(edit.irreversible) != bool(written.proposal.irreversible):
        said.append(f"no way back: {written.proposal.irreversible}")
    if edit.irreversible and not re.search(edit.irreversible, written.proposal.irreversible):
        said.append(f"the reason: {written.proposal.irreversible}")
    if seen.condition and not re.search(edit.condition or "^$", seen.condition):
        said.append(f"on condition: {seen.condition}")
    return said
