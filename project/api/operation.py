"""The pieces of an operation in OpenAPI 3.1: parameters, bodies, answers, and what can go wrong."""

from collections.abc import Iterable
from typing import Any

from project.api.access import NOBODY
from project.models import Audience, Role

PROBLEM = "application/problem+json"

Schema = dict[str, Any]

#: What can go wrong, by status; each operation names those that can happen to it.
PROBLEMS = {
    "400": "A parameter, or the body, cannot be read.",
    "401": "The token is missing, unknown, expired or revoked.",
    "403": "The account's role may not do this.",
    "404": "There is no such row.",
    "406": "The answer has no such form.",
    "409": "The change is in conflict with other rows.",
    "410": "The changes since that event cannot be told any more.",
    "412": "The row is not the one that the change is based on.",
    "413": "The body is larger than the service takes.",
    "415": "The body is of a type that is not taken.",
    "422": "The body does not fit; `errors` points at every violation.",
    "428": "If-Match is required.",
    "429": "Too many wrong tokens came from this address.",
    "503": "The database is busy or out of reach; Retry-After says when to ask again.",
}


def operation(  # noqa: PLR0913
    summary: str,
    identifier: str,
    *,
    answers: Schema,
    problems: Iterable[str],
    parameters: Iterable[Schema] = (),
    audience: Role | Audience = Audience.anyone,
    body: Schema | None = None,
) -> Schema:
    """Return an operation, with what can go wrong by its statuses."""
    failing = {status: problem(PROBLEMS[status]) for status in sorted(problems)}
    return {
        "summary": summary,
        "operationId": identifier,
        "parameters": list(parameters),
        **({"requestBody": body} if body else {}),
        "responses": {**answers, **failing},
        "security": [{}, {"token": []}] if NOBODY.among(audience) else [{"token": []}],
        "x-audience": audience.value,
    }


def gate(audience: Role | Audience) -> list[str]:
    """Return what can happen to whoever asks, whatever is asked."""
    return ["401", "429", "503", *([] if NOBODY.among(audience) else ["403"])]


def answers_of(
    description: str, types: Iterable[str], schema: Schema | None = None, status: str = "200"
) -> Schema:
    """Return the answers of one status: in each of the types, of one schema."""
    content = {kind: {"schema": schema or {}} for kind in types}
    return {status: {"description": description, "content": content}}


def problem(description: str) -> Schema:
    """Return the answer to a request that failed."""
    return {"description": description, "content": {PROBLEM: {"schema": reference("Problem")}}}


def body_of(content: Schema) -> Schema:
    """Return a body that has to be sent, by type."""
    return {"required": True, "content": content}


def reference(name: str) -> Schema:
    """Refer to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def in_path(name: str, schema: Schema, description: str) -> Schema:
    """Return a part of the address."""
    place = {"name": name, "in": "path", "required": True}
    return {**place, "schema": schema, "description": description}


def in_query(name: str, description: str, schema: Schema | None = None) -> Schema:
    """Return a parameter of the query."""
    return {
        "name": name,
        "in": "query",
        "schema": schema or {"type": "string"},
        "description": description,
    }


def in_header(name: str, description: str = "Entity tags.", schema: Schema | None = None) -> Schema:
    """Return a header of the request."""
    return {**in_query(name, description, schema), "in": "header"}
