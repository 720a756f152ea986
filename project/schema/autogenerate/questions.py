"""What a person is told and asked, if one is there."""

import sys

from project.schema.autogenerate.change import MissingValueError, RefusedError
from project.schema.autogenerate.suspicions import Suspicion


def tell(sentence: str) -> None:
    """Tell something that is no part of the migration."""
    print(sentence, file=sys.stderr)  # noqa: T201


def doing(what: str) -> None:
    """Say on a terminal what takes the time; nothing any more with an empty text."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what} …\033[K" if what else "\r\033[K")
        sys.stderr.flush()


def show(lines: str) -> None:
    """Show something about the migration, where Alembic says that it is written."""
    print(lines, flush=True)  # noqa: T201


def is_rename(suspicion: Suspicion) -> bool:
    """Ask whether what looks like a rename is one.

    Raises:
        RefusedError: nobody is there to answer; the message is the hint for the model.

    """
    if not _somebody():
        raise RefusedError(f"{suspicion.hint}.")
    return _answer(f"{suspicion.question} [y/N] ").lower() in {"y", "yes"}


def value(missing: MissingValueError) -> str:
    """Ask for the value of rows that are there.

    Raises:
        MissingValueError: nobody is there to answer, or no answer came.

    """
    if not _somebody():
        raise missing
    tell(str(missing))
    answer = _answer("SQL for the rows that are there: ")
    if not answer:
        raise missing
    return answer


def _somebody() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _answer(question: str) -> str:
    # To stderr: stdout may lead into a file.
    print(question, end="", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline().strip()
