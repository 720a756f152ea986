"""Is the process alive, and may it be sent requests? The probes of an orchestrator ask."""

import asyncio

import psycopg

from project.database import BusyError
from project.handlers.base import Handler
from project.handlers.problems import Problem, ProblemError, unavailable

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
        if problem := await self.problem():
            raise ProblemError(problem)
        self.finish({"status": "ready", "revision": sorted(self.history.heads)})

    async def problem(self) -> Problem | None:
        """Say what is in the way, if anything."""
        if self.draining:
            return unavailable("draining", "The service is about to stop.")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                stamped = await self.connections.stamped()
        except TimeoutError:
            return unavailable(
                "unreachable", f"The database did not answer within {ANSWER_SECONDS} seconds."
            )
        except BusyError:
            return unavailable("unreachable", "Every connection to the database is in use.")
        except psycopg.Error:
            return unavailable("unreachable", "The database cannot be reached.")
        objection = self.history.objection(stamped)
        return unavailable(*objection) if objection else None
