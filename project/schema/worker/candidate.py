"""Runs a migration that is not in the history yet, as it stands in a file of its own."""

import asyncio
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import load_python_file

from project.schema.worker.steering import RefusedError, Steering

Answer = TypeVar("Answer")

#: Python keeps what it has compiled by the time of the file, which is not fine enough here.
serial = itertools.count()


def run(path: Path, function: Literal["upgrade", "downgrade"], steering: Steering) -> None:
    """Run one function of a migration on the scratch database, in a transaction it may leave."""

    def call(connection: "sa.engine.Connection") -> None:
        context = MigrationContext.configure(connection)
        copy = path.with_name(f"candidate_{os.getpid()}_{next(serial)}.py")
        copy.write_bytes(path.read_bytes())
        try:
            module = load_python_file(copy.parent, copy.name)
        finally:
            copy.unlink()
        with context.begin_transaction(), Operations.context(context):
            getattr(module, function)()

    connected(steering, call, transaction=False)


def connected(
    steering: Steering, run: "Callable[[sa.engine.Connection], Answer]", *, transaction: bool = True
) -> "Answer":
    """Work on the scratch database, with the driver and the search path of the project.

    It has perhaps no other driver.
    """

    async def asynchronously() -> "Answer":
        # Only here: it needs greenlet, which a synchronous project does without.
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

        engine = create_async_engine(url, poolclass=sa.pool.NullPool, connect_args=behaviour)
        async with engine.begin() if transaction else engine.connect() as connection:
            return await connection.run_sync(run)

    dialect, behaviour = steering.dialect, steering.behaviour
    if dialect is None:
        raise RefusedError("env.py opens no connection through SQLAlchemy")
    url = steering.scratch.set(drivername=f"postgresql+{dialect.driver}")
    if dialect.is_async:
        return asyncio.run(asynchronously())
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=behaviour, future=True)
    with engine.begin() if transaction else engine.connect() as connection:
        return run(connection)
