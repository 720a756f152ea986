"""Rows for every table of a database, and what became of them.

A migration that is tried on empty tables proves little: a NOT NULL column without a default, a
narrower type, a lossy downgrade all pass. ``fill`` makes rows that satisfy the catalog, ``read``
takes a picture of all rows, and ``losses`` compares two pictures.
"""

from project.schema.rows.clearing import clear, without_nan
from project.schema.rows.completing import complete
from project.schema.rows.contents import Contents, Loss, Rows, losses, read
from project.schema.rows.filling import Filling, fill
from project.schema.rows.proposals import is_constant
from project.schema.rows.tables import tables

__all__ = [
    "Contents",
    "Filling",
    "Loss",
    "Rows",
    "clear",
    "complete",
    "fill",
    "is_constant",
    "losses",
    "read",
    "tables",
    "without_nan",
]
