"""Models and migrations agree, and every migration can be undone."""

from project.schema import assert_models_match_migrations, assert_roundtrip


def test_the_models_match_the_migrations() -> None:
    assert_models_match_migrations("alembic.ini")


def test_every_revision_can_be_undone_with_rows_in_the_tables() -> None:
    assert_roundtrip("alembic.ini")
