"""Foreign projects, run without a change to them: their env.py connects as it likes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import sqlalchemy as sa

from project.schema.source import Source, SourceError

from .conftest import Databases, execute
from .foreign import ENV, INI, MODELS, NOWHERE, REVISION, Foreign, project, relations


@pytest.fixture
def foreign(tmp_path: Path, empty_database: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, empty_database) as made:
        yield made


def test_a_url_that_is_written_into_env_is_not_used(foreign: Foreign, databases: Databases) -> None:
    source, other = foreign.open(), databases.make()
    source.upgrade(other, "head")
    assert relations(other) == ["public.one r", "public.one_id_seq S", "public.one_pkey i"]
    source.downgrade(other, "-1")
    assert relations(other) == []


def test_an_engine_that_env_keeps_goes_where_the_next_request_says(
    foreign: Foreign, databases: Databases
) -> None:
    foreign.write("kept.py", f'import sqlalchemy as sa\nengine = sa.create_engine("{NOWHERE}")\n')
    foreign.write("migrations/env.py", ENV.replace("engine = ", "from kept import engine #"))
    source, one, other = foreign.open(), databases.make(), databases.make()
    for url in (one, other):
        source.upgrade(url, "head")
        assert "public.one r" in relations(url)
        databases.make(str(url.database))  # a copy: nobody is connected any more
    source.stamp(one, "base")
    assert execute(one, "SELECT * FROM alembic_version") == []
    assert execute(other, "SELECT * FROM alembic_version") == [("one",)]


def test_a_connection_that_env_forgets_to_close_is_closed(
    foreign: Foreign, databases: Databases
) -> None:
    foreign.write("kept.py", "connections = []\n")
    env = ENV.replace(
        "with engine.connect() as connection:", "connection = engine.connect()\nif 1:"
    )
    foreign.write("migrations/env.py", f"{env}import kept\nkept.connections.append(connection)\n")
    source, one = foreign.open(), databases.make()
    for _ in range(2):
        source.upgrade(one, "head")
        databases.make(str(one.database))  # a copy: nobody is connected any more


def test_how_a_session_behaves_is_kept(foreign: Foreign, empty_database: sa.URL) -> None:
    execute(empty_database, "CREATE SCHEMA app")
    foreign.write(
        "migrations/env.py", ENV.replace("/nowhere", "/nowhere?options=-csearch_path%3Dapp")
    )
    foreign.open().upgrade(empty_database, "head")
    assert "app.one r" in relations(empty_database)


def test_a_listener_that_asks_for_a_token_is_not_asked(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    listener = """
    @sa.event.listens_for(engine, "do_connect")
    def token(dialect, record, arguments, named):
        raise RuntimeError("No token.")

    with engine"""
    foreign.write("migrations/env.py", ENV.replace("with engine", dedent(listener)))
    foreign.open().upgrade(empty_database, "head")
    assert "public.one r" in relations(empty_database)


ASYNCHRONOUS = f"""
import asyncio
from alembic import context
from models import Base
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine("{NOWHERE}")

def migrate(connection):
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    async with engine.connect() as connection:
        await connection.run_sync(migrate)

asyncio.run(main())
"""


def test_an_asynchronous_env_works_too(foreign: Foreign, databases: Databases) -> None:
    foreign.write("migrations/env.py", ASYNCHRONOUS)
    source, one, other = foreign.open(), databases.make(), databases.make()
    source.upgrade(one, "head")
    assert "public.one r" in relations(one)
    databases.make(str(one.database))  # a copy: nobody is connected any more
    source.create_all(other)
    assert "shop.item r" in relations(other)
    assert len(source.metadata().tables) == 2


WITH_VARIABLE = "import os\n" + ENV.replace(f'"{NOWHERE}"', 'os.environ["FOREIGN_URL"]')


def test_a_url_comes_from_a_variable(foreign: Foreign, empty_database: sa.URL) -> None:
    foreign.write("migrations/env.py", WITH_VARIABLE)
    with pytest.raises(SourceError, match=r"Cannot upgrade to head: env\.py fails: KeyError"):
        foreign.open().upgrade(empty_database, "head")
    foreign.open(url_env="FOREIGN_URL").upgrade(empty_database, "head")
    assert "public.one r" in relations(empty_database)


def test_a_url_that_the_configuration_lacks_is_given_to_it(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    section = "context.config.get_section(context.config.config_ini_section)"
    engine = f"sa.engine_from_config({section})"
    foreign.write("migrations/env.py", ENV.replace(f'sa.create_engine("{NOWHERE}")', engine))
    source = foreign.open(scratch=empty_database.set(password="hunter2%"))
    source.upgrade(empty_database.set(password="hunter2%"), "head")
    assert "public.one r" in relations(empty_database)
    assert source.metadata().version_table == "alembic_version"


def test_what_a_project_prints_and_reads_is_no_part_of_the_conversation(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    noise = "import os, sys\nprint('noise')\nos.system('echo noise')\nassert not sys.stdin.read()\n"
    foreign.write("models.py", noise + MODELS)
    foreign.open().upgrade(empty_database, "head")
    assert "public.one r" in relations(empty_database)


BROKEN = REVISION.replace(
    "op.create_table", "op.execute('SELECT * FROM missing') or op.create_table"
)


def test_a_migration_that_fails_is_named_with_what_postgresql_said(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    foreign.revision("two", "one", BROKEN)
    source = foreign.open()
    with pytest.raises(SourceError) as caught:
        source.upgrade(empty_database, "head")
    assert str(caught.value) == (
        "Cannot upgrade to head: revision two (two.py): "
        'UndefinedTable: relation "missing" does not exist.'
    )
    assert "SELECT * FROM missing" in caught.value.details
    source.upgrade(empty_database, "one")
    assert "public.one r" in relations(empty_database)


def test_a_process_that_died_says_what_it_wrote_and_goes_on_saying_it(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    death = "import os, sys\nprint('last words', flush=True)\nos.kill(os.getpid(), 9)\n"
    foreign.write("models.py", death)
    source = foreign.open()
    for _ in range(2):
        with pytest.raises(SourceError, match="exit code -9") as caught:
            source.upgrade(empty_database, "head")
        assert "last words" in caught.value.details


def test_another_database_than_postgresql_is_refused(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    foreign.write("migrations/env.py", ENV.replace(NOWHERE, "sqlite://"))
    with pytest.raises(SourceError) as caught:
        foreign.open().upgrade(empty_database, "head")
    assert str(caught.value) == (
        "Cannot upgrade to head: it connects to sqlite; let its settings name a PostgreSQL, any "
        "one: every connection is led to a scratch database."
    )


def test_an_engine_that_connects_by_itself_is_refused(
    foreign: Foreign, databases: Databases
) -> None:
    real = databases.make()
    where = f"host={real.query['host']} user=postgres dbname={real.database}"
    creator = f'"postgresql+psycopg://", creator=lambda: psycopg.connect("{where}")'
    env = "import psycopg\n" + ENV.replace(f'"{NOWHERE}"', creator)
    foreign.write("migrations/env.py", env)
    with pytest.raises(SourceError, match=r"\(creator\)"):
        foreign.open().upgrade(databases.make(), "head")
    assert relations(real) == []


def test_a_version_table_may_stand_in_a_schema_of_its_own(
    foreign: Foreign, empty_database: sa.URL
) -> None:
    env = ENV.replace("target_", 'version_table_schema="meta", target_').replace(
        "    context.configure",
        '    connection.execute(sa.text("CREATE SCHEMA IF NOT EXISTS meta"))\n'
        "    connection.commit()\n"
        "    context.configure",
    )
    foreign.write("migrations/env.py", env)
    source = foreign.open()
    source.upgrade(empty_database, "head")
    assert execute(empty_database, "SELECT * FROM meta.alembic_version") == [("one",)]
    assert source.metadata().version_table_schema == "meta"


@pytest.mark.parametrize("given", ["alembic.ini", "pyproject.toml"])
def test_pyproject_may_configure_alembic(
    foreign: Foreign, empty_database: sa.URL, given: str
) -> None:
    table = '[tool.alembic]\nscript_location = "%(here)s/migrations"\nprepend_sys_path = ["."]\n'
    foreign.write("pyproject.toml", table)
    if given == "alembic.ini":
        foreign.ini.write_text("[alembic]\n")
    else:
        foreign.ini.unlink()
    foreign.open(ini=foreign.folder / given).upgrade(empty_database, "head")
    assert "public.one r" in relations(empty_database)


def test_another_section_and_arguments_reach_env(foreign: Foreign, empty_database: sa.URL) -> None:
    foreign.ini.write_text(INI.replace("[alembic]", "[other]"))
    told = 'context.get_x_argument(as_dictionary=True)["table"], target_'
    foreign.write("migrations/env.py", ENV.replace("target_", "version_table=" + told))
    source = foreign.open(section="other", arguments=["table=v"])
    source.upgrade(empty_database, "head")
    assert execute(empty_database, "SELECT * FROM v") == [("one",)]


def test_an_index_may_be_built_concurrently(foreign: Foreign, empty_database: sa.URL) -> None:
    concurrently = """
    with op.get_context().autocommit_block():
        op.create_index("i", "{down}", ["id"], postgresql_concurrently=True)

def downgrade"""
    foreign.revision("two", "one", REVISION.replace("\ndef downgrade", concurrently))
    foreign.open().upgrade(empty_database, "head")
    assert "public.i i" in relations(empty_database)


def test_what_cannot_be_opened_is_a_sentence(foreign: Foreign, empty_database: sa.URL) -> None:
    with pytest.raises(SourceError, match="There is no configuration"):
        Source.open(foreign.folder / "other.ini", scratch=empty_database)
    with pytest.raises(SourceError, match="Cannot start /nowhere/python: No such file"):
        Source.open(foreign.ini, scratch=empty_database, python="/nowhere/python")
    foreign.ini.write_text("[alembic]\nscript_location = nowhere\n")
    with (
        Source.open(foreign.ini, scratch=empty_database, python=sys.executable) as source,
        pytest.raises(SourceError, match="Cannot read the migrations: Path doesn't exist: nowhere"),
    ):
        assert not source.heads


def test_the_process_ends_with_the_block(foreign: Foreign, empty_database: sa.URL) -> None:
    noted = foreign.folder / "number"
    foreign.write(
        "models.py", f"import os; open('{noted}', 'w').write(str(os.getpid()))\n" + MODELS
    )
    with Source.open(foreign.ini, scratch=empty_database) as source:
        source.metadata()
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)


def test_processes_of_one_interpreter_share_nothing_but_what_it_has_imported(
    foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "import os, sys\nsys.modules['told'] = os\nassert 'alembic' in sys.modules\n"
    foreign.write("models.py", told + "open('told', 'a').write(os.environ['TOLD'])\n" + MODELS)
    foreign.write("migrations/env.py", "import sys\nassert 'told' not in sys.modules\n" + ENV)
    for told in ("one", "one", "another"):
        monkeypatch.setenv("TOLD", told)
        foreign.open().metadata()
    assert (foreign.folder / "told").read_text() == "oneoneanother"
