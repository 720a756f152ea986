"""Differences that an env.py hides from Alembic are hidden here, too, and counted."""

import sqlalchemy as sa

from project.schema.facts import MetadataFacts
from project.schema.snapshot import Difference, without_parts
from project.schema.source import Source


def without_hidden(
    differing: list[Difference], source: Source, facts: MetadataFacts, database: sa.URL
) -> tuple[list[Difference], list[str]]:
    """Leave out what env.py hides from Alembic.

    Args:
        differing: The differences.
        source: The project, in a process that has not imported its migrations.
        facts: What it says of its models.
        database: One that its migrations made.

    Returns:
        The others, and a sentence if there were any.

    Raises:
        SourceError: env.py or one of its filters failed.

    """
    if not (facts.filters and differing):
        return differing, []
    hidden = source.hidden(database, [difference.key for difference in differing])
    kept = [each for each, hide in zip(differing, hidden, strict=True) if not hide]
    number = len(without_parts(set(differing) - set(kept)))
    said = f"{number} differences are hidden by {' and '.join(facts.filters)} of env.py"
    return kept, [said] * bool(number)
