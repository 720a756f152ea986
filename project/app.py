"""The application: what is served where, and with what. Opens nothing; call it twice for two."""

import logging
from pathlib import Path

from tornado.web import Application, RequestHandler

from project.database import Connections
from project.handlers.base import NotFound
from project.handlers.health import Livez, Readyz
from project.handlers.root import Root
from project.revisions import History
from project.settings import Settings

TEMPLATES = Path(__file__).parent / "handlers" / "templates"

access = logging.getLogger("project.access")


def make_app(settings: Settings, connections: Connections, history: History) -> Application:
    """Return an application that reads through `connections` and expects the head of `history`."""
    return Application(
        [
            (r"/", Root),
            (r"/livez", Livez),
            (r"/readyz", Readyz),
        ],
        default_handler_class=NotFound,
        log_function=_log_request,
        template_path=str(TEMPLATES),
        settings=settings,
        connections=connections,
        history=history,
        draining=False,
    )


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
        )
