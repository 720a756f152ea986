"""Connections of our own, beside those of a project's env.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

Connection = psycopg.Connection[tuple[Any, ...]]

#: So many statements the server keeps the plan of: one for the rows of each table, and some more.
PREPARED = 1000


@contextmanager
def connected(url: sa.URL, *, read_only: bool = False) -> Iterator[Connection]:
    """Connect with psycopg, in autocommit mode; to a database of the user's, only to read."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.prepared_max = PREPARED
        if read_only:
            connection.execute("SET default_transaction_read_only = on")
        yield connection


def parsed(text: str) -> sa.URL | None:
    """Read the URL of a PostgreSQL database; None if it is none.

    What SQLAlchemy says of a bad URL may quote a piece of the password: it is left out.
    """
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return None
    return url if url.get_backend_name() == "postgresql" else None
