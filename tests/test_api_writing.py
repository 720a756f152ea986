"""Changes: what fits is written and audited, what does not is pointed at, nothing is half done."""

import asyncio
import json
from typing import Any

import pytest
import sqlalchemy as sa
from tornado.httpclient import HTTPResponse

from project.models import Role

from .conftest import Service, execute, sign_in

PATCH = "application/merge-patch+json"


@pytest.fixture
def editor(shop: Service, database: sa.URL) -> dict[str, str]:  # noqa: ARG001  (its tables)
    return sign_in(database, Role.editor)


async def send(
    service: Service, method: str, path: str, body: object = None, **headers: str
) -> HTTPResponse:
    given = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
    headers = {"Content-Type": "application/json", **headers}
    return await service.fetch(path, "*/*", method, given, **headers)


def audited(database: sa.URL) -> list[tuple[Any, ...]]:
    return execute(
        database,
        "SELECT action, table_name, row_key, before, after FROM audit_entry ORDER BY id",
    )


async def test_a_new_row_is_answered_with_what_it_became(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    body = {"name": "Ann", "email": "ANN@example.org", "profile": {"n": 1}, "tags": ["a", None]}
    response = await send(shop, "POST", "/api/author", body, **editor)
    assert response.code == 201, response.body
    assert response.headers["Location"] == "/api/author/1"
    assert response.headers["Etag"] == '"1"'
    row = json.loads(response.body)
    assert row["email"] == "ann@example.org"
    assert row["profile"] == {"n": 1}
    assert json.loads((await shop.fetch("/api/author/1", **editor)).body) == row
    [(action, table, key, before, after)] = audited(database)
    assert (action, table, key, before) == ("insert", "author", {"id": 1}, None)
    assert after["name"] == "Ann"
    assert after["secret"] == "(hidden)"
    [(who,)] = execute(database, "SELECT account_id FROM audit_entry")
    assert who == 1


async def test_many_rows_are_written_together_in_their_order_or_not_at_all(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    rows = [{"name": "a"}, {"name": "b", "born": "2000-01-01"}, {"name": "c"}]
    response = await send(shop, "POST", "/api/author", rows, **editor)
    assert response.code == 201
    assert "Location" not in response.headers
    assert [row["name"] for row in json.loads(response.body)] == ["a", "b", "c"]
    assert len(audited(database)) == 3
    books = [{"author_id": 1, "title": title, "price": 1} for title in ("x", "y", "x")]
    refused = await send(shop, "POST", "/api/book", books, **editor)
    assert refused.code == 409
    assert execute(database, "SELECT count(*) FROM book") == [(0,)]
    assert len(audited(database)) == 3
    assert json.loads((await send(shop, "POST", "/api/author", [], **editor)).body) == []


async def test_what_the_models_themselves_give_a_row(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    execute(database, "INSERT INTO author (name) VALUES ('Ann')")
    book = {"author_id": 1, "title": "x", "price": 10.50}
    made = await send(shop, "POST", "/api/book", book, **editor)
    row = json.loads(made.body)
    assert (row["printed"], row["updated_at"], len(row["id"])) == (7, None, 36)
    assert b'"price":10.50' in made.body
    changed = await send(shop, "PATCH", made.headers["Location"], {"title": "y"}, **editor)
    assert json.loads(changed.body)["updated_at"] is not None


#: Where something is written, what, and what is said of which part of it.
VIOLATIONS = [
    ("/api/author", {}, {"#/name": "missing"}),
    ("/api/author", {"name": None}, {"#/name": "must not be null"}),
    ("/api/author", {"name": "x" * 51}, {"#/name": "length <= 50"}),
    ("/api/author", {"name": 5}, {"#/name": "Expected `str"}),
    ("/api/author", {"name": "a\0b"}, {"#/name": "NUL"}),
    ("/api/author", {"name": "a", "nope": 1}, {"#/nope": "no such member"}),
    ("/api/author", {"name": "a", "secret": "x"}, {"#/secret": "no such member"}),
    ("/api/author", {"name": "a", "salary": 1}, {"#/salary": "no such member"}),
    ("/api/author", {"name": "a", "version": 9}, {"#/version": "sets this itself"}),
    ("/api/author", {"name": "a", "id": 9}, {"#/id": "sets this itself"}),
    ("/api/author", {"name": "a", "born": "1.1.2000"}, {"#/born": "RFC3339"}),
    ("/api/author", {"name": "a", "tags": ["x", 1]}, {"#/tags/1": "Expected `str"}),
    ("/api/author", {"name": "a", "tags": ["\0"]}, {"#/tags": "text[]"}),
    ("/api/author", {"name": "a", "profile": {"x": "\0"}}, {"#/profile": "jsonb"}),
    ("/api/author", ["x"], {"#/0": "an object"}),
    ("/api/author", 5, {"#": "an object"}),
    (
        "/api/author",
        [{"name": "a"}, {"born": "x", "e/~": 1}],
        {"#/1/name": "missing", "#/1/born": "RFC3339", "#/1/e~1~0": "no such member"},
    ),
    (
        "/api/book",
        {"author_id": 1, "title": "x", "price": 1, "genre": "poem"},
        {"#/genre": "enum"},
    ),
    (
        "/api/book",
        {"author_id": 1, "title": "x", "price": 1, "printed": 40000},
        {"#/printed": "<= 32767"},
    ),
    ("/api/book", {"author_id": 1, "title": "x", "price": 1e9}, {"#/price": "numeric(10, 2)"}),
    (
        "/api/book",
        {"id": "x", "author_id": 1.5, "title": "x", "price": "y"},
        {"#/id": "UUID", "#/author_id": "`int", "#/price": "decimal"},
    ),
]


async def test_every_violation_is_pointed_at(shop: Service, editor: dict[str, str]) -> None:
    for path, body, faults in VIOLATIONS:
        response = await send(shop, "POST", path, body, **editor)
        assert response.code == 422, (body, response.body)
        problem = json.loads(response.body)
        assert problem["type"] == "urn:project:problem:body"
        said = {error["pointer"]: error["detail"] for error in problem["errors"]}
        assert (body, said.keys()) == (body, faults.keys())
        for pointer, words in faults.items():
            assert words in said[pointer], body
    # Half a character of UTF-16 is none in UTF-8: JSON cannot say it.
    response = await send(shop, "POST", "/api/author", b'{"name": "\xed\xa0\x80"}', **editor)
    assert json.loads(response.body)["errors"] == [
        {"pointer": "#/name", "detail": "It cannot be read, or is nested too deep."}
    ]


@pytest.mark.parametrize(
    ("body", "status", "kind", "pointers"),
    [
        ({"author_id": 1, "title": "taken", "price": 1}, 409, "unique", ["#/title"]),
        ({"author_id": 9, "title": "x", "price": 1}, 409, "reference", ["#/author_id"]),
        ({"author_id": 1, "title": "x", "price": -1}, 422, "check", ["#/price"]),
    ],
)
async def test_what_the_database_refuses_is_said_without_its_words(  # noqa: PLR0913, PLR0917
    shop: Service,
    database: sa.URL,
    editor: dict[str, str],
    body: object,
    status: int,
    kind: str,
    pointers: list[str],
) -> None:
    execute(
        database,
        "INSERT INTO author (name) VALUES ('Ann')",
        "INSERT INTO book (id, author_id, title, price, printed)"
        " VALUES (gen_random_uuid(), 1, 'taken', 1, 1)",
    )
    response = await send(shop, "POST", "/api/book", body, **editor)
    problem = json.loads(response.body)
    assert (response.code, problem["type"]) == (status, f"urn:project:problem:{kind}")
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert b"constraint" not in response.body
    still = await send(shop, "DELETE", "/api/author/1", **editor)
    assert (still.code, json.loads(still.body)["type"]) == (409, "urn:project:problem:reference")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"name": "\\ud800"}', b'{"a":' * 50_000]
)
async def test_a_body_that_is_no_json(shop: Service, editor: dict[str, str], body: bytes) -> None:
    response = await send(shop, "POST", "/api/author", body, **editor)
    assert response.code in {400, 422}
    assert response.headers["Content-Type"] == "application/problem+json"


async def test_a_body_of_another_type_is_refused(shop: Service, editor: dict[str, str]) -> None:
    headers = {**editor, "Content-Type": "application/xml"}
    for method, path in (("POST", "/api/author"), ("PATCH", "/api/author/1")):
        assert (await send(shop, method, path, b"<a/>", **headers)).code == 415


async def test_a_change_takes_no_parameters(shop: Service, editor: dict[str, str]) -> None:
    response = await send(shop, "PATCH", "/api/author/1?name=eq.x", {}, **editor)
    assert response.code == 400


async def author(service: Service, editor: dict[str, str], **members: object) -> None:
    made = await send(service, "POST", "/api/author", {"name": "Ann", **members}, **editor)
    assert made.code == 201


async def test_a_patch_changes_what_it_names(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    spelled = (
        b'{"name": "Ann", "born": "2000-01-01", "profile": {"a": 1, "b": {"c": 2.50, "d": 3}}}'
    )
    assert (await send(shop, "POST", "/api/author", spelled, **editor)).code == 201
    patch = {"born": None, "profile": {"a": None, "b": {"d": 4}, "e": [1]}}
    changed = await send(shop, "PATCH", "/api/author/1", patch, **editor, **{"Content-Type": PATCH})
    assert (changed.code, changed.headers["Etag"]) == (200, '"2"')
    row = json.loads(changed.body)
    assert (row["name"], row["born"]) == ("Ann", None)
    assert row["profile"] == {"b": {"c": 2.5, "d": 4}, "e": [1]}
    assert b"2.50" in changed.body
    [_, (action, _, _, before, after)] = audited(database)
    assert (action, before["version"], after["version"]) == ("update", 1, 2)
    # A patch that changes nothing is no change.
    same = await send(shop, "PATCH", "/api/author/1", {}, **editor)
    assert (same.code, same.headers["Etag"]) == (200, '"2"')
    assert len(audited(database)) == 2
    assert (await send(shop, "PATCH", "/api/author/2", {"name": "x"}, **editor)).code == 404
    assert (await send(shop, "PATCH", "/api/author/2", {"profile": {}}, **editor)).code == 404
    assert (await send(shop, "PATCH", "/api/author/x", {"name": "x"}, **editor)).code == 404
    assert (await send(shop, "PATCH", "/api/author/1", [], **editor)).code == 422


async def test_a_put_replaces_a_row_or_inserts_it_where_clients_choose_keys(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    await author(shop, editor, born="2000-01-01")
    read = json.loads((await shop.fetch("/api/author/1")).body)
    del read["born"]
    replaced = await send(shop, "PUT", "/api/author/1", {**read, "name": "Bob"}, **editor)
    assert replaced.code == 200, replaced.body
    row = json.loads(replaced.body)
    assert (row["name"], row["born"], row["version"]) == ("Bob", None, 2)
    assert (await send(shop, "PUT", "/api/author/2", {"name": "x"}, **editor)).code == 404

    new = {**editor, "If-None-Match": "*"}
    made = await send(shop, "PUT", "/api/stock/a,1", {"amount": 5}, **new)
    assert (made.code, made.headers["Location"]) == (201, "/api/stock/a,1")
    assert (await send(shop, "PUT", "/api/stock/a,1", {"amount": 5}, **new)).code == 412
    other = await send(shop, "PUT", "/api/stock/a,2", {"place": 3}, **new)
    assert json.loads(other.body)["errors"][0]["pointer"] == "#/place"
    matching = {**editor, "If-Match": made.headers["Etag"]}
    assert (await send(shop, "PUT", "/api/stock/a,1", {}, **matching)).code == 200
    assert execute(database, "SELECT amount FROM stock") == [(None,)]
    assert (await send(shop, "PUT", "/api/stock/a,9", {}, **matching)).code == 412


async def test_a_change_names_the_version_it_is_based_on(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    await author(shop, editor)
    stale = {**editor, "If-Match": '"7", W/"1"'}
    for method in ("PATCH", "PUT"):
        assert (await send(shop, method, "/api/author/1", {"name": "x"}, **stale)).code == 412
    assert (await send(shop, "DELETE", "/api/author/1", **stale)).code == 412
    fresh = {**editor, "If-Match": '"7", "1"'}
    assert (await send(shop, "PATCH", "/api/author/1", {"name": "x"}, **fresh)).code == 200
    anything = {**editor, "If-Match": "*"}
    assert (await send(shop, "DELETE", "/api/author/1", **anything)).code == 204
    assert execute(database, "SELECT name FROM author") == []


async def test_rows_without_a_version_have_a_tag_of_what_they_are(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    made = await send(shop, "POST", "/api/stock", {"shelf": "a", "place": 1}, **editor)
    tag = made.headers["Etag"]
    assert (await shop.fetch("/api/stock/a,1", **editor)).headers["Etag"] == tag
    for method in ("PATCH", "PUT", "DELETE"):
        assert (await send(shop, method, "/api/stock/a,1", {}, **editor)).code == 428
    based = {**editor, "If-Match": tag}
    changed = await send(shop, "PATCH", "/api/stock/a,1", {"amount": 2}, **based)
    assert (changed.code, changed.headers["Etag"] == tag) == (200, False)
    assert (await send(shop, "PATCH", "/api/stock/a,1", {"amount": 3}, **based)).code == 412
    assert execute(database, "SELECT amount FROM stock") == [(2,)]


async def test_the_client_chooses_whether_it_sees_what_it_wrote(
    shop: Service, editor: dict[str, str]
) -> None:
    minimal = {**editor, "Prefer": "return=minimal"}
    made = await send(shop, "POST", "/api/author", {"name": "Ann"}, **minimal)
    assert (made.code, made.body, made.headers["Location"]) == (201, b"", "/api/author/1")
    assert made.headers["Preference-Applied"] == "return=minimal"
    assert (await send(shop, "PATCH", "/api/author/1", {"name": "x"}, **minimal)).code == 204
    headers = await send(
        shop, "POST", "/api/author", {"name": "B"}, **editor, Prefer="return=headers-only"
    )
    assert (headers.code, headers.body, headers.headers["Location"]) == (201, b"", "/api/author/2")
    shown = {**editor, "Prefer": "return=representation"}
    gone = await send(shop, "DELETE", "/api/author/1", **shown)
    assert (gone.code, json.loads(gone.body)["name"]) == (200, "x")
    assert (await send(shop, "DELETE", "/api/author/1", **shown)).code == 404


@pytest.mark.parametrize(
    ("method", "path", "preference", "code", "said"),
    [
        ("POST", "/api/author", "tx=rollback", 400, "is carried out"),
        ("DELETE", "/api/author/1", "tx=rollback", 400, "is carried out"),
        ("POST", "/api/author", "resolution=merge-duplicates", 400, "PUT a row at its key"),
        ("POST", "/api/author", "return=minimal, resolution=ignore-duplicates", 400, "fail"),
        ("PATCH", "/api/author?id=eq.1", "return=minimal", 405, "at /api/author/{key}."),
        ("DELETE", "/api/author", "", 405, "at /api/author/{key}."),
    ],
)
async def test_what_would_be_another_change_elsewhere_is_refused_and_says_what_to_do(  # noqa: PLR0913, PLR0917
    shop: Service, database: sa.URL, editor: dict[str, str], method: str, path: str,
    preference: str, code: int, said: str,
) -> None:  # fmt: skip
    execute(database, "INSERT INTO author (name) VALUES ('Ann')")
    answer = await send(shop, method, path, {"name": "x"}, **editor, Prefer=preference)
    assert answer.code == code
    assert said in json.loads(answer.body)["detail"]
    assert execute(database, "SELECT name FROM author") == [("Ann",)]


async def test_a_request_with_a_key_is_carried_out_once(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    keyed = {**editor, "Idempotency-Key": "order-1"}
    body = {"name": "Ann"}
    answers = await asyncio.gather(
        *(send(shop, "POST", "/api/author", body, **keyed) for _ in range(8))
    )
    assert {(a.code, a.body, a.headers["Location"], a.headers["Etag"]) for a in answers} == {
        (201, answers[0].body, "/api/author/1", '"1"')
    }
    assert execute(database, "SELECT count(*) FROM author") == [(1,)]
    assert len(audited(database)) == 1
    other = await send(shop, "POST", "/api/author", {"name": "Bob"}, **keyed)
    assert (other.code, json.loads(other.body)["type"]) == (422, "urn:project:problem:idempotency")
    theirs = {**sign_in(database, Role.editor), "Idempotency-Key": "order-1"}
    assert (await send(shop, "POST", "/api/author", body, **theirs)).code == 201
    execute(database, "UPDATE idempotency_key SET created_at = now() - interval '2 days'")
    await send(shop, "POST", "/api/author", body, **{**editor, "Idempotency-Key": "order-2"})
    assert execute(database, "SELECT key FROM idempotency_key") == [("order-2",)]
    for key in ("", "x" * 256, "ü"):
        refused = await send(
            shop, "POST", "/api/author", body, **{**editor, "Idempotency-Key": key}
        )
        assert refused.code == 400


async def test_changes_at_the_same_time_are_all_kept_or_refused(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    await author(shop, editor, profile={})
    plain = [
        send(shop, "PATCH", "/api/author/1", {"name": f"n{number}"}, **editor)
        for number in range(20)
    ]
    within = [
        send(shop, "PATCH", "/api/author/1", {"profile": {f"m{number}": number}}, **editor)
        for number in range(20)
    ]
    answers = await asyncio.gather(*plain, *within)
    assert {answer.code for answer in answers} == {200}
    assert execute(database, "SELECT version FROM author") == [(41,)]
    [(profile,)] = execute(database, "SELECT profile FROM author")
    assert profile == {f"m{number}": number for number in range(20)}
    # The audit has each step, each beginning where the one before it ended.
    steps = [(before, after) for action, _, _, before, after in audited(database) if before]
    versions = [(before["version"], after["version"]) for before, after in steps]
    assert sorted(versions) == [(number, number + 1) for number in range(1, 41)]
    by_version = {before["version"]: after for before, after in steps}
    assert all(by_version[b["version"] - 1] == b for b, _ in steps if b["version"] > 1)

    based = {**editor, "If-Match": '"41"'}
    answers = await asyncio.gather(
        *(send(shop, "PATCH", "/api/author/1", {"name": "last"}, **based) for _ in range(10))
    )
    assert sorted(answer.code for answer in answers) == [200, *[412] * 9]


async def test_a_deadlock_is_tried_again(
    shop: Service, database: sa.URL, editor: dict[str, str]
) -> None:
    # Each insert locks its two authors in the order given, by the foreign key of its books.
    execute(
        database,
        "INSERT INTO author (name) VALUES ('Ann'), ('Bob')",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE author SET born = now() WHERE id = NEW.author_id;"
        " PERFORM pg_sleep(0.05); RETURN NEW; END $$",
        "CREATE TRIGGER touch BEFORE INSERT ON book FOR EACH ROW EXECUTE FUNCTION touch()",
    )

    def books(first: int, second: int, name: str) -> list[dict[str, object]]:
        return [
            {"author_id": first, "title": f"{name} 1", "price": 1},
            {"author_id": second, "title": f"{name} 2", "price": 1},
        ]

    answers = await asyncio.gather(
        send(shop, "POST", "/api/book", books(1, 2, "a"), **editor),
        send(shop, "POST", "/api/book", books(2, 1, "b"), **editor),
    )
    assert [answer.code for answer in answers] == [201, 201]
    assert execute(database, "SELECT count(*) FROM book") == [(4,)]


async def test_a_row_that_is_locked_is_no_row_to_wait_for_long(
    serve: Any,  # noqa: ANN401
    shop: Service,  # noqa: ARG001  (its tables)
    database: sa.URL,
    editor: dict[str, str],
) -> None:
    from project.settings import Settings  # noqa: PLC0415

    from .shop import ShopBase  # noqa: PLC0415

    hurried = serve(Settings(database_url=database, statement_seconds=0.2), ShopBase)
    execute(database, "INSERT INTO author (name) VALUES ('Ann')")
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as holder:
        holder.execute(sa.text("SELECT FROM author FOR UPDATE"))
        answer = await send(hurried, "PATCH", "/api/author/1", {"name": "x"}, **editor)
    assert (answer.code, answer.headers["Retry-After"]) == (503, "1")


DECORATED = {
    "email": ("Ann@Example.org", "ann@example.org"),
    "uuid": ("6ba7b810-9dad-11d1-80b4-00c04fd430c8",) * 2,
    "digits": ("6ba7b810-9dad-11d1-80b4-00c04fd430c8",) * 2,
    "url": ("https://example.org/?a=1",) * 2,
    "address": ("192.0.2.1",) * 2,
    "document": ({"a": [1, None]},) * 2,
    "numbers": ([1, 2, 3],) * 2,
    "color": (2, 2),
    "size": ("l", "l"),
    "zone": ("Europe/Berlin",) * 2,
    "words": ("a b", "'a' 'b'"),
    "shout": ("Hear", "HEAR"),
    "amount": (12345678901234567890, 12345678901234567890),
    "octets": ("\\x00ff",) * 2,
    "wait": ("P1DT2H", "P1DT2H"),
    "day": ("2020-02-29",) * 2,
    "clock": ("12:30:00",) * 2,
    "local": ("2020-02-29T12:30:00",) * 2,
    "moment": ("2020-02-29T12:30:00+02:00", "2020-02-29T10:30:00+00:00"),
    "span": ("[1,5)",) * 2,
    "network": ("192.0.2.0/24",) * 2,
    "spelled": ({"b": 1}, {"b": 1}),
}


async def test_decorated_types_come_in_and_out_as_they_are_meant(
    shop: Service, database: sa.URL
) -> None:
    given = {name: value for name, (value, _) in DECORATED.items()}
    expected = {"id": 1, "parent_id": None} | {name: v for name, (_, v) in DECORATED.items()}
    made = await send(shop, "POST", "/api/decorated", given)
    assert made.code == 201, made.body
    assert json.loads(made.body) == expected
    assert b"12345678901234567890" in made.body
    # As the decorators themselves read and write it.
    [stored] = execute(database, "SELECT digits, numbers, shout FROM decorated")
    assert stored == ("6ba7b8109dad11d180b400c04fd430c8", "1,2,3", "hear")
    assert json.loads((await shop.fetch("/api/decorated/1")).body) == expected
    assert json.loads((await shop.fetch("/api/decorated")).body) == [expected]
    [line] = (await shop.fetch("/api/decorated", "application/x-ndjson")).body.splitlines()
    assert json.loads(line) == expected
    table = await shop.fetch("/api/decorated?select=id,shout,numbers,document", "text/csv")
    assert table.body.decode().splitlines() == [
        "id,shout,numbers,document",
        '1,HEAR,"[1,2,3]","{""a"": [1, null]}"',
    ]
    child = {"parent_id": 1, "shout": "low", "numbers": None}
    made = await send(shop, "POST", "/api/decorated", [child, {"parent_id": 1}])
    assert json.loads(made.body)[0]["shout"] == "LOW"
    [row, _] = json.loads(
        (await shop.fetch("/api/decorated?select=shout,parent(shout)&parent_id=eq.1")).body
    )
    assert row == {"shout": "LOW", "parent": {"shout": "HEAR"}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uuid", "x"), ("digits", "x"), ("address", "999.1"), ("numbers", "1"), ("numbers", ["x"]),
        ("color", 3), ("size", "m"), ("octets", "\\x0"), ("wait", "soon"), ("span", "5"),
        ("network", "300.0.0.1"), ("zone", "Nowhere/Land"), ("shout", 5), ("moment", "2020-01-01"),
    ],
)  # fmt: skip
async def test_a_value_that_is_none_of_its_decorated_type(
    shop: Service, name: str, value: object
) -> None:
    response = await send(shop, "POST", "/api/decorated", {name: value})
    assert response.code == 422
    [error] = json.loads(response.body)["errors"]
    assert error["pointer"].startswith(f"#/{name}")
