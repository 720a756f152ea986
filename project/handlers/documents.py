"""``/openapi.json``, ``/docs`` and ``/schemas/``: the API described, from what it is made of."""

from typing import Any, cast

from project.api.collection import Collections
from project.api.row_schema import schema_document
from project.handlers.base import JSON, Handler
from project.handlers.problems import Problem, ProblemError


class DocumentHandler(Handler):
    """A description of what is served."""

    @property
    def collections(self) -> Collections:
        """All that is served."""
        return cast("Collections", self.settings["collections"])

    def described(self) -> dict[str, Any]:
        """Return the whole description."""
        return cast("dict[str, Any]", self.settings["openapi"])


class OpenApi(DocumentHandler):
    """The description for programs."""

    def get(self) -> None:
        """Answer with OpenAPI 3.1."""
        self.set_header("Content-Type", f"{JSON}; charset=UTF-8")
        self.finish(self.described())


class Docs(DocumentHandler):
    """The description for people: a page without scripts, and nothing of it from elsewhere."""

    def get(self) -> None:
        """Answer with the page."""
        api = self.described()
        operations = [
            (method.upper(), path, operation)
            for path, item in api["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        ]
        self.render("docs.html", collections=self.collections, operations=operations)


class Schema(DocumentHandler):
    """The JSON Schema of the rows of one resource."""

    def get(self, name: str) -> None:
        """Answer with the schema."""
        if name not in self.collections:
            raise ProblemError(Problem(404, f"There is no resource {name}."))
        self.set_header("Content-Type", "application/schema+json; charset=UTF-8")
        self.finish(schema_document(self.collections[name]))
