"""What a foreign project's models and migrations are, told by a process of its own."""

import ast
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import sqlalchemy as sa

from project.database import ROOT
from project.schema import syntax
from project.schema.source import Source, SourceError

from .conftest import Databases, execute
from .foreign import ENV, INI, MODELS, NOWHERE, REVISION, Foreign, project, relations


@pytest.fixture
def foreign(tmp_path: Path, empty_database: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, empty_database) as made:
        yield made


def test_this_projects_own_migrations_make_what_its_models_say(databases: Databases) -> None:
    migrated, created = databases.make(), databases.make()
    options: dict[str, Any] = {"ini": ROOT / "alembic.ini", "url_env": "DATABASE_URL"}
    with Source.open(scratch=migrated, **options) as source:
        assert len(source.heads) == 1
        assert source.revisions[-1].revision == source.heads[0]
        assert all(revision.has_downgrade for revision in source.revisions)
        source.upgrade(migrated, "head")
        with Source.open(scratch=created, **options) as models:
            models.create_all(created)
            facts = models.metadata()
        assert relations(migrated) == relations(created) != []
        place = facts.places["public.account"]
        assert Path(place.path) == ROOT / "project" / "models" / "account.py"
        assert "class Account" in Path(place.path).read_text().splitlines()[place.line - 1]
        source.downgrade(migrated, "base")
    assert relations(migrated) == []


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "env.py fails: SystemExit: 3"),
        (f"raise ValueError('{NOWHERE} password=hunter2')", "password=[*]{3}"),
        ("import os; os._exit(7)", r"the process of .* ended \(exit code 7\)"),
    ],
)
def test_models_that_cannot_be_imported_are_a_sentence(
    foreign: Foreign,
    models: str,
    said: str,
) -> None:
    foreign.write("models.py", models)
    source = foreign.open()
    with pytest.raises(SourceError, match=said) as caught:
        source.metadata()
    assert "hunter2" not in str(caught.value) + caught.value.details
    assert "\n" not in str(caught.value)


def test_the_facts_of_metadata_have_files_and_lines(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    arguments = 'include_schemas=True, include_object=lambda *_: True, version_table="v", '
    foreign.write("migrations/env.py", ENV.replace("target_", arguments + "target_"))
    computed = (
        "\nAccount.loud = sa.orm.column_property(sa.func.upper(Account.name).label('loud'))\n"
    )
    foreign.write("models.py", MODELS + computed)
    facts = foreign.open().metadata()
    assert (facts.metadatas, facts.schemas) == (1, ("shop", "types"))
    assert (facts.version_table, facts.version_table_schema) == ("v", None)
    assert facts.include_schemas
    assert facts.filters
    assert facts.filters == ("include_object",)
    written = MODELS.splitlines()
    assert {name: written[place.line - 1].strip() for name, place in facts.places.items()} == {
        "public.account": "class Account(Named, Base):",
        "public.account.name": "name: Mapped[str]",
        "public.account.id": "id: Mapped[int] = mapped_column(primary_key=True)",
        "public.account.email": 'mail: Mapped[str] = mapped_column("email")',
        "shop.item": "item = sa.Table(",
        "shop.item.id": 'sa.Column("id", sa.Integer, primary_key=True),',
        "shop.item.kind": 'sa.Column("kind", sa.Enum("a", "b", name="kind", schema="types")),',
    }
    assert {place.path for place in facts.places.values()} == {str(foreign.folder / "models.py")}
    assert relations(empty_database) == []


def test_the_schemas_that_models_name_are_created(foreign: Foreign, empty_database: sa.URL) -> None:
    foreign.open().create_all(empty_database)
    assert {"public.account r", "shop.item r"} <= set(relations(empty_database))
    assert execute(empty_database, "SELECT enum_range(NULL::types.kind)::text") == [("{a,b}",)]


def test_several_metadatas_are_created_with_their_events(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    more = """
    other = sa.MetaData()
    sa.Table("other", other, sa.Column("id", sa.Integer))
    sa.event.listen(other, "after_create", sa.DDL("CREATE VIEW seen AS SELECT * FROM other"))
    """
    foreign.write("models.py", MODELS + dedent(more))
    env = ENV.replace("import Base", "import Base, other").replace(
        "target_metadata=Base.metadata", "target_metadata=[Base.metadata, other]"
    )
    foreign.write("migrations/env.py", env)
    source = foreign.open()
    source.create_all(empty_database)
    assert {"public.account r", "public.other r", "public.seen v"} <= set(relations(empty_database))
    facts = source.metadata()
    assert facts.metadatas == 2
    assert [table.name for table in facts.tables if table.metadata == 1] == ["other"]


def test_models_that_postgresql_refuses_are_a_sentence(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    bad = 'sa.Table("bad", Base.metadata, sa.Column("c", sa.Text, server_default=sa.text("f()")))'
    foreign.write("models.py", MODELS + bad)
    with pytest.raises(SourceError, match="Cannot create the models' tables: UndefinedFunction: "):
        foreign.open().create_all(empty_database)


def test_an_env_without_metadata_is_a_sentence(foreign: Foreign) -> None:
    foreign.write("migrations/env.py", ENV.replace("Base.metadata", "None"))
    with pytest.raises(SourceError, match=r"Cannot read the models: env\.py gives no target_meta"):
        foreign.open().metadata()


def test_two_heads_have_to_be_asked_for_both(foreign: Foreign, empty_database: sa.URL) -> None:
    foreign.revision("two", "one")
    foreign.revision("three", "one")
    source = foreign.open()
    assert set(source.heads) == {"two", "three"}
    with pytest.raises(SourceError, match="Cannot upgrade to head: Multiple head revisions"):
        source.upgrade(empty_database, "head")
    source.upgrade(empty_database, "heads")
    assert {"public.two r", "public.three r"} <= set(relations(empty_database))


def test_revisions_come_after_those_that_they_build_on(
    foreign: Foreign,
) -> None:
    foreign.revision("two", "one")
    foreign.revision("three", "one")
    foreign.revision("merged", ("two", "three"), REVISION.split("def upgrade")[0] + EMPTY)
    apart = REVISION + 'branch_labels = ("side",)\ndepends_on = "merged"\n'
    foreign.revision("apart", None, apart + "downgrade = None\n")
    foreign.revision("last", "apart", REVISION.replace("op.drop_table", "raise ValueError"))
    foreign.revision("vain", "last", REVISION.split("def downgrade")[0] + NO_DOWNGRADE)
    source = foreign.open()
    assert source.heads == ("merged", "vain")
    assert source.history.bases == ("apart", "one")
    assert source.history.locations == (foreign.folder / "migrations" / "versions",)
    order = [revision.revision for revision in source.revisions]
    found = {revision.revision: revision for revision in source.revisions}
    for revision in source.revisions:
        for earlier in (*revision.down_revisions, *revision.dependencies):
            assert order.index(earlier) < order.index(revision.revision)
    assert found["merged"].down_revisions == ("two", "three")
    assert found["apart"].dependencies == ("merged",)
    assert found["apart"].branch_labels == ("side",)
    assert found["one"].doc == "Make one."
    assert found["one"].path == foreign.folder / "migrations" / "versions" / "one.py"
    assert {name for name in order if not found[name].has_downgrade} == {"apart"}
    assert {name for name in order if found[name].downgrade_raises} == {"last"}
    assert {name for name in order if found[name].empty_downgrade} == {"vain"}


EMPTY = """
def upgrade():
    pass

def downgrade():
    pass
"""

NO_DOWNGRADE = """
def downgrade():
    '''Nothing to do.'''
"""


def test_several_folders_may_hold_revisions(foreign: Foreign, empty_database: sa.URL) -> None:
    foreign.ini.write_text(INI + "version_locations = migrations/versions:more\n")
    foreign.write("more/two.py", REVISION.format(name="two", down="one"))
    source = foreign.open()
    assert source.heads == ("two",)
    assert len(source.history.locations) == 2
    source.upgrade(empty_database, "head")
    assert "public.two r" in relations(empty_database)


def test_a_migration_that_changes_the_metadata_changes_its_own_process_only(
    foreign: Foreign, databases: Databases
) -> None:
    mutation = (
        'from models import Base\nsa.Table("late", Base.metadata, sa.Column("id", sa.Integer))\n'
    )
    foreign.revision("two", "one", REVISION + mutation)
    models, migrations = foreign.open(), foreign.open()
    migrations.upgrade(databases.make(), "head")
    assert "late" in {table.name for table in migrations.metadata().tables}
    assert "late" not in {table.name for table in models.metadata().tables}
    created = databases.make()
    models.create_all(created)
    assert "public.late r" not in relations(created)


def test_a_foreign_package_may_be_called_as_this_one(
    foreign: Foreign,
) -> None:
    foreign.write("project/__init__.py", "")
    foreign.write("project/schema.py", MODELS)
    foreign.write("migrations/env.py", ENV.replace("from models", "from project.schema"))
    assert "public.account" in foreign.open().metadata().places


def test_a_file_that_only_a_later_python_understands_tells_nothing() -> None:
    later = b"class Model[T::]: ...\ndef downgrade(): raise Later\n"
    assert syntax.downgrade(later) == (False, False)
    assert syntax.class_lines(later, "Model") is None
    assert syntax.column_lines(later, 1) == {}


def test_a_file_of_many_models_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a project of 200 models in one file would wait for minutes."""
    source = b"".join(
        b"class Model%d:\n    a = 1\nTable('t', Column('a'))\n" % number for number in range(20)
    )
    walked: list[ast.AST] = []
    walk = ast.walk

    def watched(tree: ast.AST) -> Iterator[ast.AST]:
        walked.append(tree)
        return walk(tree)

    monkeypatch.setattr(ast, "walk", watched)
    for number in range(20):
        line = 3 * number + 1
        assert syntax.class_lines(source, f"Model{number}") == (line, {"a": line + 1})
        assert syntax.column_lines(source, line + 2) == {"a": line + 2}
    assert len(walked) == 1
    assert syntax.parsed(source) is walked[0]
