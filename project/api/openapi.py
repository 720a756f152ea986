"""The API described: JSON Schema of rows, and OpenAPI 3.1 of all addresses, from declarations."""

from collections.abc import Iterable
from typing import Any

from project.api.access import NOBODY
from project.api.collection import Collection, Collections, Column
from project.api.values import or_null
from project.models import Audience, Role

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
PROBLEM = "application/problem+json"
MERGE_PATCH = "application/merge-patch+json"

Schema = dict[str, Any]

TITLE = "project"

#: What can go wrong, by status; each operation names those that can happen to it.
PROBLEMS = {
    "400": "A parameter, or the body, cannot be read.",
    "401": "The token is missing, unknown, expired or revoked.",
    "403": "The account's role may not do this.",
    "404": "There is no such row.",
    "406": "The answer has no such form.",
    "409": "The change is in conflict with other rows.",
    "412": "The row is not the one that the change is based on.",
    "413": "The body is larger than the service takes.",
    "415": "The body is of a type that is not taken.",
    "422": "The body does not fit; `errors` points at every violation.",
    "428": "If-Match is required.",
    "429": "Too many wrong tokens came from this address.",
    "503": "The database is busy or out of reach; Retry-After says when to ask again.",
}

#: The addresses that no model declares: what they are, and the types of their answers.
SERVICE = {
    "/": ("All rows of my_table, for people and programs.", [JSON, "text/html"], ["406", "503"]),
    "/livez": ("Is the process alive?", [JSON], []),
    "/readyz": ("May it be sent requests?", [JSON], ["503"]),
    "/openapi.json": ("This description.", [JSON], []),
    "/docs": ("This description as a page.", ["text/html"], []),
}


def row_schema(collection: Collection) -> Schema:
    """Return the JSON Schema (2020-12) of a row as it is read."""
    return {
        "type": "object",
        "title": collection.name,
        "description": collection.comment,
        "properties": {name: _column(column) for name, column in collection.columns.items()},
        "required": [column.name for column in collection.columns.values() if column.role is None],
        "additionalProperties": False,
    }


def schema_document(collection: Collection) -> Schema:
    """Return the schema of a row as a document of its own."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/schemas/{collection.name}.json",
        **row_schema(collection),
    }


def document(collections: Collections) -> Schema:
    """Return the OpenAPI 3.1 document of the service."""
    paths: Schema = {
        path: {"get": _operation(said, path, answers=_answers(said, types), problems=problems)}
        for path, (said, types, problems) in SERVICE.items()
    }
    paths["/schemas/{table}.json"] = {
        "parameters": [_path("table", {"enum": list(collections)}, "The resource.")],
        "get": _operation(
            "The JSON Schema of a row.",
            "schema",
            answers=_answers("The schema.", [JSON]),
            problems=["404"],
        ),
    }
    schemas: Schema = {"Problem": PROBLEM_SCHEMA}
    for name, collection in collections.items():
        paths |= _paths(collection)
        schemas[name] = row_schema(collection)
        schemas[f"{name}.selected"] = {
            **_without_bounds(schemas[name]),
            "description": "A row with the columns that were selected, and rows within it.",
        }
        if collection.resource.write is not Audience.nobody:
            schemas[f"{name}.new"] = _new(collection, partial=False)
            schemas[f"{name}.patch"] = _new(collection, partial=True)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": "What the models declare."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _column(column: Column) -> Schema:
    schema = dict(column.type.schema)
    if column.nullable:
        schema = or_null(schema)
    notes = [column.comment]
    if column.role is not None:
        notes.append(f"For the role {column.role} only.")
    if said := " ".join(note for note in notes if note):
        schema["description"] = said
    if not column.taken:
        schema["readOnly"] = True
    return schema


def _new(collection: Collection, *, partial: bool) -> Schema:
    taken = [column for column in collection.columns.values() if column.taken]
    required = [column.name for column in taken if not (partial or column.optional)]
    return {
        "type": "object",
        "properties": {column.name: _column(column) for column in taken},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _without_bounds(schema: Schema) -> Schema:
    bounds = {"required", "additionalProperties"}
    return {name: value for name, value in schema.items() if name not in bounds}


def _paths(collection: Collection) -> Schema:
    """Describe the two addresses of a collection."""
    name, resource = collection.name, collection.resource
    several: Schema = {"get": _list(collection)}
    single: Schema = {
        "parameters": [
            _path("key", {"type": "string", "minLength": 1}, _key_description(collection))
        ],
        "get": _operation(
            f"A row of {name}.",
            f"{name}.read",
            answers={**_answers("The row.", [JSON], _ref(f"{name}.selected")), **UNCHANGED},
            problems=["400", "404", *_gate(resource.read)],
            parameters=[_query("select", "Columns and related rows."), _header("If-None-Match")],
            audience=resource.read,
        ),
    }
    if resource.write is not Audience.nobody:
        several["post"] = _post(collection)
        single |= _changes(collection)
    return {f"/api/{name}": several, f"/api/{name}/{{key}}": single}


def _list(collection: Collection) -> Schema:
    name, resource = collection.name, collection.resource
    row = _ref(f"{name}.selected")
    answers = _answers("Rows.", [JSON], {"type": "array", "items": row})
    answers["200"]["content"] |= {NDJSON: {"schema": {"type": "string"}}, CSV: TEXT}
    answers["200"]["headers"] = {
        "Link": {"description": "The next page.", "schema": {"type": "string"}},
        "Content-Range": {"description": "Rows of all pages.", "schema": {"type": "string"}},
    }
    limit = {"type": "integer", "minimum": 0}
    sizes = f"{resource.page_size} if not said, {resource.largest_page} at most"
    return _operation(
        f"Rows of {name}. {collection.comment}".strip(),
        f"{name}.list",
        answers={**answers, **UNCHANGED},
        problems=["400", "406", *_gate(resource.read)],
        parameters=[
            _query("select", "Columns and related rows: `a,b:c,d::text,author(name)`."),
            _query("order", "The order: `a.desc,b.nullsfirst`."),
            _query("limit", f"Rows of a page: {sizes}.", limit),
            _query("offset", "Rows to pass over.", {"type": "integer", "minimum": 0}),
            _query("cursor", "Where a page begins, from the Link header."),
            _query("and", "Conditions that are all met: `(a.eq.1,b.is.null)`."),
            _query("or", "Conditions of which one is met: `(a.eq.1,b.is.null)`."),
            *(_filter(c) for c in collection.columns.values() if collection.filterable(c)),
            _header("Prefer", "`count=exact` or `count=estimated`."),
        ],
        audience=resource.read,
    )


def _filter(column: Column) -> Schema:
    shape = {"type": "string", "pattern": r"^(not\.)?[a-z]+(\([a-z]+\))?\..*$"}
    said = f"{column.comment} As operator.value.".strip()
    return {**_query(column.name, said, shape), "example": "not.is.null"}


def _post(collection: Collection) -> Schema:
    name = collection.name
    row, new = _ref(name), _ref(f"{name}.new")
    one_or_many = {"oneOf": [new, {"type": "array", "items": new}]}
    answered = {"oneOf": [row, {"type": "array", "items": row}, LOADED]}
    answers = _answers("What the rows became.", [JSON], answered, status="201")
    answers["201"]["headers"] = {"Location": {"schema": {"type": "string"}}}
    body = _body({JSON: {"schema": one_or_many}, NDJSON: TEXT, CSV: TEXT})
    return _operation(
        f"Insert rows into {name}: all, or none.",
        f"{name}.insert",
        answers=answers,
        problems=["400", "409", "413", "415", "422", *_gate(collection.resource.write)],
        parameters=[
            _header("Idempotency-Key", "What the client calls this request."),
            _header("Prefer", "`return=minimal` leaves the rows out of the answer."),
        ],
        audience=collection.resource.write,
        body=body,
    )


def _changes(collection: Collection) -> Schema:
    name, audience = collection.name, collection.resource.write
    matching = ["404", "412", *(["428"] if collection.resource.match_required else [])]
    problems = ["400", "409", "415", "422", *matching, *_gate(audience)]
    parameters = [_header("If-Match", "Versions to change."), _header("Prefer", "`return=…`.")]
    changed = {**_answers("The row as it is now.", [JSON], _ref(name)), **NOTHING}
    new, patch = _ref(f"{name}.new"), _ref(f"{name}.patch")
    put = {"type": "object", "allOf": [_ref(f"{name}.patch")]}
    return {
        "put": _operation(
            f"Replace a row of {name}, or insert it where clients choose the keys.",
            f"{name}.replace",
            answers={**changed, **_answers("The new row.", [JSON], _ref(name), status="201")},
            problems=problems,
            parameters=parameters,
            audience=audience,
            body=_body({JSON: {"schema": {"anyOf": [new, put]}}}),
        ),
        "patch": _operation(
            f"Change columns of a row of {name} (RFC 7396).",
            f"{name}.change",
            answers=changed,
            problems=problems,
            parameters=parameters,
            audience=audience,
            body=_body({MERGE_PATCH: {"schema": patch}, JSON: {"schema": patch}}),
        ),
        "delete": _operation(
            f"Delete a row of {name}.",
            f"{name}.delete",
            answers=changed,
            problems=problems,
            parameters=parameters,
            audience=audience,
        ),
    }


def _operation(  # noqa: PLR0913
    summary: str,
    identifier: str,
    *,
    answers: Schema,
    problems: Iterable[str],
    parameters: Iterable[Schema] = (),
    audience: Role | Audience = Audience.anyone,
    body: Schema | None = None,
) -> Schema:
    failing = {status: _problem(PROBLEMS[status]) for status in sorted(problems)}
    return {
        "summary": summary,
        "operationId": identifier,
        "parameters": list(parameters),
        **({"requestBody": body} if body else {}),
        "responses": {**answers, **failing},
        "security": [{}, {"token": []}] if NOBODY.among(audience) else [{"token": []}],
        "x-audience": audience.value,
    }


def _gate(audience: Role | Audience) -> list[str]:
    """Return what can happen to whoever asks, whatever is asked."""
    return ["401", "429", "503", *([] if NOBODY.among(audience) else ["403"])]


def _answers(
    description: str, types: Iterable[str], schema: Schema | None = None, status: str = "200"
) -> Schema:
    content = {kind: {"schema": schema or {}} for kind in types}
    return {status: {"description": description, "content": content}}


def _problem(description: str) -> Schema:
    return {"description": description, "content": {PROBLEM: {"schema": _ref("Problem")}}}


def _body(content: Schema) -> Schema:
    return {"required": True, "content": content}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _path(name: str, schema: Schema, description: str) -> Schema:
    place = {"name": name, "in": "path", "required": True}
    return {**place, "schema": schema, "description": description}


def _query(name: str, description: str, schema: Schema | None = None) -> Schema:
    return {
        "name": name,
        "in": "query",
        "schema": schema or {"type": "string"},
        "description": description,
    }


def _header(name: str, description: str = "Entity tags.") -> Schema:
    return {**_query(name, description), "in": "header"}


def _key_description(collection: Collection) -> str:
    names = ", ".join(column.name for column in collection.key)
    return f"The primary key: {names}; commas separate several."


TEXT = {"schema": {"type": "string"}}
LOADED = {
    "type": "object",
    "properties": {"inserted": {"type": "integer"}},
    "required": ["inserted"],
    "additionalProperties": False,
}
UNCHANGED = {"304": {"description": "It is what the client has already."}}
NOTHING = {"204": {"description": "Done, and nothing to show."}}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "What is wrong (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "parameter": {"type": "string"},
                    "pointer": {"type": "string"},
                    "detail": {"type": "string"},
                },
                "required": ["detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "instance"],
}
