"""What becomes of a plain ``alembic revision`` that runs env.py: nobody is asked for a connection.

Alembic runs env.py for it where the configuration says ``revision_environment = true``, and has no
question for any database then. So env.py is told that it is offline, as by ``--sql``, and what it
would print is thrown away. One that connects nevertheless is led to an empty scratch database,
which is made no sooner.
"""

import atexit
import io
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import sqlalchemy as sa

from project.schema.worker.steering import Steering


def begin(options: dict[str, Any]) -> None:
    """Let env.py do without a database.

    Args:
        options: What Alembic has handed to env.py's context.

    """
    options |= {"as_sql": True, "output_buffer": io.StringIO()}
    _Late(sa.URL.create("postgresql")).install()


class _Late(Steering):
    """Leads to a database that is made when somebody connects."""

    made = False

    def _connect(self, dialect: sa.Dialect, record: Any, _: Any, given: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if not self.made:
            self.scratch, self.made = _empty(), True
        return super()._connect(dialect, record, _, dict(given))


def _empty() -> sa.URL:
    """Make an empty database that lives as long as the command."""
    from project.schema import scratch  # noqa: PLC0415 - mostly nobody connects
    from project.schema.autogenerate.invocation import TOLD, give_up  # noqa: PLC0415

    closing = ExitStack()
    atexit.register(closing.close)
    try:
        server = closing.enter_context(scratch.server(scratch.from_environment()))
        return closing.enter_context(scratch.database(server))
    except TOLD as error:
        give_up(error, typed=True)
