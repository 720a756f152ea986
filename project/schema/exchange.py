"""The requests to a worker and what it answers: the other end of its ``conversation``."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from project.schema.hiding import Secrets
from project.schema.process import Begun
from project.schema.progress import Progress, silent

#: What a request wants, as the end of "cannot".
WANTS = {
    "history": "read the migrations",
    "select": "find the revision {to}",
    "metadata": "read the models",
    "models": "read the models",
    "upgrade": "upgrade to {to}",
    "downgrade": "downgrade to {to}",
    "step up": "upgrade to {to}",
    "step down": "downgrade {to}",
    "observe_upgrade": "upgrade to {to}",
    "observe_downgrade": "downgrade to {to}",
    "stamp": "stamp as {to}",
    "create_all": "create the models' tables",
    "candidate upgrade": "run the upgrade",
    "candidate downgrade": "run the downgrade",
    "observe_candidate": "run the upgrade",
    "hidden": "ask what env.py hides",
    "send": "send the models' statements",
    "version_table": "find the table of the revision",
}

#: Seconds that a worker may take to end when nothing is asked of it any more.
PATIENCE = 5

#: Of what a process wrote before it died, so many lines are told.
LINES = 40


class SourceError(Exception):
    """The foreign project cannot do something; the message says what and why in one sentence.

    Attributes:
        details: The traceback, or what a process that died wrote last. No password is in it.
        sqlstate: PostgreSQL's code of the error ("PostgreSQL Error Codes"), if it is one.
        kind: The class of the error, if it was one of the driver's or of Python's.
        revision: In which it was raised, if in one.

    """

    def __init__(
        self,
        message: str,
        details: str = "",
        sqlstate: str | None = None,
        kind: str = "",
        revision: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.revision = revision
        self.details = details
        self.sqlstate = sqlstate


@dataclass(frozen=True)
class Exchange:
    """What is asked of a process that works for a project, one request after the other."""

    ini: Path  # whose process it is
    begun: Begun
    log: IO[str]  # what it writes beside its answers
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def ended(self) -> bool:
        """Whether the process is gone, so that nothing can be asked any more."""
        return self.begun.process.poll() is not None

    def end(self) -> None:
        """Let the process end by and by: nothing more will be asked."""
        with suppress(BrokenPipeError):
            self.begun.requests.close()

    def kill(self) -> None:
        """End the process at once."""
        self.begun.process.kill()

    def close(self, patience: float = PATIENCE) -> None:
        """End the process, by force if it does not end by itself within so many seconds."""
        # What could not be sent to a dead process is of no use any more.
        with suppress(BrokenPipeError):
            self.begun.requests.close()
        self.begun.answers.close()
        try:
            if self.begun.process.wait(patience) is None:
                self.begun.process.kill()
        finally:
            self.log.close()

    def begin(self, scratch: sa.URL, given: Mapping[str, object]) -> None:
        """Tell the process what it works on, before anything is asked of it."""
        self._send(scratch=self.secrets.written(scratch), **given)

    def ask(self, wish: str, url: sa.URL, to: object = "", progress: Progress = silent) -> Any:  # noqa: ANN401
        """Ask for something, and wait for the answer.

        Args:
            wish: One of those in :data:`WANTS`.
            url: The scratch database on which it is done.
            to: What the wish is about.
            progress: Told how far it is.

        Raises:
            SourceError: it cannot be done, or the process ended.

        """
        self._send(do=wish, scratch=self.secrets.written(url), to=to)
        for line in self.begun.answers:
            said = json.loads(line)
            if "error" in said:
                raise self.failed(wish, to, said["error"])
            if "value" in said:
                return said["value"]
            progress(*said["progress"])
        raise self._died(WANTS[wish].format(to=to))

    def _send(self, **request: Any) -> None:  # noqa: ANN401
        # A dead process is noticed by its silence, which every request ends in.
        with suppress(BrokenPipeError):
            self.begun.requests.write(json.dumps(request) + "\n")
            self.begun.requests.flush()

    def failed(self, wish: str, to: object, error: Mapping[str, Any]) -> SourceError:
        """Say in a sentence what an answer tells of an error."""
        want = WANTS[wish].format(to=to)
        where = ""
        if error["revision"] is not None:
            where = f"revision {error['revision']} ({Path(error['path'] or '').name}): "
        elif error["in_env"] and error["type"]:
            where = "env.py fails: "
        kind = f"{error['type']}: " if error["type"] else ""
        # Who ends a process with a number has written why, as argparse does.
        said = error["message"]
        if error["type"] == "SystemExit" and said.isdigit() and (lines := self._last_lines()):
            said = f"{said}: {lines[-1]}"
        message = f"Cannot {want}: {where}{kind}{said.rstrip('.')}."
        hidden = self.secrets.hidden
        details, state = hidden(error["details"]), error["state"]
        return SourceError(hidden(message), details, state, error["type"], error["revision"])

    def _last_lines(self) -> list[str]:
        self.log.seek(0)
        said = self.log.read() or self.begun.process.last_words()
        return said.splitlines()[-LINES:]

    def _died(self, want: str) -> SourceError:
        code = self.begun.process.wait()
        lines = self._last_lines()
        last = f": {lines[-1].rstrip('.')}" if lines else ""
        message = f"Cannot {want}: the process of {self.ini} ended (exit code {code}){last}."
        return SourceError(self.secrets.hidden(message), self.secrets.hidden("\n".join(lines)))
