"""What nobody would send: no 500, no traceback, no connection lost. `benchmarks/` sends more."""

import logging

import pytest
import sqlalchemy as sa

from benchmarks.fuzz import fuzz_all
from benchmarks.oddities import Fuzz
from project.models import Role

from .conftest import Service, execute, sign_in


async def test_whatever_is_sent_is_answered(
    service: Service, database: sa.URL, caplog: pytest.LogCaptureFixture
) -> None:
    execute(database, "INSERT INTO my_table (name) SELECT n FROM generate_series(1, 20) n")
    token = sign_in(database, Role.admin)["Authorization"].removeprefix("Bearer ")
    with caplog.at_level(logging.WARNING):
        seen, bad = await fuzz_all(service.port, Fuzz(7, token, garbled=0), 500)
    assert bad == []
    assert seen["200"] > 50  # it is not all refused
    assert [record for record in caplog.records if record.exc_info] == []
    usage = service.connections.usage()
    assert (usage.lent, usage.waiting, usage.timed_out) == (0, 0, 0)
    assert (await service.fetch("/readyz")).code == 200
