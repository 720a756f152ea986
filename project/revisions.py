"""Where this code's history of migrations ends, and where a database stands in it."""

from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from project.database import ROOT


@dataclass(frozen=True)
class History:
    """The revisions of ``alembic/versions/``, by their identifiers."""

    heads: frozenset[str]
    known: frozenset[str]

    def objection(self, stamped: frozenset[str]) -> tuple[str, str] | None:
        """Say why a database must not be served by this code, or None if it may.

        Args:
            stamped: The revisions in the database's ``alembic_version``.

        Returns:
            ``"behind"`` or ``"ahead"``, and a sentence that says what to do.

        """
        if stamped == self.heads:
            return None
        here, there = _names(self.heads), _names(stamped)
        if stamped - self.known:
            return "ahead", (
                f"The database stands at {there}, which this code does not know; "
                f"its own head is {here}. Deploy the code that belongs to the database."
            )
        return "behind", (
            f"The database stands at {there}, this code at {here}. Run: alembic upgrade head"
        )


def read_history(configuration: Path = ROOT / "alembic.ini") -> History:
    """Read the history from the project's own files (it imports every revision once)."""
    script = ScriptDirectory.from_config(Config(configuration))
    return History(
        heads=frozenset(script.get_heads()),
        known=frozenset(revision.revision for revision in script.walk_revisions()),
    )


def _names(revisions: frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) if revisions else "no revision"
