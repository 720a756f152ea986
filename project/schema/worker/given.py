"""What an env.py may need to be given before it runs: a URL, a connection, an event loop."""

import asyncio
import importlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import sqlalchemy as sa

#: Drivers of PostgreSQL that can be led away, the default one of SQLAlchemy first.
DRIVERS = ("psycopg", "psycopg2", "asyncpg")


class Given(NamedTuple):
    """What env.py is given beside its configuration."""

    driver: str | None = None  # with which sqlalchemy.url is set; None leaves it as it is
    connection: bool = False  # whether ``config.attributes`` have one


def possibilities() -> Iterator[Given]:
    """Yield what env.py may need: nothing, a URL, or a connection, with a driver that there is."""
    yield Given()
    drivers = {driver: dialect for driver in DRIVERS if (dialect := _dialect(driver))}
    yield from map(Given, drivers)
    yield from (Given(name, connection=True) for name in drivers if not drivers[name].is_async)


def _dialect(driver: str) -> "type[sa.engine.Dialect] | None":
    try:
        dialect = sa.engine.make_url(f"postgresql+{driver}://").get_dialect()
        # SQLAlchemy 1.4 has the older name only.
        load = "import_dbapi" if hasattr(dialect, "import_dbapi") else "dbapi"
        getattr(dialect, load)()
    except (ImportError, sa.exc.NoSuchModuleError):  # the other where SQLAlchemy is too old for it
        return None
    return dialect


def in_a_worker_thread(call: Callable[[], None]) -> None:
    """Call a function; once more in a thread of AnyIO if it says that it must run in one.

    An env.py that belongs to an asynchronous server may hand its work to that server's loop.
    """
    try:
        call()
    except Exception as error:
        if type(error).__name__ != "NoEventLoopError":
            raise
    else:
        return
    # Whoever raised this error has it; nobody else needs it.
    to_thread = importlib.import_module("anyio.to_thread")

    async def wait() -> None:
        await to_thread.run_sync(call)

    asyncio.run(wait())
