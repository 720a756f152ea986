"""This project's own history: where it begins, and what it makes."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from project import models
from project.database import ROOT

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
