"""Do models, migrations and database agree?

Knows SQLAlchemy metadata, an Alembic configuration and a connection, and imports nothing else of
the project but the embedded PostgreSQL, so that it serves any Alembic project.

As a library, it has the verbs of its command line::

    from project.schema import Project, models_against_migrations, render, scratch

    with scratch.server(None) as server:
        report = models_against_migrations(Project.load("alembic.ini"), server)
    print(render(report, "text"))

Each is imported when it is first asked for: an env.py that takes one line of ``patience``, and the
processes that work for a foreign project, shall not import the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from project.schema.checking.drift import (
        database_against_migrations,
        metadata_against_database,
        models_against_migrations,
    )
    from project.schema.configuration import Project, UsageError
    from project.schema.finding import Finding, Report
    from project.schema.proof import assert_models_match_migrations, assert_roundtrip
    from project.schema.report import render
    from project.schema.reviewing.review import review
    from project.schema.scratch import ScratchError
    from project.schema.selection import Selection
    from project.schema.source import SourceError
    from project.schema.walking.roundtrip import roundtrip

#: Where each name is defined.
HOMES = {
    "Finding": "finding",
    "Project": "configuration",
    "Report": "finding",
    "ScratchError": "scratch",
    "Selection": "selection",
    "SourceError": "source",
    "UsageError": "configuration",
    "assert_models_match_migrations": "proof",
    "assert_roundtrip": "proof",
    "database_against_migrations": "checking.drift",
    "metadata_against_database": "checking.drift",
    "models_against_migrations": "checking.drift",
    "render": "report",
    "review": "reviewing.review",
    "roundtrip": "walking.roundtrip",
}

__all__ = [
    "Finding",
    "Project",
    "Report",
    "ScratchError",
    "Selection",
    "SourceError",
    "UsageError",
    "assert_models_match_migrations",
    "assert_roundtrip",
    "database_against_migrations",
    "metadata_against_database",
    "models_against_migrations",
    "render",
    "review",
    "roundtrip",
]


def __getattr__(name: str) -> object:
    """Import what a name stands for (PEP 562)."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
