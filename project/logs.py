"""Logs: a line for people or an object for programs, each with the request that it is about."""

import json
import logging
import re
import secrets
from contextvars import ContextVar
from datetime import UTC, datetime

#: The request that is being answered; "-" outside of any.
request_id: ContextVar[str] = ContextVar("request_id", default="-")

#: What a client, or a proxy before us, may call a request; nothing that could forge a log line.
GIVEN = re.compile(r"[\w.:-]{1,128}", re.ASCII)

#: What a message may bring beside its text, for programs.
FIELDS = ("method", "path", "status", "milliseconds", "address", "handler")


def named(given: str | None) -> str:
    """Return the name of a request: the one it came with, if that can be used, or a new one."""
    return given if given and GIVEN.fullmatch(given) else secrets.token_hex(16)


class Lines(logging.Formatter):
    """A line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Add the request, where there is one."""
        name = request_id.get()
        return super().format(record) + (f" [{name}]" if name != "-" else "")


class Objects(logging.Formatter):
    """A JSON object on a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Write what is known; a traceback is one of the members."""
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request": request_id.get(),
        }
        said |= {name: vars(record)[name] for name in FIELDS if name in vars(record)}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said)


def configure(level: str, form: str) -> None:
    """Log to standard error from now on.

    Args:
        level: The least that is logged.
        form: ``text`` or ``json``.

    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        Objects() if form == "json" else Lines("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler])
