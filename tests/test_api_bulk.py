"""Rows in bulk come in whole or not at all, and are checked and audited like any other."""

import asyncio
import gzip
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import sqlalchemy as sa
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from project import server
from project.models import Role
from project.settings import Settings

from .conftest import Service, execute, sign_in

NDJSON = "application/x-ndjson"


@pytest.fixture
def editor(shop: Service, database: sa.URL) -> dict[str, str]:  # noqa: ARG001  (its tables)
    return sign_in(database, Role.editor)


async def load(
    service: Service, path: str, body: str | bytes, form: str, **headers: str
) -> HTTPResponse:
    return await service.fetch(path, "*/*", "POST", body, **{"Content-Type": form, **headers})


async def test_lines_of_json(shop: Service, database: sa.URL, editor: dict[str, str]) -> None:
    rows = [{"name": f"n {n}\n", "profile": {"n": n}, "email": "A@B"} for n in range(2000)]
    body = "\n".join(map(json.dumps, rows)) + "\n\n"
    response = await load(shop, "/api/author", body, NDJSON, **editor)
    assert (response.code, json.loads(response.body)) == (201, {"inserted": 2000})
    stored = execute(database, "SELECT name, profile, email FROM author ORDER BY id")
    assert stored == [(row["name"], row["profile"], "a@b") for row in rows]
    [(count, masked)] = execute(
        database, "SELECT count(*), min(after ->> 'secret') FROM audit_entry"
    )
    assert (count, masked) == (2000, "(hidden)")
    empty = await load(shop, "/api/author", "", NDJSON, **editor)
    assert json.loads(empty.body) == {"inserted": 0}


async def test_a_table_from_a_spreadsheet_begins_with_a_mark(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    table = "\ufeffname\r\nAnn\r\n".encode()
    assert (await load(shop, "/api/author", table, "text/csv", **editor)).code == 201
    assert execute(database, "SELECT name FROM author") == [("Ann",)]


async def test_a_body_that_is_packed_or_no_json_is_refused_as_such(
    shop: Service, editor: dict[str, str]
) -> None:
    packed = {**editor, "Content-Encoding": "gzip"}
    response = await load(shop, "/api/author", gzip.compress(b"{}"), "application/json", **packed)
    assert (response.code, response.headers["Accept-Encoding"]) == (415, "identity")
    for body, form in ((b"\xef\xbb\xbf{}", "application/json"), (b"a\n\xff", "text/csv")):
        response = await load(shop, "/api/author", body, form, **editor)
        assert (response.code, json.loads(response.body)["type"]) == (
            400,
            "urn:project:problem:body",
        )


async def test_what_was_exported_can_be_loaded(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    row = {
        "email": "a@b", "color": 2, "octets": "\\x00", "wait": "P1DT2H", "day": "2020-02-29",
        "moment": "2020-02-29T12:30:00+00:00", "span": "[1,5)", "document": {"a": [1]},
        "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "amount": 1.50, "url": 'a,"b\nc',
    }  # fmt: skip
    await load(shop, "/api/decorated", json.dumps([row, {}]), "application/json")
    for form in (NDJSON, "text/csv"):
        columns = "&select=" + ",".join(row)
        exported = await shop.fetch(f"/api/decorated?order=id{columns}", form)
        execute(database, "TRUNCATE decorated")
        loaded = await load(shop, "/api/decorated", exported.body, form)
        assert loaded.code == 201, loaded.body
        again = await shop.fetch(f"/api/decorated?order=id{columns}", form)
        assert again.body == exported.body
    author = 'name,tags,profile,born\n"Ann, ""A""","{a,b}","{""n"": 1}",\n'
    assert (await load(shop, "/api/author", author, "text/csv", **editor)).code == 201
    assert execute(database, "SELECT name, tags, profile, born FROM author") == [
        ('Ann, "A"', ["a", "b"], {"n": 1}, None)
    ]


@pytest.mark.parametrize(
    ("form", "body", "pointers"),
    [
        (NDJSON, '{"name": "a"}\n{"name": 5}\n{"nope": 1}', ["#/1/name", "#/2/name", "#/2/nope"]),
        (NDJSON, '{"name": "a"}\nnonsense', ["#/1"]),
        (NDJSON, '{"name": "a"}\n{"name": "b", "born": null}', ["#/1"]),
        (NDJSON, '{"name": "a", "profile": {"x": "\\u0000"}}', ["#/0/profile"]),
        ("text/csv", "name,born\na,2020-01-01\nb,never\n", ["#/1/born"]),
        ("text/csv", "name\na,b\n", ["#/0"]),
        ("text/csv", "name,secret\na,b\n", ["#/0/secret"]),
    ],
)
async def test_what_does_not_fit_is_pointed_at_and_nothing_is_loaded(  # noqa: PLR0913, PLR0917
    shop: Service,
    database: sa.URL,
    editor: dict[str, str],
    form: str,
    body: str,
    pointers: list[str],
) -> None:
    response = await load(shop, "/api/author", body, form, **editor)
    assert response.code == 422, response.body
    errors = json.loads(response.body)["errors"]
    assert [error["pointer"] for error in errors] == pointers
    assert execute(database, "SELECT count(*) FROM author") == [(0,)]
    assert execute(database, "SELECT count(*) FROM audit_entry") == [(0,)]


async def test_a_table_that_cannot_be_read(shop: Service, editor: dict[str, str]) -> None:
    for body in (b'name\n"a\n', b"name\n\xff\n"):
        assert (await load(shop, "/api/author", body, "text/csv", **editor)).code == 400


async def test_a_conflict_takes_everything_back(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    execute(database, "INSERT INTO author (name) VALUES ('Ann')")
    body = "author_id,title,price\n" + "".join(f"1,t{n % 900},1\n" for n in range(1000))
    response = await load(shop, "/api/book", body, "text/csv", **editor)
    assert (response.code, json.loads(response.body)["type"]) == (409, "urn:project:problem:unique")
    assert execute(database, "SELECT count(*) FROM book") == [(0,)]


async def test_whoever_may_not_write_need_not_send_the_body(shop: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    writer.write(
        b"POST /api/author HTTP/1.1\r\nHost: test\r\nContent-Type: text/csv\r\n"
        b"Content-Length: 100000000\r\n\r\nname\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_a_body_has_a_limit(serve: Callable[..., Service], database: sa.URL) -> None:
    service = serve(Settings(database_url=database, load_bytes=1000))
    editor = sign_in(database, Role.editor)
    assert (await load(service, "/api/my_table", "name\nx\n", "text/csv", **editor)).code == 201
    rows = json.dumps([{"name": "x"}] * 100_000)

    async def chunked(text: str) -> HTTPResponse:
        async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
            for begin in range(0, len(text), 1000):
                await write(text[begin : begin + 1000].encode())

        headers = {**editor, "Content-Type": "application/json"}
        return await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{service.port}/api/my_table/1", method="PATCH", headers=headers,
            body_producer=produce, raise_error=False,
        )  # fmt: skip

    for response in (
        await load(service, "/api/my_table", "name\n" + "x\n" * 1000, "text/csv", **editor),
        await load(service, "/api/my_table", rows, "application/json", **editor),
        await chunked(rows),
    ):
        assert response.code == 413
        assert response.headers["Content-Type"] == "application/problem+json"
    # Whoever asks first is told first; and nobody has to take what is much too large.
    for length, waits in ((2_000_000, b"Expect: 100-continue\r\n"), (10**12, b"")):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"PUT /api/my_table/1 HTTP/1.1\r\nHost: test\r\n%b" % waits)
        writer.write(b"Content-Length: %d\r\n\r\n" % length)
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
    assert execute(database, "SELECT count(*) FROM my_table") == [(1,)]


async def test_whoever_takes_no_body_takes_no_large_one(service: Service) -> None:
    for path, method in (("/livez", "POST"), ("/nowhere", "PUT"), ("/", "GET")):
        response = await service.fetch(path, "*/*", method, b"x" * 2_000_000)
        assert (response.code, json.loads(response.body)["status"]) == (413, 413)
    assert (await service.fetch("/livez", "*/*", "POST", b"x" * 1_000_000)).code == 405


@pytest.mark.parametrize("path", ["/api/my_table/1", "/nowhere"])
async def test_a_body_in_chunks_that_does_not_end_is_refused_in_so_many_words(
    service: Service, editor: dict[str, str], path: str
) -> None:
    asked = f"PATCH {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
    asked += "".join(f"{name}: {value}\r\n" for name, value in editor.items())
    sent, answer = await asyncio.to_thread(_send_for_ever, service.port, asked.encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == 413
    assert sent < 2**26


def _send_for_ever(port: int, asked: bytes) -> tuple[int, bytes]:
    """Send chunks until the other side has hung up, and only then read what it said."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(asked + b"\r\n")
        sent, answer = 0, b""
        with suppress(ConnectionError):
            while sent < 2**27:
                connection.sendall(b"100000\r\n%b\r\n" % bytes(2**20))
                sent += 2**20
        with suppress(ConnectionError):
            while piece := connection.recv(2**16):
                answer += piece
        return sent, answer


async def test_headers_have_a_limit(service: Service) -> None:
    response = await service.fetch("/api/my_table", **{"X-Large": "x" * 70_000})
    assert (response.code, json.loads(response.body)["status"]) == (431, 431)
    assert (await service.fetch("/api/my_table?or=(" + "x" * 70_000, method="HEAD")).code == 431
    assert (await service.fetch("/api/my_table")).code == 200


async def test_a_body_that_does_not_arrive_is_cut_off_and_a_load_has_longer(
    shop: Service, editor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.1)

    async def begin(
        path: str, form: str, body: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: {editor['Authorization']}\r\n"
            f"Content-Type: {form}\r\nContent-Length: 100\r\n\r\n{body}".encode()
        )
        return reader, writer

    row = json.dumps({"name": "Ann"})
    loading, more = await begin("/api/author", NDJSON, row)
    for path in ("/api/author", "/livez"):
        reader, writer = await begin(path, "application/json", row)
        assert await reader.read() == b"", path
        writer.close()
    more.write(b"\n".rjust(100 - len(row)))
    assert (await loading.readline()).startswith(b"HTTP/1.1 201")
    more.close()


async def test_a_table_may_have_empty_lines_and_names_no_column_twice(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    table = 'name,born\nAnn,\n\n"Bo\n""b""",2000-01-01\n\n'
    assert (await load(shop, "/api/author", table, "text/csv", **editor)).code == 201
    stored = execute(database, "SELECT name, born::text FROM author ORDER BY id")
    assert stored == [("Ann", None), ('Bo\n"b"', "2000-01-01")]
    twice = await load(shop, "/api/author", "name,name\nAnn,Bo\n", "text/csv", **editor)
    assert (twice.code, "twice" in json.loads(twice.body)["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("application/json", '[{"title": "a", "price": 1}, {"title": "a", "price": 2}]'),
        (NDJSON, '{"title": "a", "price": 1}\n{"title": "a", "price": 2}'),
        ("text/csv", "title,price\na,1\na,2\n"),
    ],
)
async def test_a_refusal_of_many_rows_names_the_columns_and_points_at_none(
    shop: Service, database: sa.URL, editor: dict[str, str], form: str, body: str
) -> None:
    [(author,)] = execute(database, "INSERT INTO author (name) VALUES ('Ann') RETURNING id")
    if form == "text/csv":
        body = body.replace("price\n", "price,author_id\n").replace("1\n", f"1,{author}\n")
        body = body.replace("2\n", f"2,{author}\n")
    else:
        body = body.replace("{", f'{{"author_id": {author}, ')
    refused = await load(shop, "/api/book", body, form, **editor)
    problem = json.loads(refused.body)
    assert (refused.code, problem["type"]) == (409, "urn:project:problem:unique")
    assert "title" in problem["detail"]
    assert "errors" not in problem
