"""A walk through histories like those of real projects: it goes on, and says each cause once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from .foreign import AGREEING, REVISION, Foreign, check, errors, project, walk


@pytest.fixture
def foreign(tmp_path: Path, scratch_server: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, scratch_server) as made:
        made.write("models.py", AGREEING)
        yield made


def test_a_change_of_rows_needs_no_downgrade_and_one_of_the_schema_does(foreign: Foreign) -> None:
    upgrade = REVISION.partition("def upgrade")[0] + "def upgrade():\n    "
    for name, down, work, downgrade in (
        ("rows", "one", 'op.execute("UPDATE one SET id = id")', "def downgrade(): pass"),
        (
            "schema",
            "rows",
            'op.execute("ALTER TABLE one ADD IF NOT EXISTS x int")',
            "def downgrade(): pass",
        ),
        ("none", "schema", 'op.execute("ALTER TABLE one DROP x")', ""),
    ):
        foreign.revision(name, down, f"{upgrade}{work}\n\n{downgrade}\n")
    said = [("no-downgrade", "revision schema"), ("no-downgrade", "revision none")]
    assert errors(check(foreign)) == said
    assert errors(walk(foreign)) == said


def test_a_walk_goes_on_after_a_revision_that_cannot_be_undone_or_done_again(
    foreign: Foreign,
) -> None:
    down = 'op.drop_table("{name}")'
    foreign.revision("two", "one", REVISION.replace(down, "op.no_such_thing()"))
    enum = """
def upgrade():
    sa.Enum("a", name="kind").create(op.get_bind())
    op.add_column("one", sa.Column("kind", sa.Enum(name="kind", create_type=False)))

def downgrade():
    op.drop_column("one", "kind")
"""
    head = REVISION.partition("def upgrade")[0]
    foreign.revision("three", "two", head + enum)
    required = 'op.add_column("one", sa.Column("x", sa.Text, nullable=False))'
    adding = (
        f"\ndef upgrade():\n    {required}\n\ndef downgrade():\n    op.drop_column('one', 'x')\n"
    )
    foreign.revision("four", "three", head + adding)
    foreign.revision("five", "four")
    report = walk(foreign)
    assert errors(report) == [
        ("downgrade-failed", "revision two"),
        ("not-restored", "enum public.kind"),
        ("second-upgrade-failed", "revision three"),
        ("upgrade-failed", "revision four"),
    ]
    assert "fails with rows in the tables: " in report.findings[-1].message
    assert report.facts == ("5 of 5 revisions proved with rows in the tables (seed 1)",)


def test_an_upgrade_that_fails_alone_and_not_together_is_told_apart(foreign: Foreign) -> None:
    # Within one command SQLAlchemy creates a type once, however many tables have it.
    column = 'sa.Column("kind", sa.Enum("a", name="kind"))'
    text = REVISION.replace("primary_key=True)", f"primary_key=True), {column}")
    text = text.replace('op.drop_table("{name}")', 'op.drop_table("{name}")\n    {drop}')
    for name, before in (("two", "one"), ("three", "two"), ("four", "three")):
        drop = "op.execute('DROP TYPE kind')" if name == "two" else ""
        written = text if name != "four" else REVISION
        foreign.revision(name, before, written.replace("{drop}", drop))
    report = walk(foreign)
    assert errors(report) == [("upgrade-failed", "revision three")]
    assert "in a run of its own, though not in one together" in report.findings[0].message
    assert report.facts[0].startswith("4 of 4")


def test_a_null_that_not_null_replaced_is_no_loss(foreign: Foreign) -> None:
    noted = REVISION.replace("primary_key=True)", 'primary_key=True), sa.Column("note", sa.Text)')
    foreign.revision("one", text=noted)
    head = REVISION.partition("def upgrade")[0]
    work = """
def upgrade():
    op.execute("UPDATE one SET note = '' WHERE note IS NULL")
    op.alter_column("one", "note", nullable=False)

def downgrade():
    op.alter_column("one", "note", nullable=True)
"""
    foreign.revision("two", "one", head + work)
    report = walk(foreign)
    assert [(each.level, each.code) for each in report.findings] == [("note", "nulls-filled")]
    foreign.revision("two", "one", (head + work).replace("WHERE note IS NULL", ""))
    assert ("rows-lost", "column public.one.note") in errors(walk(foreign))


def test_what_a_column_holds_can_be_told(foreign: Foreign) -> None:
    noted = REVISION.replace("primary_key=True)", 'primary_key=True), sa.Column("json", sa.Text)')
    foreign.revision("one", text=noted)
    head = "import json\n" + REVISION.partition("def upgrade")[0]
    work = """
def upgrade():
    for (text,) in op.get_bind().execute(sa.text("SELECT json FROM one")).fetchall():
        text is None or json.loads(text)

def downgrade(): pass
"""
    foreign.revision("two", "one", head + work)
    assert errors(walk(foreign)) == [("upgrade-failed", "revision two")]
    told = """[tool.project.schema.values]\n"public.*.json" = ['{"a": 1}', "[]"]\n"""
    foreign.write("pyproject.toml", told)
    assert errors(walk(foreign)) == []
