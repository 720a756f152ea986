"""What else env.py's one line does: a merge is proved, and an env.py of several databases told."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from .test_autogenerate import Developer, begun, developer

__all__ = ["begun", "developer"]  # fixtures

BRANCH = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{name}", "one"

def upgrade():
    op.alter_column("note", "{column}", type_=sa.String({length}))

def downgrade():
    op.alter_column("note", "{column}", type_=sa.String({before}))
"""

#: The middle of what `alembic init --template multidb` makes.
SEVERAL = """
from alembic import context
from sqlalchemy import create_engine, pool

from models import metadata
from project.schema import autogenerate

autogenerate.install()
engines = [create_engine("postgresql+psycopg://nobody@127.0.0.1:1/" + name) for name in "ab"]
"""

BESIDE = """
connections = [engine.connect() for engine in engines]
transactions = [connection.begin() for connection in connections]
for connection in connections:
    context.configure(connection=connection, target_metadata=metadata)
    context.run_migrations()
for transaction in transactions:
    transaction.commit()
"""

AFTER = """
for engine in engines:
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            context.run_migrations()
"""


def branch(developer: Developer, name: str, column: str, length: int) -> Path:
    before = {"text": 50, "mail": 80}[column]
    file = developer.folder / "migrations" / "versions" / f"{name}.py"
    file.write_text(BRANCH.format(name=name, column=column, length=length, before=before))
    return file


def test_a_merge_is_proved_in_both_orders_and_goes_if_they_differ(developer: Developer) -> None:
    ini = developer.folder / "alembic.ini"
    ini.write_text(ini.read_text() + "revision_environment = true\n")
    branch(developer, "a", "text", 60)
    other = branch(developer, "b", "mail", 90)
    printed = developer.alembic("merge", "heads", "-m", "agree", "--rev-id", "merged")
    assert "1 of 4 revisions proved" in printed
    (developer.folder / "migrations" / "versions" / "merged_agree.py").unlink()
    other.write_text(branch(developer, "b", "text", 70).read_text())
    before = developer.files()
    printed = developer.alembic("merge", "heads", "-m", "differ", fails=True)
    assert "in the order a, then b, the type of column public.note.text is another" in printed
    assert developer.files() == before
    (developer.folder / "refused_migration.py").unlink()


OFFLINE = """
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()
else:
    run_migrations_online()
"""


def test_a_plain_revision_needs_no_database_and_makes_none_unless_env_py_insists(
    developer: Developer,
) -> None:
    ini = developer.folder / "alembic.ini"
    ini.write_text(ini.read_text() + "revision_environment = true\n")
    developer.alembic("revision", "-m", "insists", "--rev-id", "two")
    env = developer.folder / "migrations" / "env.py"
    online, call = "run_migrations_online()\n", "\nrun_migrations_online()\n"
    assert env.read_text().endswith(call)
    env.write_text(env.read_text().removesuffix(online) + OFFLINE)
    developer.scratch = sa.make_url("postgresql://nobody@127.0.0.1:1/nowhere")
    printed = developer.alembic("revision", "-m", "does without", "--rev-id", "three")
    assert "COMMIT" not in printed
    assert {"two_insists.py", "three_does_without.py"} <= {file.name for file in developer.files()}


@pytest.mark.parametrize(
    ("rest", "said"),
    [(BESIDE, "env.py migrates several databases in one command"), (AFTER, "env.py compares")],
)
def test_an_env_py_of_several_databases_is_told_to_choose_one(
    developer: Developer, rest: str, said: str
) -> None:
    (developer.folder / "migrations" / "env.py").write_text(SEVERAL + rest)
    developer.edit("sa.String(80)", "sa.String(90)")
    assert said in developer.refused()


def test_the_schema_of_the_version_table_need_not_be_made_by_a_migration(
    developer: Developer,
) -> None:
    env = developer.folder / "migrations" / "env.py"
    more = 'target_metadata=target_metadata, include_schemas=True, version_table_schema="ledger"'
    env.write_text(env.read_text().replace("target_metadata=target_metadata", more))
    developer.edit("sa.String(80)", "sa.String(90)")
    developer.alembic("revision", "--autogenerate", "-m", "wider", "--rev-id", "two")
    text = (developer.folder / "migrations" / "versions" / "two_wider.py").read_text()
    assert "sa.String(length=90)" in text
    assert "ledger" not in text
    assert "No new upgrade operations" in developer.alembic("check")
