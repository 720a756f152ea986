"""The API described in OpenAPI 3.1: all addresses, from the models' declarations."""

from project.api.collection import Collection, Collections
from project.api.column import Column
from project.api.events import MEDIA_TYPE as EVENTS
from project.api.operation import (
    Schema,
    answers_of,
    body_of,
    gate,
    in_header,
    in_path,
    in_query,
    operation,
    reference,
)
from project.api.row_schema import PROBLEM_SCHEMA, new_schema, row_schema, without_bounds
from project.models import Audience

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"

#: The one row that filters meet, as PostgREST calls it.
ONE = "application/vnd.pgrst.object+json"
MERGE_PATCH = "application/merge-patch+json"

TITLE = "project"

#: The addresses that no model declares: what they are, and the types of their answers.
SERVICE = {
    "/": ("All rows of my_table, for people and programs.", [JSON, "text/html"], ["406", "503"]),
    "/livez": ("Is the process alive?", [JSON], []),
    "/readyz": ("May it be sent requests?", [JSON], ["503"]),
    "/openapi.json": ("This description.", [JSON], []),
    "/docs": ("This description as a page.", ["text/html"], []),
}


def document(collections: Collections) -> Schema:
    """Return the OpenAPI 3.1 document of the service."""
    paths: Schema = {
        path: {"get": operation(said, path, answers=answers_of(said, types), problems=problems)}
        for path, (said, types, problems) in SERVICE.items()
    }
    paths["/schemas/{table}.json"] = {
        "parameters": [in_path("table", {"enum": list(collections)}, "The resource.")],
        "get": operation(
            "The JSON Schema of a row.",
            "schema",
            answers=answers_of("The schema.", [JSON]),
            problems=["404"],
        ),
    }
    schemas: Schema = {"Problem": PROBLEM_SCHEMA}
    for name, collection in collections.items():
        paths |= _paths(collection)
        schemas[name] = row_schema(collection)
        schemas[f"{name}.selected"] = {
            **without_bounds(schemas[name]),
            "description": "A row with the columns that were selected, and rows within it.",
        }
        if collection.resource.write is not Audience.nobody:
            schemas[f"{name}.new"] = new_schema(collection, partial=False)
            schemas[f"{name}.patch"] = new_schema(collection, partial=True)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": "What the models declare."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths(collection: Collection) -> Schema:
    """Describe the two addresses of a collection."""
    name, resource = collection.name, collection.resource
    several: Schema = {"get": _list(collection)}
    single: Schema = {
        "parameters": [
            in_path("key", {"type": "string", "minLength": 1}, _key_description(collection))
        ],
        "get": operation(
            f"A row of {name}.",
            f"{name}.read",
            answers={**answers_of("The row.", [JSON], reference(f"{name}.selected")), **UNCHANGED},
            problems=["400", "404", *gate(resource.read)],
            parameters=[
                in_query("select", "Columns and related rows."),
                in_header("If-None-Match"),
            ],
            audience=resource.read,
        ),
    }
    if resource.write is not Audience.nobody:
        several["post"] = _post(collection)
        single |= _changes(collection)
    return {f"/api/{name}": several, f"/api/{name}/{{key}}": single}


def _list(collection: Collection) -> Schema:
    name, resource = collection.name, collection.resource
    row = reference(f"{name}.selected")
    answers = answers_of("Rows.", [JSON], {"type": "array", "items": row})
    answers["200"]["content"] |= {NDJSON: TEXT, CSV: TEXT, ONE: {"schema": row}}
    problems, resuming = ["400", "406", *gate(resource.read)], []
    if resource.write is not Audience.nobody:
        answers["200"]["content"] |= {EVENTS: LIVE}
        problems.append("410")
        resuming.append(in_header("Last-Event-ID", "The event after which a live stream resumes."))
    answers["200"]["headers"] = {
        "Link": {"description": "The next page.", "schema": {"type": "string"}},
        "Content-Range": {"description": "Rows of all pages.", "schema": {"type": "string"}},
    }
    limit = {"type": "integer", "minimum": 0}
    sizes = f"{resource.page_size} if not said, {resource.largest_page} at most"
    return operation(
        f"Rows of {name}. {collection.comment}".strip(),
        f"{name}.list",
        answers={**answers, **UNCHANGED},
        problems=problems,
        parameters=[
            in_query("select", "Columns and related rows: `a,b:c,d::text,author(name)`."),
            in_query("order", "The order: `a.desc,b.nullsfirst`."),
            in_query("limit", f"Rows of a page: {sizes}.", limit),
            in_query("offset", "Rows to pass over.", {"type": "integer", "minimum": 0}),
            in_query("cursor", "Where a page begins, from the Link header."),
            in_query("and", "Conditions that are all met: `(a.eq.1,b.is.null)`.", BRACKETED),
            in_query("or", "Conditions of which one is met: `(a.eq.1,b.is.null)`.", BRACKETED),
            *(_filter(c) for c in collection.columns.values() if collection.filterable(c)),
            in_header("Prefer", "`count=exact` or `count=estimated`."),
            *resuming,
        ],
        audience=resource.read,
    )


def _filter(column: Column) -> Schema:
    shape = {"type": "string", "pattern": r"^(not\.)?[a-z]+(\([a-z]+\))?\..*$"}
    said = f"{column.comment} As operator.value.".strip()
    return {**in_query(column.name, said, shape), "example": "not.is.null"}


def _post(collection: Collection) -> Schema:
    name = collection.name
    row, new = reference(name), reference(f"{name}.new")
    one_or_many = {"oneOf": [new, {"type": "array", "items": new}]}
    answered = {"oneOf": [row, {"type": "array", "items": row}, LOADED]}
    answers = answers_of("What the rows became.", [JSON], answered, status="201")
    answers["201"]["headers"] = {"Location": {"schema": {"type": "string"}}}
    body = body_of({JSON: {"schema": one_or_many}, NDJSON: TEXT, CSV: TEXT})
    return operation(
        f"Insert rows into {name}: all, or none.",
        f"{name}.insert",
        answers=answers,
        problems=["400", "409", "413", "415", "422", *gate(collection.resource.write)],
        parameters=[
            in_header("Idempotency-Key", "What the client calls this request.", CALLED),
            in_header("Prefer", "`return=minimal` leaves the rows out of the answer."),
        ],
        audience=collection.resource.write,
        body=body,
    )


def _changes(collection: Collection) -> Schema:
    name, audience = collection.name, collection.resource.write
    matching = ["404", "412", *(["428"] if collection.resource.match_required else [])]
    problems = ["400", "409", "413", "415", "422", *matching, *gate(audience)]
    parameters = [in_header("If-Match", "Versions to change."), in_header("Prefer", "`return=…`.")]
    changed = {**answers_of("The row as it is now.", [JSON], reference(name)), **NOTHING}
    made = answers_of("The new row.", [JSON], reference(name), status="201")
    new, patch = reference(f"{name}.new"), reference(f"{name}.patch")
    key = {column.name for column in collection.key}
    # The key is that of the address; what may be left out gets its default.
    required = [
        column.name
        for column in collection.columns.values()
        if column.taken and not column.optional and column.name not in key
    ]
    put = {"type": "object", "allOf": [reference(f"{name}.patch")], "required": required}
    return {
        "put": operation(
            f"Replace a row of {name}, or insert it where clients choose the keys.",
            f"{name}.replace",
            answers={**changed, **made},
            problems=problems,
            parameters=parameters,
            audience=audience,
            body=body_of({JSON: {"schema": {"anyOf": [new, put]}}}),
        ),
        "patch": operation(
            f"Change columns of a row of {name} (RFC 7396).",
            f"{name}.change",
            answers=changed,
            problems=problems,
            parameters=parameters,
            audience=audience,
            body=body_of({MERGE_PATCH: {"schema": patch}, JSON: {"schema": patch}}),
        ),
        "delete": operation(
            f"Delete a row of {name}.",
            f"{name}.delete",
            answers=changed,
            problems=problems,
            parameters=parameters,
            audience=audience,
        ),
    }


def _key_description(collection: Collection) -> str:
    names = ", ".join(column.name for column in collection.key)
    return f"The primary key: {names}; commas separate several."


TEXT = {"schema": {"type": "string"}}
BRACKETED = {"type": "string", "pattern": r"^\(.+\)$"}
CALLED = {"type": "string", "pattern": r"^[\x20-\x7e]{1,255}$"}
LIVE = {
    "schema": {
        "type": "string",
        "description": "Changes after their commit (WHATWG HTML, 9.2): `id`, `event` (insert,"
        " update or delete) and `data`, a row, or the key of one that is gone, as JSON.",
    }
}
LOADED = {
    "type": "object",
    "properties": {"inserted": {"type": "integer"}},
    "required": ["inserted"],
    "additionalProperties": False,
}
UNCHANGED = {"304": {"description": "It is what the client has already."}}
NOTHING = {"204": {"description": "Done, and nothing to show."}}
