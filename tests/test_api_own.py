"""A handler of a resource's own answers any method otherwise, and the description says so."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from project.api.collection import DeclarationError
from project.handlers.row import Row
from project.handlers.rows import Rows
from project.models import Role
from project.settings import Settings

from .conftest import Service, execute, sign_in


class Names(Rows):
    """A collection that can be emptied, and takes a name as plain text."""

    async def get(self) -> None:
        self.admit_reader()
        [[count]] = await self.connections.run(b"SELECT count(*) FROM my_table")
        self.finish(b"%b names" % (count or b""))

    async def post(self) -> None:
        self.admit_writer()
        name = self.content().decode()
        await self.connections.run(b"INSERT INTO my_table (name) VALUES (%s)", [name])
        self.set_status(201)

    async def delete(self) -> None:
        self.admit(Role.admin)
        await self.connections.run(b"TRUNCATE my_table")
        self.set_status(204)

    @classmethod
    def describe(cls, api: dict[str, Any], item: dict[str, Any]) -> None:
        assert api["paths"]["/api/my_table"] is item
        item["post"]["requestBody"] = {"content": {"text/plain": {}}}
        item["delete"] = {**item["get"], "summary": "Empty it.", "operationId": "my_table.empty"}


class Name(Row):
    """A row that is read in capitals, is touched by POST, and is never deleted."""

    SUPPORTED_METHODS = ("GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

    async def get(self, _key: str) -> None:
        self.admit_reader()
        [[name]] = await self.connections.run(
            b"SELECT upper(name) FROM my_table WHERE id = %s", self.key()
        )
        self.finish(name or b"")

    async def put(self, _key: str) -> None:
        self.set_status(204)

    async def post(self, _key: str) -> None:
        self.set_status(202)

    @classmethod
    def describe(cls, api: dict[str, Any], item: dict[str, Any]) -> None:
        assert api["paths"]["/api/my_table/{key}"] is item
        del item["delete"]
        item["post"] = {**item["get"], "summary": "Touch it.", "operationId": "my_table.touch"}


class Entries(Rows):
    """Nobody writes to the audit over the API, but to this handler."""

    async def post(self) -> None:
        self.set_status(202)

    @classmethod
    def describe(cls, api: dict[str, Any], item: dict[str, Any]) -> None:
        item["post"] = api["paths"]["/api/account"]["post"] | {"operationId": "audit_entry.note"}


class Silent(Rows):
    """It answers PATCH and does not say so."""

    async def patch(self) -> None:
        self.set_status(204)


async def test_a_resource_answers_any_method_in_its_own_way(
    serve: Callable[..., Service], database: sa.URL
) -> None:
    own = {"my_table": (Names, Name), "audit_entry": (Entries, Row)}
    service = serve(Settings(database_url=database), own=own)
    admin = sign_in(database, Role.admin)

    async def ask(method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        headers = {**admin, "Content-Type": "text/plain"}
        response = await service.fetch(path, "*/*", method, body, **headers)
        return response.code, response.body

    assert await ask("POST", "/api/my_table", "Ann") == (201, b"")
    assert await ask("GET", "/api/my_table") == (200, b"1 names")
    assert await ask("GET", "/api/my_table/1") == (200, b"ANN")
    assert (await ask("PUT", "/api/my_table/1", ""))[0] == 204
    assert (await ask("POST", "/api/my_table/1", ""))[0] == 202
    assert (await ask("DELETE", "/api/my_table/1"))[0] == 405
    assert (await ask("PATCH", "/api/my_table/1", "{}"))[0] == 415  # as declared
    assert (await ask("DELETE", "/api/my_table"))[0] == 204
    assert (await ask("POST", "/api/audit_entry", ""))[0] == 202
    assert execute(database, "SELECT count(*) FROM my_table") == [(0,)]

    api = json.loads((await service.fetch("/openapi.json")).body)
    for address, path in (
        ("/api/my_table", "/api/my_table"),
        ("/api/my_table/1", "/api/my_table/{key}"),
        ("/api/audit_entry", "/api/audit_entry"),
        ("/api/audit_entry/1", "/api/audit_entry/{key}"),
    ):
        allowed = (await service.fetch(address, method="OPTIONS")).headers["Allow"].split(", ")
        described = {method.upper() for method in api["paths"][path]} - {"PARAMETERS"}
        assert described == set(allowed) - {"HEAD", "OPTIONS"}
    assert api["paths"]["/api/my_table"]["delete"]["summary"] == "Empty it."


def test_what_a_handler_answers_and_does_not_describe_is_refused(
    serve: Callable[..., Service], database: sa.URL
) -> None:
    with pytest.raises(DeclarationError, match=r"Silent answers .*PATCH.* but describes GET, POST"):
        serve(Settings(database_url=database), own={"my_table": (Silent, Row)})
