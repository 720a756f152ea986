"""What is wrong with a request, said of the parameter or the member that is wrong."""

from collections.abc import Iterable
from typing import NamedTuple


class Fault(NamedTuple):
    """One violation.

    Attributes:
        detail: What is wrong, for the person who reads it.
        parameter: The parameter of the query that is wrong, if it is one.
        pointer: The place in the body, as a JSON Pointer (RFC 6901), if it is there.

    """

    detail: str
    parameter: str | None = None
    pointer: str | None = None

    def member(self) -> dict[str, str]:
        """Return it as an item of a problem's ``errors`` (as in RFC 9457, section 3)."""
        place = {"parameter": self.parameter} if self.parameter is not None else {}
        if self.pointer is not None:
            place = {"pointer": f"#{self.pointer}"}
        return {**place, "detail": self.detail}


class FaultError(Exception):
    """A request that cannot be carried out as it is; the status is 400 or 422.

    Args:
        status: The status.
        detail: What is wrong with it, for the person who reads it.
        faults: Each violation.
        kind: What is wrong, for programs: the ``query``, the ``body`` or a ``header``.

    """

    def __init__(
        self, status: int, detail: str, faults: Iterable[Fault] = (), kind: str = "query"
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = tuple(faults)
        self.kind = kind


#: The place of a value that is a part of the address: a row that cannot be is a row that is not.
KEY = "/"


def bad_parameter(parameter: str, detail: str) -> FaultError:
    """Return the error of a query that names, compares or asks what it cannot."""
    return FaultError(
        400, f"The parameter {parameter} cannot be used.", [Fault(detail, parameter=parameter)]
    )


def bad_body(faults: Iterable[Fault]) -> FaultError:
    """Return the error of a body that is well-formed and does not fit the resource."""
    return FaultError(422, "The body does not fit this resource.", faults, "body")


def pointer(*steps: str | int) -> str:
    """Write a JSON Pointer (RFC 6901, section 3)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)
