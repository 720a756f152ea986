"""JSON Schema (2020-12) of rows, as they are read and as they are written."""

from typing import Any

from project.api.collection import Collection
from project.api.column import Column
from project.api.values import or_null

Schema = dict[str, Any]


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


def new_schema(collection: Collection, *, partial: bool) -> Schema:
    """Return the schema of a row as clients write it; `partial` is one that is changed."""
    taken = [column for column in collection.columns.values() if column.taken]
    required = [column.name for column in taken if not (partial or column.optional)]
    return {
        "type": "object",
        "properties": {column.name: _column(column) for column in taken},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def without_bounds(schema: Schema) -> Schema:
    """Let rows have fewer members, and others."""
    bounds = {"required", "additionalProperties"}
    return {name: value for name, value in schema.items() if name not in bounds}


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
