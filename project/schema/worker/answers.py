"""A process that works for a foreign Alembic project: runs its env.py, on a scratch database only.

``source`` is the other side: it starts this process, sends one JSON request a line to stdin and
reads one JSON answer a line. The interpreter may be the foreign project's own, so this imports
SQLAlchemy and Alembic, and what lies beside it.
"""

import atexit
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from project.schema.worker import graph, loading, moving
from project.schema.worker.conversation import Conversation
from project.schema.worker.definitions import Definitions
from project.schema.worker.environment import Environment
from project.schema.worker.failure import failure_of
from project.schema.worker.sending import Release
from project.schema.worker.steering import Steering
from project.schema.worker.stepping import Steps
from project.schema.worker.watching import Watch
from project.schema.worker.worker import Worker


def answer(worker: Worker, request: Mapping[str, Any], conversation: Conversation) -> None:
    """Do what a request asks; whatever the foreign code raises is an answer, too."""
    worker.steering.scratch = sa.engine.make_url(request["scratch"])
    said: dict[str, Any]
    try:
        worker.environment.get_ready()
        said = {"value": value_of(worker, request)}
    except (Exception, SystemExit) as error:  # noqa: BLE001
        said = {"error": failure_of(error)}
    finally:
        worker.steering.let_go()
    # Steps may have read on: what is open then is the last step taken, or not begun yet.
    if "error" in said or any(conversation.open is done for done in (request, worker.steps.taken)):
        conversation.answer(**said)


def value_of(worker: Worker, request: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return what a request asks for."""
    match request["do"]:
        case "step up":
            return worker.step(request["to"], "upgrade")
        case "step down":
            return worker.step(request["to"], "downgrade")
        case "candidate upgrade":
            return worker.candidate(request["to"], "upgrade")
        case "candidate downgrade":
            return worker.candidate(request["to"], "downgrade")
        case "history":
            return graph.history(worker.environment.script())
        case "select":
            return graph.select(worker.environment.script(), request["to"])
        case (
            "upgrade"
            | "downgrade"
            | "stamp"
            | "hidden"
            | "send"
            | "observe_upgrade"
            | "observe_downgrade"
            | "observe_candidate"
        ) as verb:
            return getattr(worker, verb)(request["to"])
        case "models":
            worker.imported()
            return None
        case "metadata" | "create_all" | "version_table" as verb:
            return getattr(worker, verb)()
    raise AssertionError(request["do"])


def main() -> None:
    """Serve until stdin ends.

    The foreign code keeps neither end of the conversation: what it prints goes to stderr, and what
    it reads is empty.
    """
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    line = requests.readline()
    if not line:
        return  # what it was to work on could not be made
    first = json.loads(line)
    conversation = Conversation(requests, answers)
    definitions = Definitions()
    worker = Worker(
        environment=Environment(
            ini=Path(first["ini"]),
            section=first["section"],
            url_variable=first["url_variable"],
            arguments=first["arguments"],
            prepare=first["prepare"],
            steering=Steering(sa.engine.make_url(first["scratch"])),
        ),
        definitions=definitions,
        conversation=conversation,
        steps=Steps(conversation),
        watch=Watch(),
        release=Release(definitions),
    )
    worker.steering.install()
    worker.definitions.install()
    loading.install()
    # As `python -m alembic` would; last, so that what is installed is found first.
    sys.path.append(str(Path.cwd()))
    if first["moved"]:
        old, new = map(Path, first["moved"])
        worker.moved = old, new
        moving.move(old, new)
    while (request := conversation.request()) is not None:
        answer(worker, request, conversation)
    # Whoever registered something gets its turn. To take a thousand models to pieces, object by
    # object, would take longer than it took to import them.
    atexit._run_exitfuncs()  # noqa: SLF001 - it has no public name
    os._exit(0)


if __name__ == "__main__":
    main()
