"""Who may: tokens, roles, rows of one's own; and what is said to whoever may not."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from tornado.httpclient import HTTPResponse

from project.database import ROOT
from project.handlers.identity import ADDRESSES, PATIENCE, Failures
from project.models import Role
from project.settings import Settings

from .conftest import Service, execute, secret, sign_in
from .transcript import Terminal

JSON = {"Content-Type": "application/json"}


async def send(
    service: Service, method: str, path: str, body: object, **headers: str
) -> HTTPResponse:
    return await service.fetch(path, "*/*", method, json.dumps(body), **JSON, **headers)


@pytest.mark.parametrize(
    ("path", "method", "codes"),
    [
        # for nobody in particular, a reader, an editor, an admin
        ("/api/my_table", "GET", (200, 200, 200, 200)),
        ("/api/my_table", "POST", (401, 403, 201, 201)),
        ("/api/my_table/1", "PATCH", (401, 403, 200, 200)),
        ("/api/my_table/1", "DELETE", (401, 403, 204, 204)),
        ("/api/account", "GET", (401, 403, 403, 200)),
        ("/api/account/1", "GET", (401, 403, 403, 200)),
        ("/api/account/1", "PATCH", (401, 403, 403, 200)),
        ("/api/access_token", "GET", (401, 403, 403, 200)),
        ("/api/access_token", "POST", (401, 403, 403, 422)),
        ("/api/audit_entry", "GET", (401, 403, 403, 200)),
        ("/api/audit_entry", "POST", (405, 405, 405, 405)),
        ("/api/audit_entry/1", "DELETE", (405, 405, 405, 405)),
    ],
)
async def test_every_role_may_what_it_may(
    service: Service, database: sa.URL, path: str, method: str, codes: tuple[int, ...]
) -> None:
    body: Any = {"name": "x"} if "my_table" in path else {}
    for role, code in zip((None, *Role), codes, strict=True):
        execute(database, "INSERT INTO my_table VALUES (1, 'x') ON CONFLICT DO NOTHING")
        execute(database, "SELECT setval('my_table_id_seq', max(id)) FROM my_table")
        headers = sign_in(database, role) if role else {}
        given = None if method == "GET" else json.dumps(body)
        response = await service.fetch(path, "*/*", method, given, **JSON, **headers)
        assert response.code == code, (role, response.body)
        if code == 401:
            assert response.headers["WWW-Authenticate"].startswith("Bearer ")
        if code == 405:
            assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


async def test_rows_of_ones_own(shop: Service, database: sa.URL) -> None:
    ann, bob, admin = (sign_in(database, role) for role in (Role.reader, Role.editor, Role.admin))
    assert (await send(shop, "POST", "/api/note", {"text": "a"}, **ann)).code == 201
    assert (await send(shop, "POST", "/api/note", {"text": "b"}, **bob)).code == 201
    assert execute(database, "SELECT id, account_id FROM note") == [(1, 1), (2, 2)]
    # Nobody but an admin sees or touches those of others.
    for headers, seen in ((ann, ["a"]), (bob, ["b"]), (admin, ["a", "b"])):
        notes = json.loads((await shop.fetch("/api/note?order=id", **headers)).body)
        assert [note["text"] for note in notes] == seen
        exported = await shop.fetch("/api/note?select=text", "text/csv", **headers)
        assert exported.body.decode().splitlines()[1:] == seen
    assert (await shop.fetch("/api/note/2", **ann)).code == 404
    assert (await shop.fetch("/api/note")).code == 401
    for method in ("PATCH", "PUT", "DELETE"):
        refused = await send(shop, method, "/api/note/2", {"text": "x"}, **ann)
        assert refused.code in {404, 409}
    assert execute(database, "SELECT text FROM note WHERE id = 2") == [("b",)]
    # Nor gives anybody a row to another.
    for method, path in (("POST", "/api/note"), ("PATCH", "/api/note/1"), ("PUT", "/api/note/1")):
        refused = await send(shop, method, path, {"account_id": 2}, **ann)
        assert refused.code == 422
        assert json.loads(refused.body)["errors"][0]["pointer"] == "#/account_id"
    assert (await send(shop, "PATCH", "/api/note/1", {"text": "c"}, **ann)).code == 200
    assert (await send(shop, "PATCH", "/api/note/1", {"account_id": 2}, **admin)).code == 200
    assert (await shop.fetch("/api/note/1", **ann)).code == 404


async def test_a_column_for_a_role_is_neither_seen_nor_set_below_it(
    shop: Service, database: sa.URL
) -> None:
    editor, admin = sign_in(database, Role.editor), sign_in(database, Role.admin)
    body = {"name": "Ann", "salary": 5}
    assert (await send(shop, "POST", "/api/author", body, **editor)).code == 422
    made = await send(shop, "POST", "/api/author", body, **admin)
    assert json.loads(made.body)["salary"] == 5
    changed = await send(shop, "PATCH", "/api/author/1", {"name": "x"}, **editor)
    assert "salary" not in json.loads(changed.body)
    # To replace a row is not to empty what one does not see.
    assert (await send(shop, "PUT", "/api/author/1", {"name": "y"}, **editor)).code == 200
    assert execute(database, "SELECT name, salary::int FROM author") == [("y", 5)]


async def test_a_token_that_does_not_live_opens_nothing(service: Service, database: sa.URL) -> None:
    async def code(**headers: str) -> int:
        return (await service.fetch("/api/my_table", **headers)).code

    live = sign_in(database, Role.admin)
    assert await code(**live) == 200
    execute(database, "UPDATE access_token SET expires_at = now() - interval '1 second'")
    assert await code(**live) == 401
    execute(database, "UPDATE access_token SET expires_at = now() + interval '1 day'")
    assert await code(**live) == 200
    execute(database, "UPDATE access_token SET revoked_at = now()")
    assert await code(**live) == 401
    for header in ("Bearer", "Bearer x", "Basic x", live["Authorization"][:-1], "", "Bearer ü"):
        response = await service.fetch("/api/my_table", Authorization=header)
        assert response.code == 401
        assert response.headers["WWW-Authenticate"].endswith('error="invalid_token"')


async def test_the_last_use_of_a_token_is_noted_once_a_minute(
    service: Service, database: sa.URL
) -> None:
    headers = sign_in(database, Role.reader)
    used = "SELECT last_used_at FROM access_token"
    assert execute(database, used) == [(None,)]
    await service.fetch("/api/my_table", **headers)
    [first] = execute(database, used)
    await service.fetch("/api/my_table", **headers)
    assert execute(database, used) == [first]
    execute(database, "UPDATE access_token SET last_used_at = now() - interval '2 minutes'")
    await service.fetch("/api/my_table", **headers)
    assert execute(database, used) > [first]


async def test_whoever_guesses_has_to_wait(service: Service, database: sa.URL) -> None:
    for _ in range(PATIENCE):
        assert (await service.fetch("/api/my_table", Authorization="Bearer x")).code == 401
    response = await service.fetch("/api/my_table", Authorization="Bearer x")
    assert (response.code, int(response.headers["Retry-After"]) > 0) == (429, True)
    assert (await service.fetch("/api/my_table")).code == 200  # without a token, as before
    assert execute(database, "SELECT 1") == [(1,)]


def test_only_so_many_addresses_are_remembered() -> None:
    failures = Failures()
    for number in range(ADDRESSES + 10):
        failures.note(f"192.0.2.{number}")
    assert len(failures.seen) == ADDRESSES


async def test_an_admin_makes_tokens_and_takes_them_back(
    service: Service, database: sa.URL
) -> None:
    admin = sign_in(database, Role.admin)
    account = {"email": "Ann@example.org", "role": "reader"}
    made = await send(service, "POST", "/api/account", account, **admin)
    number = json.loads(made.body)["id"]
    answer = await send(
        service, "POST", "/api/access_token", {"account_id": number, "label": "laptop"}, **admin
    )
    assert (answer.code, answer.headers["Cache-Control"]) == (201, "no-store")
    row = json.loads(answer.body)
    ann = {"Authorization": f"Bearer {row['token']}"}
    assert "token_hash" not in row
    assert (await service.fetch("/api/my_table", **ann)).code == 200
    assert (await service.fetch("/api/account", **ann)).code == 403
    # The token itself is nowhere.
    stored = execute(database, "SELECT access_token::text FROM access_token")
    stored += execute(database, "SELECT audit_entry::text FROM audit_entry")
    assert row["token"] not in str(stored)
    revoked = {"revoked_at": "2020-01-01T00:00:00Z"}
    assert (await send(service, "PATCH", answer.headers["Location"], revoked, **admin)).code == 200
    assert (await service.fetch("/api/my_table", **ann)).code == 401
    # Each token is made and shown once: none is made again, nor in bulk.
    keyed = {**admin, "Idempotency-Key": "x"}
    body = {"account_id": number, "label": "phone"}
    assert (await send(service, "POST", "/api/access_token", body, **keyed)).code == 400
    table = {**admin, "Content-Type": "text/csv"}
    refused = await service.fetch("/api/access_token", "*/*", "POST", "label\nx\n", **table)
    assert refused.code == 415


async def test_an_email_is_taken_once(service: Service, database: sa.URL) -> None:
    admin = sign_in(database, Role.admin)
    account = {"email": "ann@example.org", "role": "reader"}
    assert (await send(service, "POST", "/api/account", account, **admin)).code == 201
    again = {"email": "ANN@example.org", "role": "admin"}
    assert (await send(service, "POST", "/api/account", again, **admin)).code == 409


def tokens(url: sa.URL, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "project.tokens", *arguments],
        cwd=ROOT,
        env={"DATABASE_URL": secret(url)},
        capture_output=True,
        check=False,
        text=True,
    )


async def test_tokens_are_made_listed_and_revoked_by_a_script(
    service: Service, database: sa.URL
) -> None:
    refused = tokens(database, "make", "ann@example.org")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "say --role" in refused.stderr
    made = tokens(database, "make", "ann@example.org", "--role", "editor", "--days", "7")
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert (await send(service, "POST", "/api/my_table", {"name": "x"}, **headers)).code == 201
    listed = tokens(database, "list").stdout
    assert "ann@example.org" in listed
    assert made.stdout.strip() not in listed
    assert tokens(database, "revoke", "1").stdout == "Token 1 is revoked.\n"
    assert (await service.fetch("/api/my_table", **headers)).code == 401
    assert tokens(database, "revoke", "9").returncode == 2
    noted = execute(database, "SELECT table_name, action FROM audit_entry ORDER BY id")
    assert noted == [
        ("account", "insert"), ("access_token", "insert"), ("my_table", "insert"),
        ("access_token", "update"),
    ]  # fmt: skip
    [(made_as, revoked)] = execute(
        database, "SELECT before - 'revoked_at' = after - 'revoked_at' AND before ? 'label',"
        " after ->> 'revoked_at' IS NOT NULL FROM audit_entry WHERE action = 'update'",
    )  # fmt: skip
    assert (made_as, revoked) == (True, True)


def test_the_first_token_is_shown_once(terminal: Terminal) -> None:
    printed = terminal.serve()
    [line] = [line for line in printed.splitlines() if line.startswith("Token")]
    token = line.split()[1]
    terminal.interrupt()
    assert "Token" not in terminal.serve()
    asked = f"curl -s -H 'Authorization: Bearer {token}' localhost:{terminal.port}/api/account"
    assert '"email":"admin@localhost"' in terminal.run(asked)


async def test_pages_of_other_origins_may_call_only_if_they_are_named(
    serve: Callable[..., Service], database: sa.URL
) -> None:
    closed = serve(Settings(database_url=database))
    response = await closed.fetch("/api/my_table", Origin="https://a.example")
    assert "Access-Control-Allow-Origin" not in response.headers
    named = serve(Settings(database_url=database, cors_origins="https://a.example, https://b"))
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "PATCH"}
    preflight = await named.fetch("/api/my_table/1", method="OPTIONS", **asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    other = await named.fetch("/api/my_table", Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_browsers_are_told_to_keep_to_themselves(service: Service) -> None:
    for path in ("/", "/api/my_table", "/nope"):
        headers = (await service.fetch(path, "text/html")).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
