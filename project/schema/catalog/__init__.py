"""One reader per database: its whole catalog as a :class:`~project.schema.snapshot.Snapshot`."""

from project.schema.catalog.again import Reader
from project.schema.catalog.postgresql import PIN, read

__all__ = ["PIN", "Reader", "read"]
