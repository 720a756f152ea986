"""Is the process alive, and may it be sent requests? The probes of an orchestrator ask."""

import asyncio
from typing import Any, cast

import psycopg

from project.handlers.base import Handler
from project.handlers.problems import Problem, ProblemError, unavailable
from project.pool import BusyError, Connections
from project.replica import Replica
from project.revisions import History

#: A database that takes longer than this to say where it stands does not count as there.
ANSWER_SECONDS = 2


class Livez(Handler):
    """Alive means that the event loop turns: no I/O, whatever state the database is in."""

    def get(self) -> None:
        """Answer."""
        self.set_header("Cache-Control", "no-store")
        self.finish({"status": "alive"})


class Readyz(Handler):
    """Ready means that the database answers and stands exactly at this code's head revision."""

    async def get(self) -> None:
        """Answer 200 with the revision, or 503 with what is in the way."""
        self.set_header("Cache-Control", "no-store")
        if problem := await obstacle(self.connections, self.history, draining=self.draining):
            raise ProblemError(problem)
        answer: dict[str, Any] = {"status": "ready", "revision": sorted(self.history.heads)}
        if replica := cast("Replica | None", self.settings["replica"]):
            answer["replica"] = await standing(replica)
        self.finish(answer)


async def obstacle(connections: Connections, history: History, *, draining: bool) -> Problem | None:
    """Say what keeps the service from being ready, if anything does."""
    if draining:
        return unavailable("draining", "The service is about to stop.")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            stamped = await connections.stamped()
    except TimeoutError:
        return unavailable(
            "unreachable", f"The database did not answer within {ANSWER_SECONDS} seconds."
        )
    except BusyError:
        return unavailable("unreachable", "Every connection to the database is in use.")
    except psycopg.Error:
        return unavailable("unreachable", "The database cannot be reached.")
    objection = history.objection(stamped)
    return unavailable(*objection) if objection else None


async def standing(replica: Replica) -> dict[str, Any]:
    """Say whether a replica answers, and how far behind it is; without it, the service is ready."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return {"status": "ready", "behind_bytes": await replica.behind()}
    except (TimeoutError, BusyError, psycopg.Error):
        return {"status": "unreachable"}
