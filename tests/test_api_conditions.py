"""Conditional requests as RFC 9110, section 13, has them; and headers that a client sends oddly."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa
from tornado.httpclient import HTTPResponse

from project.models import Role

from .conftest import Service, sign_in

Ask = Callable[..., Awaitable[HTTPResponse]]

#: Conditions, with {} for the row's tag: whether one reads, and whether one changes by them.
CONDITIONS = [
    ({}, 200, 200),
    ({"If-Match": "{}"}, 200, 200),
    ({"If-Match": '"x", {}'}, 200, 200),
    ({"If-Match": "*"}, 200, 200),
    ({"If-Match": "W/{}"}, 412, 412),
    ({"If-Match": '"x"'}, 412, 412),
    ({"If-Match": "no tag"}, 412, 412),
    ({"If-None-Match": "{}"}, 304, 412),
    ({"If-None-Match": "W/{}"}, 304, 412),
    ({"If-None-Match": '"x", {}'}, 304, 412),
    ({"If-None-Match": "*"}, 304, 412),
    ({"If-None-Match": '"x"'}, 200, 200),
    # If-Match is the first to decide.
    ({"If-Match": '"x"', "If-None-Match": "{}"}, 412, 412),
    ({"If-Match": "{}", "If-None-Match": "{}"}, 304, 412),
]


@pytest.fixture
async def ask(shop: Service, database: sa.URL) -> Ask:
    """Ask for a row of a collection that counts changes, or of one that does not."""
    editor = {**sign_in(database, Role.editor), "Content-Type": "application/json"}

    async def ask(
        method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        given = None if body is None else json.dumps(body)
        return await shop.fetch(path, "*/*", method, given, **{**editor, **(headers or {})})

    return ask


@pytest.mark.parametrize(("headers", "reads", "changes"), CONDITIONS)
@pytest.mark.parametrize(
    ("path", "row"), [("/api/author", {"name": "Ann"}), ("/api/plain", {"code": "abc"})]
)
async def test_conditions(  # noqa: PLR0913, PLR0917
    ask: Ask, path: str, row: dict[str, str], headers: dict[str, str], reads: int, changes: int
) -> None:
    place = (await ask("POST", path, row)).headers["Location"]

    async def conditions() -> dict[str, str]:
        tag = (await ask("GET", place)).headers["Etag"]
        return {name: value.replace("{}", tag) for name, value in headers.items()}

    assert (await ask("GET", place, headers=await conditions())).code == reads
    assert (await ask("HEAD", place, headers=await conditions())).code == reads
    assert (await ask("PATCH", place, row, await conditions())).code == changes
    if headers.get("If-None-Match") != "*":  # with which a PUT only inserts
        assert (await ask("PUT", place, row, await conditions())).code == changes
    deleted = await ask("DELETE", place, headers=await conditions())
    assert deleted.code == (204 if changes == 200 else 412)
    assert (await ask("GET", place)).code == (404 if changes == 200 else 200)


async def test_of_a_row_that_is_not_there_nothing_is_compared(ask: Ask) -> None:
    for headers in ({"If-Match": '"x"'}, {"If-None-Match": "*"}, {"If-None-Match": '"x"'}):
        for method in ("GET", "PATCH", "DELETE"):
            body = {"name": "Ann"} if method == "PATCH" else None
            assert (await ask(method, "/api/author/99", body, headers)).code == 404


async def test_of_a_preference_that_is_given_twice_the_first_counts(ask: Ask) -> None:
    prefer = {"Prefer": 'return="minimal"; x=1, return=representation'}
    answer = await ask("POST", "/api/author", {"name": "Ann"}, prefer)
    assert (answer.code, answer.body) == (201, b"")
    assert answer.headers["Preference-Applied"] == "return=minimal"


async def test_a_body_in_other_characters_is_refused_and_none_is_misread(ask: Ask) -> None:
    for charset, code in (("UTF-8", 201), ('"us-ascii"', 201), ("latin-1", 415)):
        form = {"Content-Type": f"application/json; charset={charset}"}
        assert (await ask("POST", "/api/author", {"name": "Ann"}, form)).code == code


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/docs", "/"])
async def test_head_is_get_without_a_body(
    service: Service, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    got, head = await service.fetch(path), await service.fetch(path, method="HEAD")
    assert (head.code, head.body) == (got.code, b"")
    assert head.headers.get("Content-Length") == got.headers.get("Content-Length")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_empty_accept_is_none(shop: Service) -> None:
    assert (await shop.fetch("/api/author", "")).code == 200


@pytest.mark.parametrize("target", ["http://test/livez?a=b", "HTTPS://test/livez", "http://test"])
async def test_a_request_may_have_a_whole_address_as_to_a_proxy(
    service: Service, target: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
