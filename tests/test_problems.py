"""Errors: problem+json to programs (RFC 9457), a page to browsers, nothing from inside."""

import asyncio
import json
import logging

import pytest

from project.handlers.root import Root

from .conftest import Service


async def test_an_address_that_is_not_served(service: Service) -> None:
    for method in ("GET", "POST", "OPTIONS", "BREW"):
        response = await service.fetch("/nope?token=s3cret", method=method)
        if method == "BREW":
            assert response.code == 405
            continue
        assert response.code == 404
        assert response.headers["Content-Type"] == "application/problem+json"
        assert json.loads(response.body) == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "Nothing is served at /nope.",
            "instance": "/nope",
        }


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
async def test_a_method_that_is_not_answered(service: Service, path: str, method: str) -> None:
    response = await service.fetch(path, method=method)
    assert response.code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert json.loads(response.body)["title"] == "Method Not Allowed"


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz"])
async def test_options_says_what_is_answered(service: Service, path: str) -> None:
    response = await service.fetch(path, method="OPTIONS")
    assert (response.code, response.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_browsers_get_a_page(service: Service) -> None:
    response = await service.fetch("/<b>nope</b>", "text/html")
    assert response.code == 404
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert b"<h1>Not Found</h1>" in response.body
    assert b"<b>" not in response.body


async def test_an_error_nobody_foresaw_says_nothing_of_itself(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_handler: Root) -> None:
        raise ZeroDivisionError("s3cret inside")

    monkeypatch.setattr(Root, "get", fail)
    with caplog.at_level(logging.INFO):
        response = await service.fetch("/?token=s3cret")
    assert response.code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert b"s3cret" not in response.body
    assert "ZeroDivisionError: s3cret inside" in caplog.text
    assert "token" not in caplog.text


async def test_a_request_that_is_too_large_is_not_read(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 1073741824\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
    writer.close()
