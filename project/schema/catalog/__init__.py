"""One reader per database: its whole catalog as a :class:`~project.schema.snapshot.Snapshot`."""

from project.schema.catalog.postgresql import PIN, read

__all__ = ["PIN", "read"]
