"""What can go wrong with a request, as RFC 9457 has it (``application/problem+json``)."""

import http
from typing import Any, NamedTuple

import psycopg
from tornado.web import HTTPError

from project.api.faults import FaultError
from project.pool import BusyError

MEDIA_TYPE = "application/problem+json"

#: Seconds after which a client may ask again when the database was not there.
RETRY_SECONDS = 1


class Problem(NamedTuple):
    """What is said to the client.

    ``type`` is ``about:blank`` where the status says it all, else a stable URN that programs can
    rely on; ``detail`` is for the person who reads it and holds nothing that must stay inside.
    """

    status: int
    detail: str
    type: str = "about:blank"
    title: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    errors: tuple[dict[str, str], ...] = ()

    def members(self, instance: str) -> dict[str, Any]:
        """Return the members of the JSON object (RFC 9457, section 3.1)."""
        members: dict[str, Any] = {
            "type": self.type,
            "title": self.title or http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        return {**members, "errors": self.errors} if self.errors else members


class ProblemError(HTTPError):
    """Raise it to answer with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)
        self.problem = problem


DETAILS = {
    400: "The request cannot be understood.",
    404: "Nothing is served at this address.",
    405: "This address does not answer this method; the Allow header lists those it does.",
    413: "The request is larger than the service accepts.",
}

#: What an exception of the database means; the first that fits.
DATABASE = (
    (BusyError, "busy", "Every connection to the database is in use."),
    (psycopg.errors.QueryCanceled, "timeout", "The database did not answer in time."),
    (
        (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn),
        "schema",
        "The database does not fit this code; /readyz says how.",
    ),
    (psycopg.OperationalError, "unreachable", "The database cannot be reached."),
)

UNEXPECTED = "The service failed. The reason is in its log."


def unavailable(kind: str, detail: str) -> Problem:
    """Return a 503 whose type says which of the known states the service is in."""
    title = f"{kind.capitalize().replace('-', ' ')}"
    headers = (("Retry-After", str(RETRY_SECONDS)),)
    return Problem(503, detail, f"urn:project:problem:{kind}", title, headers)


def problem_of(error: BaseException | None, status: int) -> Problem:
    """Say what an exception means to the client.

    Args:
        error: What a handler raised, if anything.
        status: The status that Tornado found for it (500 for what is no ``HTTPError``).

    """
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, FaultError):
        errors = tuple(fault.member() for fault in error.faults)
        kind = f"urn:project:problem:{error.kind}"
        return Problem(error.status, error.detail, kind, errors=errors)
    if isinstance(error, HTTPError):
        return Problem(status, DETAILS.get(status, http.HTTPStatus(status).description))
    for kinds, kind, detail in DATABASE:
        if isinstance(error, kinds):
            return unavailable(kind, detail)
    return Problem(status, DETAILS.get(status, UNEXPECTED))
