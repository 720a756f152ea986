"""The description says what is there: every route, every column, and nothing hidden."""

import json
import re

import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from project.api.collection import collections
from project.api.openapi import document
from project.app import make_app
from project.models import Base, Role
from project.pool import Connections
from project.revisions import read_history
from project.settings import Settings

from .conftest import Service, sign_in
from .shop import ShopBase


@pytest.mark.parametrize("base", [Base, ShopBase])
def test_every_route_and_method_is_described(base: type[Base]) -> None:
    nowhere = Connections(make_url("postgresql://nowhere/nothing"), Settings())
    app = make_app(Settings(), nowhere, read_history(), base)
    described = document(collections(base))["paths"]
    routes = set()
    for route in app.default_router.rules[0].target.rules:
        path = route.matcher.regex.pattern.rstrip("$").replace("/([^/]+)", "/{key}")
        path = path.replace(r"(\w+)", "{table}")
        routes.add(path)
        served = {m.lower() for m in ("GET", "POST", "PUT", "PATCH", "DELETE")}
        collection = route.target_kwargs.get("collection")
        if collection is None or collection.resource.write.value == "nobody":
            served = {"get"}
        elif path.endswith("{key}"):
            served -= {"post"}
        else:
            served = {"get", "post"}
        assert set(described[path]) - {"parameters"} == served, path
    assert routes == set(described)


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


async def test_the_description_is_whole_and_hides_what_is_hidden(
    shop: Service, database: sa.URL
) -> None:
    response = await shop.fetch("/openapi.json")
    api = json.loads(response.body)
    assert api["openapi"] == "3.1.0"
    for reference in references(api):
        node = api
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    names = [op["operationId"] for item in api["paths"].values()
             for method, op in item.items() if method != "parameters"]  # fmt: skip
    assert len(names) == len(set(names))
    assert b"secret" not in response.body
    author = api["components"]["schemas"]["author"]
    assert author["properties"]["name"] == {
        "type": "string",
        "maxLength": 50,
        "pattern": "^[^\\u0000]*$",
        "description": "What the author is called.",
    }
    assert "salary" not in author["required"]
    assert api["components"]["schemas"]["author.new"]["required"] == ["name"]
    assert "version" not in api["components"]["schemas"]["author.new"]["properties"]
    assert api["paths"]["/api/author"]["post"]["security"] == [{"token": []}]
    editor = sign_in(database, Role.editor)
    made = await shop.fetch(
        "/api/author", method="POST", body='{"name": "Ann"}', **editor,
        **{"Content-Type": "application/json"},
    )  # fmt: skip
    assert set(json.loads(made.body)) == set(author["required"])


async def test_the_schema_of_a_resource(shop: Service) -> None:
    schema = json.loads((await shop.fetch("/schemas/book.json")).body)
    assert schema["$id"] == "/schemas/book.json"
    assert schema["properties"]["genre"]["enum"] == ["novel", "essay", None]
    assert (await shop.fetch("/schemas/ledger.json")).code == 404


async def test_the_page_needs_nothing_from_elsewhere(shop: Service) -> None:
    page = (await shop.fetch("/docs", "text/html")).body.decode()
    assert "What the author is called." in page
    assert "<code>/api/stock/{key}</code>" in page
    assert "secret" not in page
    assert not re.search(r"<script|(src|href)=\"(?!/|#)", page)
