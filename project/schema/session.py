"""The process in which a foreign project is run: begun, given a database, ended."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from project.schema import process
from project.schema.exchange import PATIENCE, Exchange, SourceError


class Session:
    """A foreign project in a process of its own, for as long as the block lasts."""

    def __init__(self, exchange: Exchange, given: Mapping[str, object]) -> None:
        self.ini = exchange.ini
        self._exchange = exchange
        self._given = given
        self._scratch: sa.URL

    @classmethod
    def open(  # noqa: PLR0913
        cls,
        ini: Path,
        *,
        scratch: sa.URL | None = None,
        section: str = "alembic",
        url_env: str | None = None,
        python: str = sys.executable,
        folder: Path | None = None,
        arguments: Sequence[str] = (),
        prepare: str | None = None,
        moved: tuple[Path, Path] | None = None,
        copy: bool = False,
    ) -> Self:
        """Start the process.

        Args:
            ini: The configuration: ``alembic.ini`` or ``pyproject.toml``.
            scratch: The database to look at the project with; nothing is written to it. Where the
                project takes its URL from a variable, it is this one, driver and all. Without it
                the process only gets ready, until :meth:`use` names one.
            section: The configuration's section, as with ``alembic --name``.
            url_env: The variable from which the project takes its URL, if it does.
            python: The interpreter that has what the project needs.
            folder: Where the project is run; the configuration's folder, unless given.
            arguments: What env.py gets from ``context.get_x_argument()``: ``tenant=a``.
            prepare: Python that is run in the process before anything of the project.
            moved: The folder that the project is installed from, and the one that it is in.
            copy: Whether this process runs the project's env.py itself; a copy of it will do then.

        Raises:
            SourceError: there is no such configuration, folder or interpreter.

        """
        ini = ini.resolve()
        if not ini.is_file():
            raise SourceError(f"There is no configuration {ini}.")
        folder = folder or ini.parent
        log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        try:
            if copy and not (prepare or moved) and process.can_copy(python, folder):
                begun = process.copied(log.fileno())
            else:
                begun = process.forked(python, folder, log.fileno())
        except OSError as error:
            log.close()
            raise SourceError(f"Cannot start {python}: {error.strerror}.") from error
        given = {
            "ini": str(ini),
            "section": section,
            "url_variable": url_env,
            "arguments": list(arguments),
            "prepare": prepare,
            "moved": [str(path) for path in moved or ()],
        }
        source = cls(Exchange(ini, begun, log), given)
        if scratch is not None:
            source.use(scratch)
        return source

    def use(self, scratch: sa.URL) -> None:
        """Name the database to look at the project with, where :meth:`open` did not."""
        self._scratch = scratch
        self._exchange.begin(scratch, self._given)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        # Who is interrupted does not wait for a migration to end.
        patient = kind is None or issubclass(kind, Exception)
        self._exchange.close(PATIENCE if patient else 0)

    @property
    def ended(self) -> bool:
        """Whether the process is gone, so that nothing can be asked any more."""
        return self._exchange.ended

    def end(self) -> None:
        """Let the process end by and by: nothing more will be asked."""
        self._exchange.end()

    def kill(self) -> None:
        """End the process at once, whoever waits for an answer of it."""
        self._exchange.kill()

    def close(self) -> None:
        """End the process, by force if it does not end by itself."""
        self._exchange.close()
