"""Live changes: every committed change once and in order, and to nobody more than a page tells."""

import asyncio
import json
import os
import random
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from msgspec import Raw

from project import embedded
from project.api import inserting
from project.api.access import Asker
from project.api.collection import View, collections
from project.handlers import live
from project.models import Base, Role
from project.settings import Settings

from .conftest import FORGETFUL, Process, Service, execute, migrate, secret, sign_in, until
from .eventsource import Event, source
from .shop import ShopBase

JSON = {"Content-Type": "application/json"}
Serve = Callable[..., Service]


async def send(service: Service, method: str, path: str, body: object, **headers: str) -> int:
    text = None if body is None else json.dumps(body)
    response = await service.fetch(path, "*/*", method, text, **{**JSON, **headers})
    return response.code


async def test_changes_come_as_they_are_committed(service: Service, database: sa.URL) -> None:
    editor = sign_in(database, Role.editor)
    async with source(service.port, "/api/my_table") as stream:
        assert "Content-Type: text/event-stream; charset=UTF-8\r\n" in stream.head
        assert await send(service, "POST", "/api/my_table", {"name": "a"}, **editor) == 201
        assert await send(service, "PATCH", "/api/my_table/1", {"name": "b"}, **editor) == 200
        assert await send(service, "PATCH", "/api/my_table/1", {"id": 5}, **editor) == 200
        assert await send(service, "DELETE", "/api/my_table/5", None, **editor) == 204
        table = {**editor, "Content-Type": "text/csv"}
        loaded = await service.fetch("/api/my_table", "*/*", "POST", "name\nc\nd\n", **table)
        assert loaded.code == 201
        assert await stream.take(7) == [
            Event(1, "insert", {"id": 1, "name": "a"}),
            Event(2, "update", {"id": 1, "name": "b"}),
            Event(2, "delete", {"id": 1}),  # a row with another key is another row
            Event(3, "insert", {"id": 5, "name": "b"}),
            Event(4, "delete", {"id": 5}),
            Event(5, "insert", {"id": 2, "name": "c"}),
            Event(6, "insert", {"id": 3, "name": "d"}),
        ]


async def write(service: Service, editor: dict[str, str], chance: random.Random) -> None:
    """Change rows at random; some changes are refused after a number of the audit was drawn."""
    for _ in range(15):
        row = chance.randint(1, 8)
        method, path, body = chance.choice([
            ("PUT", f"/api/my_table/{row}", {"name": f"n{chance.random()}"}),
            ("PATCH", f"/api/my_table/{row}", {"name": f"n{chance.random()}"}),
            ("DELETE", f"/api/my_table/{row}", None),
            ("POST", "/api/my_table", [{"id": row, "name": "x"}, {"id": 100 + row, "name": "y"}]),
        ])  # fmt: skip
        assert await send(service, method, path, body, **editor) in {200, 201, 204, 404, 409}


async def dawdle(url: sa.URL, chance: random.Random) -> None:
    """Write as the service does, but take time to commit, or give up after all."""
    served = collections(Base)
    view = View(served, served["my_table"], Asker(None, Role.editor))
    connection = await psycopg.AsyncConnection.connect(secret(url))
    async with connection:
        for _ in range(15):
            rows = [{"name": Raw(b'"slow"')}]
            statement, _ = inserting.insert(view, rows)
            await connection.execute(statement.text, statement.values)
            await asyncio.sleep(chance.random() / 10)
            await (connection.commit() if chance.random() < 0.6 else connection.rollback())


async def read(services: list[Service], chance: random.Random, last: int) -> list[tuple[int, str]]:
    """Follow until the row that ends the test, now here, now there, leaving again and again."""
    seen: list[tuple[int, str]] = []
    while True:
        async with source(chance.choice(services).port, "/api/my_table", last=last) as stream:
            patience = chance.randint(1, 25)
            async for event in stream.events():
                seen.append((event.id, f"{event.name} {event.data.get('name', '')}"))
                if event.data.get("name") == "the end":
                    return seen
                if (patience := patience - 1) == 0:
                    break
            assert stream.last is not None
            last = stream.last


async def test_every_reader_sees_every_committed_change_once_and_in_order(
    serve: Serve, database: sa.URL
) -> None:
    services = [serve(Settings(database_url=database)) for _ in range(2)]
    editor = sign_in(database, Role.editor)
    execute(database, "SELECT setval('my_table_id_seq', 1000)")
    readers = [asyncio.create_task(read(services, random.Random(n), 0)) for n in range(5)]
    chances = [random.Random(100 + n) for n in range(4)]
    writers = [write(service, editor, chance) for service in services for chance in chances[:2]]
    await asyncio.gather(*writers, *(dawdle(database, chance) for chance in chances))
    assert await send(services[0], "POST", "/api/my_table", {"name": "the end"}, **editor) == 201
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*readers)
    committed = execute(
        database, "SELECT id, action || ' ' || coalesce(after ->> 'name', '') FROM audit_entry"
        " WHERE table_name = 'my_table' ORDER BY id",
    )  # fmt: skip
    assert max(number for number, _ in committed) > len(committed)  # some were given up
    assert all(each == committed for each in seen)


async def test_a_reader_is_told_what_a_page_would_show_it(
    shop: Service, service: Service, database: sa.URL
) -> None:
    ann, bob, admin = (sign_in(database, role) for role in (Role.reader, Role.editor, Role.admin))
    port = shop.port
    for at, path, headers, status in (
        (port, "/api/note", {}, 401), (service.port, "/api/account", bob, 403),
        (port, "/api/ledger", admin, 404),
    ):  # fmt: skip
        async with source(at, path, headers) as refused:
            assert refused.status == status
    async with (
        source(port, "/api/note", ann) as to_ann,
        source(port, "/api/note", bob) as to_bob,
        source(port, "/api/note?select=text&account_id=eq.1", admin) as to_admin,
        source(port, "/api/author") as to_anyone,
        source(port, "/api/author?select=salary", admin) as of_salaries,
    ):
        assert await send(shop, "POST", "/api/note", {"text": "a"}, **ann) == 201
        assert await send(shop, "POST", "/api/note", {"text": "b"}, **bob) == 201
        # A row that changes hands leaves one reader's sight and enters the other's.
        assert await send(shop, "PATCH", "/api/note/1", {"account_id": 2}, **admin) == 200
        assert await to_ann.take(2) == [
            Event(1, "insert", {"id": 1, "account_id": 1, "text": "a"}),
            Event(3, "delete", {"id": 1}),
        ]
        assert await to_bob.take(2) == [
            Event(2, "insert", {"id": 2, "account_id": 2, "text": "b"}),
            Event(3, "insert", {"id": 1, "account_id": 2, "text": "a"}),
        ]
        assert await to_admin.take(2) == [
            Event(1, "insert", {"text": "a"}), Event(3, "delete", {"id": 1}),
        ]  # fmt: skip
        body = {"name": "Ann", "salary": 1.50, "email": "A@b", "tags": ["x"], "profile": {"n": 1}}
        assert await send(shop, "POST", "/api/author", body, **admin) == 201
        [event] = await to_anyone.take(1)
        page = await shop.fetch("/api/author")
        assert event.data == json.loads(page.body)[0]  # neither salary nor secret
        # What one does not see does not change.
        for change in ({"name": "Bob"}, {"tags": ["y"]}, {"salary": 2}):
            await send(shop, "PATCH", "/api/author/1", change, **admin)
        assert [event.data for event in await of_salaries.take(2)] == [
            {"salary": 1.5}, {"salary": 2}
        ]  # fmt: skip


async def test_values_that_only_python_can_show(shop: Service) -> None:
    row = {
        "shout": "ab", "numbers": [1, 2], "octets": "\\x00", "amount": 1.50, "wait": "P1DT2H",
        "spelled": {"a": "b\nc"}, "span": "[1,5)", "moment": "2020-02-29T12:30:00+00:00",
    }  # fmt: skip
    async with source(shop.port, "/api/decorated") as stream:
        assert await send(shop, "POST", "/api/decorated", row) == 201
        [event] = await stream.take(1)
        assert event.data == json.loads((await shop.fetch("/api/decorated/1")).body)
        assert event.data["shout"] == "AB"


async def test_what_cannot_be_followed_is_said_before_the_stream_begins(
    shop: Service, service: Service, database: sa.URL
) -> None:
    for path, last, status in (
        ("/api/author?order=name", "", 400),
        ("/api/author?select=*,book(*)", "", 400),
        ("/api/author?id=eq.x", "", 400),
        ("/api/author?secret=eq.x", "", 400),
        ("/api/author", "x", 400),
        ("/api/author", "12345", 410),  # of a database that has been lost
    ):
        async with source(shop.port, path, {"Last-Event-ID": last}) as refused:
            assert refused.status == status, path
            assert "application/problem+json" in refused.head
    # A change from before the columns had their types.
    execute(
        database, "INSERT INTO audit_entry (action, table_name, row_key, after)"
        """ VALUES ('insert', 'author', '{"id": 1}', '{"id": "x"}')""",
    )  # fmt: skip
    async with source(shop.port, "/api/author", last=0) as refused:
        assert refused.status == 410
    async with source(shop.port, "/api/author", last=1) as resumed:
        assert resumed.status == 200
    admin = sign_in(database, Role.admin)
    async with source(service.port, "/api/audit_entry", admin) as refused:
        assert refused.status == 406  # nobody changes it


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE access_token SET revoked_at = now()",
        "UPDATE access_token SET expires_at = now()",
        "UPDATE account SET role = 'admin'",
    ],
)
async def test_a_stream_ends_with_its_token(
    service: Service, database: sa.URL, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    reader, editor = sign_in(database, Role.reader), sign_in(database, Role.editor)
    async with source(service.port, "/api/my_table", reader) as stream:
        assert await send(service, "POST", "/api/my_table", {"name": "a"}, **editor) == 201
        assert len(await stream.take(1)) == 1
        key = "id" if "account " in end else "account_id"
        execute(database, f"{end} WHERE {key} = 1")
        assert await send(service, "POST", "/api/my_table", {"name": "b"}, **editor) == 201
        assert await stream.end() == []
    # Where nothing happens, too.
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    async with source(service.port, "/api/my_table", editor) as stream:
        execute(database, end)
        assert await stream.end() == []


async def test_a_silent_stream_ends_when_its_token_does(service: Service, database: sa.URL) -> None:
    reader, admin = sign_in(database, Role.reader), sign_in(database, Role.admin)
    execute(database, "UPDATE access_token SET expires_at = now() + interval '1 s' WHERE id = 1")
    revoked = sign_in(database, Role.reader)
    async with (
        asyncio.timeout(live.HEARTBEAT_SECONDS / 2),
        source(service.port, "/api/my_table", reader) as expiring,
        source(service.port, "/api/my_table", revoked) as revoking,
    ):
        assert await expiring.end() == []
        change = {"revoked_at": "2026-01-01T00:00:00Z"}
        assert await send(service, "PATCH", "/api/access_token/3", change, **admin) == 200
        assert await revoking.end() == []


async def test_a_silent_stream_shows_that_it_lives_and_how_far_it_is(
    shop: Service, database: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    editor = sign_in(database, Role.editor)
    async with source(shop.port, "/api/author?name=eq.Bob") as stream:
        assert await send(shop, "POST", "/api/author", {"name": "Ann"}, **editor) == 201
        reading = asyncio.create_task(stream.end())

        async def passed() -> bool:
            return stream.heartbeats > 2 and stream.last == 1

        await until(passed)
        reading.cancel()
        assert stream.heartbeats > 2


async def test_a_client_that_takes_nothing_is_cut_off_and_resumes(
    shop: Service, serve: Serve, database: sa.URL
) -> None:
    service = serve(Settings(database_url=database, client_seconds=0.2), ShopBase)
    editor = {**sign_in(database, Role.editor), "Content-Type": "application/x-ndjson"}
    rows = 1500
    async with source(service.port, "/api/author") as slow:
        line = json.dumps({"name": "Ann", "profile": {"text": "x" * 5000}})
        lines = "\n".join([line] * rows)
        loaded = await shop.fetch("/api/author", "*/*", "POST", lines, **editor)
        assert loaded.code == 201
        follower = service.server.application.settings["follower"]

        async def left() -> bool:
            return bool(follower.streams == 0)

        await until(left)
        seen = await slow.broken_off()
        assert 0 < len(seen) < rows
    async with source(shop.port, "/api/author", last=slow.last) as resumed:
        seen += await resumed.take(rows - len(seen))
    assert [event.data["id"] for event in seen] == list(range(1, rows + 1))


async def test_a_restart_of_the_database_loses_nothing(
    serve: Serve, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    folder = run_folder / f"live{os.getpid()}"
    with ExitStack() as server:
        url = server.enter_context(embedded.running(folder, FORGETFUL))
        migrate(url, lambda configuration: command.upgrade(configuration, "head"))
        service = serve(Settings(database_url=url))
        editor = sign_in(url, Role.editor)
        async with source(service.port, "/api/my_table", editor) as stream:
            assert await send(service, "POST", "/api/my_table", {"name": "a"}, **editor) == 201
            taking = asyncio.create_task(stream.take(2))
            server.close()
            lived = stream.heartbeats

            async def lives() -> bool:
                return stream.heartbeats > lived + 1

            await until(lives)
            assert await send(service, "POST", "/api/my_table", {"name": "b"}, **editor) == 503
            server.enter_context(embedded.running(folder))
            assert await send(service, "POST", "/api/my_table", {"name": "c"}, **editor) == 201
            assert [event.data["name"] for event in await taking] == ["a", "c"]
            execute(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                         " WHERE application_name = 'project'")  # fmt: skip
            assert await send(service, "POST", "/api/my_table", {"name": "d"}, **editor) == 201
            assert [event.data["name"] for event in await stream.take(1)] == ["d"]


async def test_a_service_that_stops_ends_its_streams(
    start_process: Callable[..., Process], database: sa.URL
) -> None:
    process = start_process(DATABASE_URL=secret(database), DRAIN_SECONDS="60")
    async with source(process.port, "/api/my_table") as stream:
        process.popen.send_signal(signal.SIGTERM)
        assert await stream.end() == []
        assert await asyncio.to_thread(process.popen.wait, 20) == 0
