"""Two databases of 500 tables: our comparison beside Alembic's `compare_metadata`, in one run.

.venv/bin/python -m benchmarks.snapshot [tables]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from project import embedded
from project.schema.catalog import postgresql, read
from project.schema.equivalence import without_equivalents
from project.schema.snapshot import differences

COLUMNS = 12
ROUNDS = 3


def main(tables: int = 500) -> None:
    options = {"fsync": "off", "max_locks_per_transaction": "1024"}
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded.running(Path(folder) / "postgres", options) as url,
    ):
        metadata = models(tables)
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        print(f"create_all of {tables} tables: {timed(lambda: metadata.create_all(engine)):.2f} s")
        plain = url.render_as_string(hide_password=False)
        ours, theirs = [], []
        with psycopg.connect(plain, autocommit=True) as connection, engine.connect() as alembic:
            context = MigrationContext.configure(alembic, opts={"compare_server_default": True})
            for _ in range(ROUNDS):
                # A check reads each database once; what is alike in both is parsed once, too.
                postgresql.parsed.cache_clear()
                ours.append(timed(lambda: twice(connection)))
                theirs.append(timed(lambda: compare_metadata(context, metadata)))
        print(
            f"two snapshots and their comparison: {min(ours):.2f} s;"
            f" Alembic's compare_metadata: {min(theirs):.2f} s;"
            f" {min(theirs) / min(ours):.1f} times faster"
        )


def twice(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    one, other = read(connection), read(connection)
    assert without_equivalents(differences(one, other), one, other, connection) == []


def models(tables: int) -> sa.MetaData:
    metadata = sa.MetaData()
    for number in range(tables):
        parent = [sa.ForeignKey(f"table_{number - 1}.id")] if number else []
        sa.Table(
            f"table_{number}",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("parent", sa.Integer, *parent, index=True),
            sa.Column("name", sa.String(50), nullable=False, unique=True),
            *(
                sa.Column(f"column_{column}", sa.Integer, server_default=sa.text("0"))
                for column in range(COLUMNS - 3)
            ),
        )
    return metadata


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
