"""What env.py of real projects were seen to do, each in a small project of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from project.schema.configuration import UsageError
from project.schema.source import SourceError

from .foreign import AGREEING, ENV, REVISION, Foreign, check, errors, project, walk


@pytest.fixture
def foreign(tmp_path: Path, scratch_server: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, scratch_server) as made:
        made.write("models.py", AGREEING)
        yield made


GIVEN_A_CONNECTION = """
from alembic import context
from models import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise Exception("Use our own command.")
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
"""


def test_an_env_that_insists_on_a_connection_gets_one(foreign: Foreign) -> None:
    foreign.write("migrations/env.py", GIVEN_A_CONNECTION)
    assert check(foreign).findings == walk(foreign).findings == ()
    foreign.revision("one", text=REVISION.replace("op.create_table", "op.no_such_thing"))
    with pytest.raises(SourceError, match=r"revision one .*no_such_thing"):
        check(foreign)


def test_an_env_that_wants_something_of_its_own_in_the_configuration_gets_it(
    foreign: Foreign,
) -> None:
    env = ENV.replace("engine = ", "assert context.config.own == 1\nengine = ")
    foreign.write("migrations/env.py", env)
    with pytest.raises(SourceError, match="no attribute 'own'"):
        check(foreign)
    prepare = "def configure(config): config.own = 1"
    foreign.write("pyproject.toml", f"[tool.project.schema]\nprepare = '{prepare}'\n")
    assert check(foreign).findings == ()


def test_an_env_of_an_asynchronous_server_runs_in_a_thread_of_its_loop(foreign: Foreign) -> None:
    # What AnyIO does is not our concern: here it marks the thread, and the env insists on the mark.
    foreign.write("anyio/__init__.py", "")
    foreign.write(
        "anyio/to_thread.py",
        """
        import asyncio
        inside = False
        async def run_sync(call):
            global inside
            inside = True
            return await asyncio.to_thread(call)
        """,
    )
    insisting = """
class NoEventLoopError(Exception): ...
import anyio.to_thread
if not anyio.to_thread.inside:
    raise NoEventLoopError
"""
    foreign.write("migrations/env.py", insisting + ENV)
    assert check(foreign).findings == walk(foreign).findings == ()


def test_revisions_that_only_env_knows_where_to_find_are_found(foreign: Foreign) -> None:
    one = foreign.folder / "migrations" / "versions" / "one.py"
    (one.parent / "postgresql").mkdir()
    one.rename(one.parent / "postgresql" / "one.py")
    place = f"context.script.version_locations = [{str(one.parent / 'postgresql')!r}]\n"
    foreign.write("migrations/env.py", ENV.replace("engine = ", place + "engine = "))
    assert check(foreign).facts[0] == "1 revisions, head one"
    assert walk(foreign).facts[0].startswith("1 of 1 revisions")


def test_what_env_hides_from_alembic_is_hidden_and_counted(foreign: Foreign) -> None:
    foreign.revision("legacy", "one")
    foreign.revision("temporary", "legacy")
    models = AGREEING.replace("primary_key=True)", "primary_key=True), sa.Column('own', sa.Text)")
    foreign.write("models.py", models)
    everything = [
        ("column-missing", "column public.one.own"),
        ("table-unexpected", "table public.legacy"),
        ("table-unexpected", "table public.temporary"),
    ]
    assert errors(check(foreign)) == everything
    filters = """
def by_name(name, type_, parents):
    return not (type_ == "table" and name == "temporary")

def by_object(object, name, type_, reflected, other):
    assert object.name == name
    return not (type_ == "table" and reflected and other is None) and name != "own"
"""
    given = "target_metadata=Base.metadata, include_name=by_name, include_object=by_object"
    env = ENV.replace("target_metadata=Base.metadata", given)
    foreign.write("migrations/env.py", filters + env)
    report = check(foreign)
    assert errors(report) == []
    assert report.facts[-1] == (
        "3 differences are hidden by include_object and include_name of env.py"
    )
    foreign.write("migrations/env.py", filters.replace('and name != "own"', "") + env)
    assert errors(check(foreign)) == everything[:1]


TENANTS = (
    ENV.replace("with context", "for _ in tenants(connection):\n        with context")
    .replace("        context.run", "            context.run")
    .replace(
        "engine = ",
        """
def tenants(connection):
    return [n for n in sa.inspect(connection).get_schema_names() if n.startswith("tenant_")]

engine = """,
    )
)


def test_an_env_that_finds_nothing_to_migrate_is_a_sentence(foreign: Foreign) -> None:
    foreign.write("migrations/env.py", TENANTS)
    for ask in (check, walk):
        with pytest.raises(SourceError, match=r"never calls context\.run_migrations\(\); if"):
            ask(foreign)


def test_two_constraints_of_one_name_do_not_end_the_check(foreign: Foreign) -> None:
    """The models of a project whose migrations give them other names are never created."""
    table = """
two = sa.Table("two", Base.metadata, sa.Column("id", sa.Integer, primary_key=True))
for table in (one, two):
    table.append_column(sa.Column("n", sa.Integer))
    table.append_constraint(sa.UniqueConstraint("n", name="only"))
"""
    foreign.write("models.py", AGREEING + table)
    foreign.revision("two", "one")
    assert [each for each in errors(check(foreign)) if "constraint" in each[0]] == [
        ("constraint-refused", "constraint public.two.only"),
        ("constraint-missing", "constraint public.one.only"),
    ]


def test_an_index_that_postgresql_refuses_does_not_end_the_check(foreign: Foreign) -> None:
    index = 'sa.Index("by_id", one.c.id, postgresql_using="gin")\n'
    foreign.write("models.py", AGREEING + index + 'sa.Index("more", one.c.id)\n')
    assert errors(check(foreign)) == [
        ("index-refused", "index public.one.by_id"),
        ("index-missing", "index public.one.more"),
    ]


AREAS = """
'''Areas within areas.'''
import sqlalchemy as sa
from alembic import op

revision = "areas"
down_revision = "one"

def upgrade():
    op.create_table(
        "area",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("code", sa.Text),
        sa.Column("within", sa.Text),
    )
    op.create_index("ix_area_code", "area", ["code"], unique=True)
    op.create_foreign_key(None, "area", "area", ["within"], ["code"])
    op.create_table(
        "place",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("area", sa.Text, sa.ForeignKey("area.code")),
    )

def downgrade():
    op.drop_table("place")
    op.drop_table("area")
"""


def test_an_env_that_ends_without_a_word_is_told_by_the_line_or_by_what_it_wrote(
    foreign: Foreign,
) -> None:
    foreign.write("migrations/env.py", "x = {}\nassert x.get('url')\n" + ENV)
    with pytest.raises(SourceError, match=r"AssertionError: assert x.get\('url'\) \(env.py:2\)\.$"):
        check(foreign)
    parsing = "import argparse\nargparse.ArgumentParser().parse_args(['--own'])\n"
    foreign.write("migrations/env.py", parsing + ENV)
    with pytest.raises(SourceError, match=r"SystemExit: 2: .*unrecognized arguments: --own\.$"):
        check(foreign)


def test_a_type_that_only_an_extension_has_is_told_of(foreign: Foreign) -> None:
    """Who installs the application makes the extension; no migration does."""
    vectors = REVISION.replace("primary_key=True", "primary_key=True), sa.Column('at', VECTOR")
    own = "class Vector(sa.types.UserDefinedType):\n    get_col_spec = lambda *_: 'vector'\n\n"
    vectors = vectors.replace("VECTOR", "Vector").replace("def up", f"{own}def up")
    foreign.revision("one", text=vectors)
    with pytest.raises(SourceError, match=r"if an extension has it .* with --before\.$"):
        check(foreign)
    foreign.write("first.sql", "CREATE EXTENSION vector")
    foreign.write("pyproject.toml", "[tool.project.schema]\nbefore = 'first.sql'\n")
    assert errors(check(foreign)) == [("column-unexpected", "column public.one.at")]


def test_heads_of_labelled_branches_are_meant(foreign: Foreign) -> None:
    two = AGREEING + AGREEING.splitlines()[-1].replace("one", "two") + "\n"
    foreign.write("models.py", two)
    foreign.revision("two")
    heads = ("several-heads", "")
    assert errors(check(foreign)) == [heads]
    labelled = REVISION.replace("def upgrade", "branch_labels = ('its_{name}',)\n\ndef upgrade")
    foreign.revision("two", text=labelled)
    assert errors(check(foreign)) == [heads]
    foreign.revision("one", text=labelled)
    assert check(foreign).findings == walk(foreign).findings == ()


KEYS = """
from sqlalchemy.orm import declarative_base

Declared = declarative_base(metadata=Base.metadata)

class Area(Declared):
    __tablename__ = "area"
    id = sa.Column(sa.Integer, primary_key=True)
    code = sa.Column(sa.Text, unique=True, index=True)
    within = sa.Column(sa.ForeignKey("area.code"))
    {more}

class Place(Declared):
    __tablename__ = "place"
    id = sa.Column(sa.Integer, primary_key=True)
    area = sa.Column(sa.ForeignKey("area.code"))
"""


def test_a_key_that_its_table_must_precede_does_not_end_the_check(foreign: Foreign) -> None:
    """An index makes unique what a key of the same table refers to: `create_all` fails."""
    foreign.write("models.py", AGREEING + KEYS.format(more=""))
    foreign.revision("areas", "one", text=AREAS)
    assert check(foreign).findings == ()
    wrong = 'name = sa.Column(sa.Text)\n    named = sa.Column(sa.ForeignKey("area.name"))'
    foreign.write("models.py", AGREEING + KEYS.format(more=wrong))
    assert errors(check(foreign)) == [
        ("constraint-refused", "constraint public.area.area_named_fkey"),
        ("column-missing", "column public.area.name"),
        ("column-missing", "column public.area.named"),
    ]


INSTALLED = """
import sqlalchemy as sa
from library import Base

class One(Base):
    __tablename__ = "one"
    id = sa.Column(sa.Integer, primary_key=True)
    own = sa.Column(sa.Text)

two = sa.Table(
    "two",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
)
"""

LIBRARY = """
from sqlalchemy.orm import DeclarativeMeta, declarative_base

class Meta(DeclarativeMeta):
    def __init__(cls, *arguments, **given):
        super().__init__(*arguments, **given)

Base = declarative_base(metaclass=Meta)
"""


def test_models_that_are_installed_are_found_where_they_are(foreign: Foreign) -> None:
    library = "site-packages/library.py"
    foreign.write(library, LIBRARY)
    foreign.write("site-packages/installed.py", INSTALLED)
    foreign.write("site-packages/forgotten.py", INSTALLED)
    installed = str((foreign.folder / library).parent)
    models = f"import sys\nsys.path.append({installed!r})\nfrom installed import Base\n"
    foreign.write("models.py", models)
    assert [(each.object, each.path, each.line) for each in check(foreign).findings] == [
        ("column public.one.own", "site-packages/installed.py", 8),
        ("table public.two", "site-packages/installed.py", 10),
    ]


FUNCTIONS = """
'''Make {name}.'''
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {down!r}

def upgrade():
    function = "CREATE FUNCTION %s(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)'"
    op.execute(function % "normalized")
    op.execute(function % "unused")
    op.create_table(
        "one",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text),
        sa.CheckConstraint("normalized(name) <> ''", name="named"),
    )
    op.create_index("by_name", "one", [sa.text("normalized(name)")])

def downgrade():
    op.drop_table("one")
    op.execute("DROP FUNCTION normalized, unused")
"""


CALLING = (
    AGREEING.replace("primary_key=True)", "primary_key=True), sa.Column('name', sa.Text), CHECK")
    + 'sa.Index("by_name", sa.func.normalized(one.c.name))\n'
)


def test_functions_that_models_call_are_those_of_the_migrations(foreign: Foreign) -> None:
    foreign.revision("one", text=FUNCTIONS)
    for check_too in (True, False):
        written = """sa.CheckConstraint("normalized(name) <> ''", name="named")"""
        foreign.write("models.py", CALLING.replace("CHECK", written if check_too else ""))
        found = [] if check_too else [("constraint-unexpected", "constraint public.one.named")]
        # The models' database keeps what they call and nothing else.
        unused = ("function-unexpected", "function public.unused(text)")
        assert errors(check(foreign)) == [*found, unused]


def test_an_env_that_knows_no_models_is_a_sentence(foreign: Foreign) -> None:
    foreign.write("models.py", AGREEING.partition("one = ")[0])
    with pytest.raises(UsageError, match="has no tables, so there is nothing to compare"):
        check(foreign)
    # Alembic sees the models that a revision imports.
    elsewhere = AGREEING[AGREEING.index("one = ") :].replace("Base", "models.Base")
    foreign.write("elsewhere.py", f"import models\nimport sqlalchemy as sa\n{elsewhere}")
    foreign.revision(
        "one", text=REVISION.replace("import sqlalchemy", "import elsewhere, sqlalchemy")
    )
    assert check(foreign).findings == ()
