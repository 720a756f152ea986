"""The questions as assertions, for a project's own tests::

from project.schema import assert_models_match_migrations, assert_roundtrip

def test_models_match_migrations(): assert_models_match_migrations("alembic.ini")
def test_every_revision_can_be_undone(): assert_roundtrip("alembic.ini")
"""

from pathlib import Path

from project.schema import scratch
from project.schema.checking.drift import models_against_migrations
from project.schema.configuration import Project
from project.schema.finding import Report
from project.schema.report import render
from project.schema.walking.roundtrip import SEED, roundtrip


def assert_models_match_migrations(ini: str | Path, *, server: str | None = None) -> None:
    """Assert that the models and the migrations make the same schema.

    Args:
        ini: The project's ``alembic.ini`` or ``pyproject.toml``.
        server: A database on a server where scratch databases may be made; that of
            ``SCRATCH_DATABASE_URL``, or else the embedded one, if None.

    Raises:
        AssertionError: they do not; the message is the whole report.

    """
    with scratch.server(server or scratch.from_environment()) as url:
        _agree(models_against_migrations(Project.load(ini), url))


def assert_roundtrip(ini: str | Path, *, server: str | None = None, seed: int = SEED) -> None:
    """Assert that every revision can be undone, with rows in the tables.

    Args:
        ini: The project's ``alembic.ini`` or ``pyproject.toml``.
        server: A database on a server where scratch databases may be made; that of
            ``SCRATCH_DATABASE_URL``, or else the embedded one, if None.
        seed: Of the generated rows.

    Raises:
        AssertionError: one cannot; the message is the whole report.

    """
    with scratch.server(server or scratch.from_environment()) as url:
        _agree(roundtrip(Project.load(ini), url, seed=seed))


def _agree(report: Report) -> None:
    if not report.agrees:
        raise AssertionError(render(report, "text"))
