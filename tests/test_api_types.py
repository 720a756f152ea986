"""Whatever type a column has: what is shown can be asked for, sent back, and loaded again."""

import json
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from tornado.httpclient import HTTPResponse

from .conftest import Service, execute

#: A value of each column of ``plain``.
ROW = {
    "code": "ab ",
    "single": 0.1,
    "short": 0.3,
    "zoned": "12:00:00+02",
    "positive": 7,
    "bits": "1010",
    "money": "$1.50",
    "numbers": [1, None, 3],
    'the label\'s "100 %"': "x",
    "pickled": [1, 2],
}

#: Of those, what can be compared.
COMPARED = sorted(ROW.keys() - {"numbers", "pickled"})


async def send(service: Service, method: str, path: str, body: Any = None) -> HTTPResponse:  # noqa: ANN401
    given = None if body is None else json.dumps(body)
    return await service.fetch(path, "*/*", method, given, **{"Content-Type": "application/json"})


@pytest.fixture
async def row(shop: Service) -> dict[str, Any]:
    """The row of ``ROW``, as it is shown."""
    response = await send(shop, "POST", "/api/plain", ROW)
    assert response.code == 201, response.body
    shown: dict[str, Any] = json.loads(response.body)
    assert {name: shown[name] for name in ROW} == ROW
    return shown


async def test_what_is_shown_can_be_sent_back(shop: Service, row: dict[str, Any]) -> None:
    for name, value in ROW.items():
        response = await send(shop, "PATCH", f"/api/plain/{row['id']}", {name: value})
        assert (response.code, json.loads(response.body)) == (200, row), name


@pytest.mark.parametrize("name", COMPARED)
async def test_what_is_shown_can_be_asked_for(
    shop: Service, row: dict[str, Any], name: str
) -> None:
    column, value = quote(name), quote(str(ROW[name]))
    for condition in (f"{column}=eq.{value}", f"{column}=in.({value})", f"order={column}.desc"):
        response = await send(shop, "GET", f"/api/plain?{condition}")
        assert (response.code, json.loads(response.body)) == (200, [row]), condition


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize("way", ["asc", "desc"])
async def test_pages_in_the_order_of_any_type_end(
    shop: Service, row: dict[str, Any], name: str, way: str
) -> None:
    assert (await send(shop, "POST", "/api/plain", [ROW, ROW])).code == 201
    path, seen = f"/api/plain?limit=1&order={quote(name)}.{way}", []
    for _ in range(3):
        response = await send(shop, "GET", path)
        seen += [shown["id"] for shown in json.loads(response.body)]
        path = response.headers["Link"].partition(">")[0][1:]
    assert seen == [row["id"], row["id"] + 1, row["id"] + 2]
    assert json.loads((await send(shop, "GET", path)).body) == []


@pytest.mark.parametrize("select", ["*", ",".join(sorted(ROW.keys() - {"pickled"}))])
async def test_an_export_can_be_loaded(
    shop: Service, database: sa.URL, row: dict[str, Any], select: str
) -> None:
    for form in ("text/csv", "application/x-ndjson"):
        wanted = select if select != "*" else ",".join(ROW)
        address = f"/api/plain?id=eq.{row['id']}&select={quote(wanted)}"
        exported = await shop.fetch(address, form)
        assert exported.code == 200
        loaded = await shop.fetch(
            "/api/plain", "*/*", "POST", exported.body, **{"Content-Type": form}
        )
        assert (loaded.code, json.loads(loaded.body)) == (201, {"inserted": 1}), form
    shown = [name for name in ROW if select == "*" or name != "pickled"]
    columns = ", ".join('"' + name.replace('"', '""').replace(":", r"\:") + '"' for name in shown)
    distinct = f"SELECT count(*), count(DISTINCT ROW({columns})::text) FROM plain"
    assert execute(database, distinct) == [(3, 1)]


async def test_a_domain_is_what_it_is_made_of_and_has_its_rule(
    shop: Service, row: dict[str, Any]
) -> None:
    refused = await send(shop, "PATCH", f"/api/plain/{row['id']}", {"positive": -7})
    assert refused.code == 422
    # What else is wrong does not hide it.
    refused = await send(shop, "POST", "/api/plain", {"positive": -7, "bits": "1"})
    assert (refused.code, {error["pointer"] for error in json.loads(refused.body)["errors"]}) == (
        422,
        {"#/positive", "#/bits"},
    )
    found = await send(shop, "GET", "/api/plain?positive=gt.-7&select=positive")
    assert json.loads(found.body) == [{"positive": 7}]
