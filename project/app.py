"""The application: what is served where, and with what. Opens nothing; call it twice for two."""

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.orm import DeclarativeBase
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from project.api.collection import Collection, Collections, DeclarationError, collections
from project.api.openapi import document
from project.follower import Follower
from project.handlers.access_tokens import AccessTokens
from project.handlers.base import NotFound
from project.handlers.changes import WITH_BODY, ChangingHandler, in_pieces
from project.handlers.documents import Docs, OpenApi, Schema
from project.handlers.health import Livez, Readyz
from project.handlers.identity import Failures, Tokens
from project.handlers.root import Root
from project.handlers.row import Row
from project.handlers.rows import Rows
from project.metrics import Metrics
from project.models import AccessToken, Base
from project.pool import Connections
from project.replica import Replica
from project.revisions import History
from project.settings import Settings

#: Handlers of resources' own, of the collection and of a row. They may answer any method otherwise,
#: or more of them, or fewer, and say so in `describe`.
Own = Mapping[str, tuple[type[Rows], type[Row]]]

OWN: Own = {
    AccessToken.__tablename__: (AccessTokens, Row),
}

TEMPLATES = Path(__file__).parent / "handlers" / "templates"

access = logging.getLogger("project.access")


def make_app(  # noqa: PLR0913
    settings: Settings,
    connections: Connections,
    history: History,
    base: type[DeclarativeBase] = Base,
    own: Own = OWN,
    *,
    replica: Replica | None = None,
    metrics: Metrics | None = None,
) -> Application:
    """Return an application that serves what the models of `base` declare.

    It works through `connections`, and expects the database at the head of `history`. It reads
    from the `replica` and counts its requests in the `metrics`, where there are such.

    Raises:
        DeclarationError: a model, or a handler of a resource's `own`, declares what is not so.

    """
    served = collections(base)
    routes = list(_resources(served, own))
    draining = asyncio.Event()
    return Served(
        [
            (r"/", Root),
            (r"/livez", Livez),
            (r"/readyz", Readyz),
            (r"/openapi.json", OpenApi),
            (r"/docs", Docs),
            (r"/schemas/(\w+).json", Schema),
            *routes,
        ],
        default_handler_class=NotFound,
        log_function=_note_request,
        template_path=str(TEMPLATES),
        settings=settings,
        connections=connections,
        replica=replica,
        reads=replica or connections,
        history=history,
        metrics=metrics,
        collections=served,
        openapi=_description(served, routes),
        tokens=Tokens(connections),
        failures=Failures(),
        follower=Follower(connections, draining),
        draining=draining,
    )


class Served(Application):
    """An application in which a request waits for its body only if it may have one."""

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[RequestHandler],
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401  (Tornado's own type is private)
        """See Tornado; of a handler that changes rows, return the form that the method needs."""
        if request.method in WITH_BODY and issubclass(target_class, ChangingHandler):
            target_class = in_pieces(target_class)  # type: ignore[arg-type]
        return super().get_handler_delegate(request, target_class, *args, **kwargs)


class Route(NamedTuple):
    """Where a resource is served, as Tornado takes it."""

    pattern: str
    handler: type[Rows | Row]
    arguments: dict[str, Any]


def _resources(served: Collections, own: Own) -> Iterator[Route]:
    """Yield the routes of what the models declare: of each, the collection and its rows."""
    for name, collection in served.items():
        place = re.escape(collection.address)
        rows, row = own.get(name, (Rows, Row))
        yield Route(place, rows, {"collection": collection})
        yield Route(rf"{place}/([^/]+)", row, {"collection": collection})


def _description(served: Collections, routes: Iterable[Route]) -> dict[str, Any]:
    """Describe what is served, with what handlers of resources' own do otherwise."""
    api = document(served)
    for _, handler, arguments in routes:
        collection: Collection = arguments["collection"]
        path = f"/api/{collection.name}{'/{key}' if issubclass(handler, Row) else ''}"
        handler.describe(api, api["paths"][path])
        described = {method.upper() for method in api["paths"][path]} - {"PARAMETERS"}
        if described != handler.verbs(collection) - {"HEAD", "OPTIONS"}:
            raise DeclarationError(
                f"{handler.__name__} answers {', '.join(sorted(handler.verbs(collection)))} at"
                f" {path}, but describes {', '.join(sorted(described))}; see its describe()."
            )
    return api


def _note_request(handler: RequestHandler) -> None:
    """Count a request that was answered, and log it."""
    metrics: Metrics | None = handler.settings["metrics"]
    if metrics is not None:
        collection = getattr(handler, "collection", None)
        request = handler.request
        metrics.note(
            type(handler).__name__,
            collection.name if collection else "",
            request.method if request.method in handler.SUPPORTED_METHODS else "other",
            handler.get_status(),
            request.request_time(),
        )
    _log_request(handler)


def _log_request(handler: RequestHandler) -> None:
    """Log one line a request: errors of ours as such, and no query, which may hold a secret."""
    status = handler.get_status()
    level = logging.ERROR if status >= 500 else logging.INFO  # noqa: PLR2004
    if access.isEnabledFor(level):
        request = handler.request
        milliseconds = 1000 * request.request_time()
        access.log(
            level,
            "%d %s %s %.1f ms %s",
            *(status, request.method, request.path, milliseconds, request.remote_ip),
            extra={
                "status": status,
                "method": request.method,
                "path": request.path,
                "milliseconds": round(milliseconds, 1),
                "address": request.remote_ip,
                "handler": type(handler).__name__,
            },
        )
