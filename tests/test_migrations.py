"""Models and migrations agree, and every migration can be undone."""

import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import autogenerate, command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import ops
from alembic.script import Script, ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator
from sqlalchemy_utils import EmailType, URLType, UUIDType

from project import models
from project.database import ROOT
from project.schema.autogenerate import render_item

from .conftest import execute, migrate

#: Everything that a migration could leave behind, by name.
OBJECTS = """
    SELECT object.type, object.identity
    FROM pg_depend, pg_identify_object(classid, objid, objsubid) AS object
    WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'public'::regnamespace
    UNION ALL
    SELECT 'column', attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'trigger', tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1, 2
"""

SCRIPTS = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))
REVISIONS = list(SCRIPTS.walk_revisions())[::-1]


def objects(url: sa.URL) -> list[tuple[object, ...]]:
    return [row for row in execute(url, OBJECTS) if "alembic_version" not in str(row[1])]


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda revision: str(revision.revision))
def test_a_revision_goes_up_down_and_up_again(revision: Script, empty_database: sa.URL) -> None:
    down = str(revision.down_revision or "base")
    migrate(empty_database, lambda alembic: command.upgrade(alembic, down))
    before = objects(empty_database)
    migrate(empty_database, lambda alembic: command.upgrade(alembic, revision.revision))
    after = objects(empty_database)
    migrate(empty_database, lambda alembic: command.downgrade(alembic, down))
    assert objects(empty_database) == before
    migrate(empty_database, lambda alembic: command.upgrade(alembic, revision.revision))
    assert objects(empty_database) == after
    assert before != after


def test_nothing_is_left_of_the_whole_history(database: sa.URL) -> None:
    assert objects(database)
    migrate(database, lambda alembic: command.downgrade(alembic, "base"))
    assert objects(database) == []


def test_the_models_match_the_migrated_schema(database: sa.URL) -> None:
    migrate(database, command.check)


def test_the_models_alone_make_the_same_objects(database: sa.URL, empty_database: sa.URL) -> None:
    engine = sa.create_engine(empty_database, poolclass=sa.NullPool)
    models.Base.metadata.create_all(engine)
    assert objects(empty_database) == objects(database)
    models.Base.metadata.drop_all(engine)
    assert objects(empty_database) == []


def test_every_model_module_is_registered() -> None:
    modules = {f"project.models.{module.name}" for module in pkgutil.iter_modules(models.__path__)}
    code = "import sys, project.models; print(*(m for m in sys.modules))"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split()
    assert modules <= set(loaded)


def test_there_is_one_head_and_it_begins_with_my_table() -> None:
    assert len(SCRIPTS.get_heads()) == 1
    assert REVISIONS[0].doc == "create my_table"


def test_the_walk_through_of_the_first_revision(empty_database: sa.URL) -> None:
    migrate(empty_database, lambda alembic: command.upgrade(alembic, REVISIONS[0].revision))
    columns = execute(
        empty_database,
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        " WHERE attrelid = 'my_table'::regclass AND attnum > 0",
    )
    assert columns == [
        ("id", "integer", True),
        ("name", "character varying(50)", True),
    ]


def test_the_history_as_sql_makes_the_same_schema(database: sa.URL, empty_database: sa.URL) -> None:
    sql = subprocess.run(
        [Path(sys.executable).with_name("alembic"), "upgrade", "head", "--sql"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    engine = sa.create_engine(empty_database, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(sql.replace("%", "%%"))
    assert objects(empty_database) == objects(database)


class Tags(TypeDecorator[list[str]]):
    impl = postgresql.ARRAY(sa.Text)
    cache_ok = True


class Words(TypeDecorator[list[str]]):
    impl = sa.ARRAY(sa.String(20))
    cache_ok = True


class Nested(TypeDecorator[Any]):
    impl = Tags
    cache_ok = True


def test_decorated_types_are_written_as_the_types_beneath_them(empty_database: sa.URL) -> None:
    table = sa.Table(
        "decorated",
        sa.MetaData(),
        sa.Column("email", EmailType),
        sa.Column("emails", postgresql.ARRAY(EmailType(100))),
        sa.Column("url", URLType),
        sa.Column("uuid", UUIDType),
        sa.Column("tags", Tags),
        sa.Column("nested", Nested),
        sa.Column("words", Words),
        sa.Column("plain", sa.Numeric(10, 2)),
    )
    engine = sa.create_engine(empty_database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        code = autogenerate.render_python_code(
            ops.UpgradeOps([ops.CreateTableOp.from_table(table)]),
            render_item=render_item,
            migration_context=context,
        )
    assert "sqlalchemy_utils" not in code
    assert "tests." not in code
    assert "sa.Column('email', sa.Unicode(length=255)" in code
    assert "sa.Column('emails', postgresql.ARRAY(sa.Unicode(length=100))" in code
    assert "sa.Column('words', sa.ARRAY(sa.String(length=20)))" in code.replace(
        ", nullable=True", ""
    )
    assert code.count("postgresql.ARRAY(sa.Text())") == 2
    assert "sa.Column('plain', sa.Numeric(precision=10, scale=2)" in code
