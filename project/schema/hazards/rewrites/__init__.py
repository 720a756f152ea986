"""The safe way to the same end, in Alembic's operations, which run as they stand.

Each blocks nobody for longer than an instant on PostgreSQL 15 to 18, in one revision: what must not
share a transaction stands in ``autocommit_block()``, which commits what is above it. Names, types
and conditions are those of the catalogs before and after the migration.

Sources:
    https://www.postgresql.org/docs/current/sql-altertable.html (Notes)
    https://alembic.sqlalchemy.org/en/latest/api/runtime.html (autocommit_block)

"""

from project.schema.hazards.rewrites.catalogs import Catalogs
from project.schema.hazards.rewrites.rewriting import rewrite

__all__ = ["Catalogs", "rewrite"]
