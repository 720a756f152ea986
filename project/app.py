"""The application: what is served where, and with what. Opens nothing; call it twice for two."""

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import DeclarativeBase
from tornado.web import Application, RequestHandler

from project.api.collection import Collections, collections
from project.api.openapi import document
from project.database import Connections
from project.follower import Follower
from project.handlers.access_tokens import AccessTokens
from project.handlers.base import NotFound
from project.handlers.documents import Docs, OpenApi, Schema
from project.handlers.health import Livez, Readyz
from project.handlers.identity import Failures
from project.handlers.root import Root
from project.handlers.row import Row
from project.handlers.rows import Rows
from project.models import AccessToken, Base
from project.revisions import History
from project.settings import Settings

#: Resources with handlers of their own: of the collection, and of a row.
OWN: Mapping[str, tuple[type[Rows], type[Row]]] = {
    AccessToken.__tablename__: (AccessTokens, Row),
}

TEMPLATES = Path(__file__).parent / "handlers" / "templates"

access = logging.getLogger("project.access")


def make_app(
    settings: Settings,
    connections: Connections,
    history: History,
    base: type[DeclarativeBase] = Base,
) -> Application:
    """Return an application that serves what the models of `base` declare.

    It works through `connections`, and expects the database at the head of `history`.
    """
    served = collections(base)
    draining = asyncio.Event()
    return Application(
        [
            (r"/", Root),
            (r"/livez", Livez),
            (r"/readyz", Readyz),
            (r"/openapi.json", OpenApi),
            (r"/docs", Docs),
            (r"/schemas/(\w+).json", Schema),
            *_resources(served),
        ],
        default_handler_class=NotFound,
        log_function=_log_request,
        template_path=str(TEMPLATES),
        settings=settings,
        connections=connections,
        history=history,
        collections=served,
        openapi=_description(served),
        failures=Failures(),
        follower=Follower(connections, draining),
        draining=draining,
    )


def _description(served: Collections) -> dict[str, Any]:
    """Describe what is served, with what handlers of resources' own do otherwise."""
    api = document(served)
    for name, (rows, _) in OWN.items():
        if name in served:
            rows.describe(api)
    return api


def _resources(served: Collections) -> Iterator[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Yield the routes of what the models declare."""
    for name, collection in served.items():
        place = f"/api/{re.escape(name)}"
        rows, row = OWN.get(name, (Rows, Row))
        yield place, rows, {"collection": collection}
        yield rf"{place}/([^/]+)", row, {"collection": collection}


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
