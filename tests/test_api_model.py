"""Whatever several clients do at once, the table is what each of them made of its own rows."""

import asyncio
import json
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.httpclient import AsyncHTTPClient
from tornado.testing import bind_unused_port

from project.app import make_app
from project.models import Role
from project.pool import Connections
from project.revisions import read_history
from project.server import Server
from project.settings import Settings

from .conftest import Service, execute, sign_in

#: What a client does: to which of its rows, with which name.
STEP = st.tuples(
    st.sampled_from(["put", "create", "patch", "delete", "get", "list"]),
    st.integers(0, 3),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
)


class Client:
    """Works on rows of its own, and knows what they must be."""

    def __init__(self, service: Service, number: int, headers: dict[str, str]) -> None:
        self.service = service
        self.first = 10 * number
        self.headers = {**headers, "Content-Type": "application/json"}
        self.rows: dict[int, str] = {}

    async def follow(self, steps: list[tuple[str, int, str]]) -> None:
        for step, place, name in steps:
            await getattr(self, step)(self.first + place, name)

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:  # noqa: ANN401
        given = None if body is None else json.dumps(body)
        response = await self.service.fetch(path, "*/*", method, given, **self.headers)
        return response.code, json.loads(response.body) if response.body else None

    async def put(self, key: int, name: str) -> None:
        code, row = await self.send("PUT", f"/api/my_table/{key}", {"name": name})
        assert (code, row) == (200 if key in self.rows else 201, {"id": key, "name": name})
        self.rows[key] = name

    async def create(self, key: int, name: str) -> None:
        rows = [{"id": key, "name": name}, {"id": key + 4, "name": name}]
        code, answer = await self.send("POST", "/api/my_table", rows)
        if {key, key + 4} & self.rows.keys():
            assert code == 409
        else:
            assert (code, answer) == (201, rows)
            self.rows |= {key: name, key + 4: name}

    async def patch(self, key: int, name: str) -> None:
        code, row = await self.send("PATCH", f"/api/my_table/{key}", {"name": name})
        if key in self.rows:
            assert (code, row) == (200, {"id": key, "name": name})
            self.rows[key] = name
        else:
            assert code == 404

    async def delete(self, key: int, _name: str) -> None:
        code, _ = await self.send("DELETE", f"/api/my_table/{key}")
        assert code == (204 if self.rows.pop(key, None) is not None else 404)

    async def get(self, key: int, _name: str) -> None:
        code, row = await self.send("GET", f"/api/my_table/{key}")
        assert (row if code == 200 else None) == self.row(key)

    async def list(self, _key: int, _name: str) -> None:
        path = f"/api/my_table?id=gte.{self.first}&id=lt.{self.first + 10}"
        assert (await self.send("GET", path))[1] == [self.row(key) for key in sorted(self.rows)]

    def row(self, key: int) -> dict[str, Any] | None:
        return {"id": key, "name": self.rows[key]} if key in self.rows else None


async def work_together(database: sa.URL, scripts: list[list[tuple[str, int, str]]]) -> None:
    headers = sign_in(database, Role.editor)
    chosen = Settings(database_url=database, pool_size=2)
    connections = Connections(database, chosen)
    server = Server(make_app(chosen, connections, read_history()))
    socket, port = bind_unused_port()
    server.add_socket(socket)
    service = Service(port, server, connections, chosen)
    try:
        clients = [Client(service, number, headers) for number, _ in enumerate(scripts, 1)]
        await asyncio.gather(*(c.follow(s) for c, s in zip(clients, scripts, strict=True)))
    finally:
        server.stop()
        await server.close_all_connections()
        await connections.close()
        AsyncHTTPClient().close()
    expected = {key: name for client in clients for key, name in client.rows.items()}
    assert dict(execute(database, "SELECT id, name FROM my_table")) == expected
    assert replayed(database) == expected


def replayed(database: sa.URL) -> dict[int, str]:
    """What the audit alone says that the table is."""
    rows: dict[int, str] = {}
    for key, before, after in execute(
        database, "SELECT row_key, before, after FROM audit_entry ORDER BY id"
    ):
        number = key["id"]
        assert (before and before["name"]) == rows.get(number)
        rows.pop(number, None)
        if after:
            rows[number] = after["name"]
    return rows


@given(st.lists(st.lists(STEP, max_size=8), min_size=1, max_size=3))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_reads_and_writes_by_several_clients(
    database: sa.URL, scripts: list[list[tuple[str, int, str]]]
) -> None:
    execute(
        database,
        "TRUNCATE my_table",
        "ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_append_only",
        "TRUNCATE audit_entry",
    )
    asyncio.run(work_together(database, scripts))
