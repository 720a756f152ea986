"""One reader per database: its whole catalog as a :class:`~project.schema.snapshot.Snapshot`."""

from project.schema.catalog.postgresql import PINNED, read

__all__ = ["PINNED", "read"]
