"""What becomes of ``alembic merge``: Alembic writes it, and it is proved like any other revision.

Alembic runs env.py for it where the configuration says ``revision_environment = true``. A merge has
no operations of its own, mostly; what is proved is that its branches bear each other: with rows in
the tables it goes up, down and up again, and both orders of the branches make the same schema.
"""

import atexit
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from alembic import context
from alembic.util import load_python_file

from project.schema import scratch
from project.schema.autogenerate import entrance, questions
from project.schema.autogenerate.change import UnprovedError
from project.schema.autogenerate.invocation import (
    TOLD,
    after_writing,
    give_up,
    keep,
    project,
)
from project.schema.configuration import Project
from project.schema.progress import shown
from project.schema.report import render
from project.schema.selection import Selection
from project.schema.walking.roundtrip import roundtrip
from project.schema.worker.steering import Steering


def begin() -> None:
    """Lead env.py to an empty database, for the command needs none, and prove what is written."""
    closing = ExitStack()
    atexit.register(closing.close)
    try:
        server = closing.enter_context(scratch.server(scratch.from_environment()))
        empty = closing.enter_context(scratch.database(server))
        merging = project()
        after_writing(context.script, "proof", lambda file: _prove(merging, server, file))
    except TOLD as error:
        give_up(error, typed=True)
    entrance.lead(empty)
    Steering(empty).install()


def _prove(merging: Project, server: sa.URL, file: Path) -> None:
    """Prove a revision that is in the history now, or take it out again."""
    name = load_python_file(file.parent, file.name).revision
    try:
        with shown(sys.stderr) as progress:
            report = roundtrip(merging, server, only=Selection([name]), progress=progress)
        # What is wrong with the history as a whole, and not with a revision, was so before.
        report = replace(report, findings=tuple(f for f in report.findings if f.path))
        if not report.agrees:
            raise UnprovedError(render(report, "text", colour=False).strip())
    except TOLD as error:
        keep(merging, file.read_bytes())
        file.unlink()
        give_up(error, typed=True)
    questions.show("\n".join(report.facts))
