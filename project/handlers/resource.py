"""What collections and rows have in common: who asks, whether they may, and running statements."""

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, cast

import psycopg
from tornado.web import HTTPError

from project.api.access import NOBODY, Asker
from project.api.collection import Collection, Collections, View
from project.api.faults import KEY, FaultError
from project.api.statement import Given, Statement
from project.connection import Rows
from project.handlers.base import Handler
from project.handlers.identity import Failures, Tokens, identify, unauthorized
from project.handlers.problems import Problem, ProblemError
from project.handlers.refusals import (
    ONCE,
    OnceError,
    culprits,
    faults_of,
    is_unreadable,
    refusal,
)
from project.models import Audience, Role

#: Times that a statement is tried which others keep from being carried out.
TRIES = 4

P = ParamSpec("P")

CONTENTION = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


Method = Callable[Concatenate[Any, P], Coroutine[Any, Any, None]]


def writes(method: Method[P]) -> Method[P]:
    """Make a method one that answers only whom the model lets write."""

    @functools.wraps(method)
    async def admitted(handler: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:  # noqa: ANN401
        handler.admit_writer()
        await method(handler, *args, **kwargs)

    vars(admitted)["by_declaration"] = True
    return admitted


class ResourceHandler(Handler):
    """A request for a collection, or for a row of one."""

    collection: Collection
    asker: Asker = NOBODY

    def initialize(self, collection: Collection) -> None:
        """See Tornado; the route says which collection."""
        self.collection = collection

    @property
    def collections(self) -> Collections:
        """All that is served."""
        return cast("Collections", self.settings["collections"])

    @property
    def tokens(self) -> Tokens:
        """The tokens by which accounts sign in."""
        return cast("Tokens", self.settings["tokens"])

    @property
    def view(self) -> View:
        """The collection as the asker sees it."""
        return View(self.collections, self.collection, self.asker)

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks, before anything else is read."""
        super().prepare()
        self.add_header("Vary", "Authorization")
        self.asker = await identify(
            self.request.headers.get("Authorization"),
            self.request.remote_ip or "",
            self.tokens,
            cast("Failures", self.settings["failures"]),
        )

    def admit(self, audience: Role | Audience) -> None:
        """Go on only if the asker is among those.

        Raises:
            ProblemError: 401 for whoever has not signed in, 403 for whoever may not.

        """
        if self.asker.among(audience):
            return
        if self.asker.role is None:
            raise unauthorized(f"Sign in to do this with {self.collection.name}.")
        raise ProblemError(
            Problem(403, f"As {self.asker.role} you may not do this with {self.collection.name}.")
        )

    def admit_reader(self) -> None:
        """Go on only if the asker may read, and say for whom the answer may be kept."""
        self.admit(self.collection.resource.read)
        private = "private, " if self.asker is not NOBODY else ""
        self.set_header("Cache-Control", f"{private}no-cache")

    def admit_writer(self) -> None:
        """Go on only if the asker may write.

        Raises:
            HTTPError: 405 where nobody may.

        """
        if self.collection.resource.write is Audience.nobody:
            raise HTTPError(405)
        self.admit(self.collection.resource.write)

    def allowed(self) -> str:
        """Leave out what nobody may."""
        return ", ".join(sorted(self.verbs(self.collection)))

    @classmethod
    def verbs(cls, collection: Collection) -> set[str]:
        """Return the methods that are answered for a collection.

        Where nobody may write, those are left out that would write, unless a handler of the
        resource's own defines them.
        """
        nobody = collection.resource.write is Audience.nobody
        return {
            method
            for method in cls.defined()
            if not (nobody and hasattr(getattr(cls, method.lower()), "by_declaration"))
        }

    @classmethod
    def describe(cls, api: dict[str, Any], item: dict[str, Any]) -> None:
        """Say where a handler of a resource's own answers otherwise than the model declares.

        Args:
            api: The whole OpenAPI document.
            item: Of it, the address of this handler: operations by method.

        """

    def preferences(self) -> dict[str, str]:
        """Return what the client would like (RFC 7240), in small letters; of several, the first."""
        header = self.request.headers.get("Prefer", "").lower()
        found = [item.partition("=") for item in header.replace(";", ",").split(",")]
        return {name.strip(): value.strip().strip('"') for name, _, value in reversed(found)}

    def applied(self, preference: str) -> None:
        """Say that a preference was met."""
        self.add_header("Preference-Applied", preference)

    async def ask(self, statement: Statement) -> Rows:
        """Run a statement that reads.

        Raises:
            FaultError: a value in the query is none of its type; its parameter is named.

        """
        try:
            return await self.attempt(lambda: self.reads.run(statement.text, statement.values))
        except psycopg.Error as error:
            if not is_unreadable(error):
                raise
            raise await self.fault(statement.given) from error

    async def fault(self, given: tuple[Given, ...], status: int = 400) -> Exception:
        """Say which values PostgreSQL did not take; all, where each alone is fine."""
        guilty = await culprits(given, lambda one: self.connections.run(one.text, one.values))
        if any(one.fault == KEY for one in guilty):
            return self.missing()
        what = "query" if status == 400 else "body"  # noqa: PLR2004
        detail = f"A value of the {what} cannot be used."
        return FaultError(status, detail, faults_of(guilty, given), what)

    def missing(self) -> ProblemError:
        """Return the 404 of a row."""
        return ProblemError(Problem(404, f"{self.collection.name} has no row at this key."))

    async def attempt(self, run: Callable[[], Awaitable[Rows]], *, many: bool = False) -> Rows:
        """Run a statement (of `many` rows), again if others were in its way.

        Raises:
            ProblemError: PostgreSQL refuses the change, or others were in the way each time.

        """
        for chance in range(1, TRIES + 1):
            try:
                return await run()
            except CONTENTION as error:
                if chance == TRIES:
                    raise self.refused(error) from error
                # Those that were in each other's way should not meet again.
                await asyncio.sleep(random.uniform(0, 0.02) * chance)  # noqa: S311
            except psycopg.Error as error:
                if refusal(error, self.collection):
                    raise self.refused(error, many=many) from error
                raise
        raise AssertionError

    def refused(self, error: psycopg.Error, *, many: bool = False) -> Exception:
        """Return the answer to a change that PostgreSQL refuses."""
        if error.diag.constraint_name == ONCE:
            return OnceError()
        problem = refusal(error, self.collection, many=many)
        return ProblemError(problem) if problem else error
