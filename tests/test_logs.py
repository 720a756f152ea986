"""A request has a name that its answer and its log lines share; logs say no secret."""

import json
import logging
import re
import sys

import pytest

from project import logs

from .conftest import Service


async def test_a_request_keeps_its_name_or_gets_one(service: Service) -> None:
    for path in ("/", "/api/my_table", "/nope"):
        named = await service.fetch(path, **{"X-Request-ID": "a-1:2.b"})
        assert named.headers["X-Request-ID"] == "a-1:2.b"
        for given in ("x" * 200, "a b", "ü", ""):
            renamed = await service.fetch(path, **{"X-Request-ID": given})
            assert re.fullmatch("[0-9a-f]{32}", renamed.headers["X-Request-ID"])


async def test_every_line_about_a_request_has_its_name(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def see(_record: logging.LogRecord) -> bool:
        seen.append(logs.request_id.get())
        return True

    caplog.handler.addFilter(see)
    with caplog.at_level(logging.INFO):
        await service.fetch("/api/my_table?name=eq.s3cret", **{"X-Request-ID": "one"})
        await service.fetch("/nope", **{"X-Request-ID": "two"})
    assert seen == ["one", "two"]
    assert "s3cret" not in caplog.text


def test_a_line_is_an_object_for_programs() -> None:
    record = logging.LogRecord("project.access", logging.INFO, "", 0, "%d done", (200,), None)
    record.status = 200
    try:
        int("why\nnot")
    except ValueError:
        record.exc_info = sys.exc_info()
    token = logs.request_id.set("one")
    line = logs.Objects().format(record)
    logs.request_id.reset(token)
    said = json.loads(line)
    assert "\n" not in line
    assert (said["message"], said["status"], said["request"]) == ("200 done", 200, "one")
    assert said["traceback"].endswith("'why\\nnot'")


def test_a_line_for_people_has_the_name_at_its_end() -> None:
    record = logging.LogRecord("project", logging.INFO, "", 0, "hello", (), None)
    assert logs.Lines("%(message)s").format(record) == "hello"
    token = logs.request_id.set("one")
    assert logs.Lines("%(message)s").format(record) == "hello [one]"
    logs.request_id.reset(token)
