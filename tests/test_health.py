"""`/livez` and `/readyz`: what an orchestrator is told in each state."""

import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic import command
from tornado.httpclient import HTTPResponse

from project.settings import Settings

from .conftest import Service, execute, migrate

Serve = Callable[[Settings], Service]


def reason(response: HTTPResponse) -> tuple[int, str, str]:
    problem = json.loads(response.body)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == "1"
    return response.code, problem["type"].removeprefix("urn:project:problem:"), problem["detail"]


async def test_ready_at_head(service: Service, database: sa.URL) -> None:
    response = await service.fetch("/readyz")
    head = execute(database, "SELECT version_num FROM alembic_version")[0][0]
    assert response.code == 200
    assert json.loads(response.body) == {"status": "ready", "revision": [head]}


async def test_not_ready_behind(service: Service, database: sa.URL) -> None:
    migrate(database, lambda alembic: command.downgrade(alembic, "-1"))
    code, kind, detail = reason(await service.fetch("/readyz"))
    assert (code, kind) == (503, "behind")
    assert detail.endswith("Run: alembic upgrade head")


async def test_not_ready_when_never_migrated(serve: Serve, empty_database: sa.URL) -> None:
    service = serve(Settings(database_url=empty_database))
    code, kind, detail = reason(await service.fetch("/readyz"))
    assert (code, kind) == (503, "behind")
    assert detail.startswith("The database stands at no revision, ")
    assert reason(await service.fetch("/"))[:2] == (503, "schema")


async def test_not_ready_ahead(service: Service, database: sa.URL) -> None:
    execute(database, "UPDATE alembic_version SET version_num = 'from_the_future'")
    code, kind, detail = reason(await service.fetch("/readyz"))
    assert (code, kind) == (503, "ahead")
    assert "stands at from_the_future, which this code does not know" in detail


async def test_not_ready_unreachable(serve: Serve) -> None:
    service = serve(Settings(database_url=sa.make_url("postgresql://ann:s3cret@127.0.0.1:1/shop")))
    for path in ("/readyz", "/"):
        response = await service.fetch(path)
        assert reason(response) == (503, "unreachable", "The database cannot be reached.")
        assert b"s3cret" not in response.body
    assert (await service.fetch("/livez")).code == 200


async def test_ready_again_after_the_database_went_and_came(
    service: Service, database: sa.URL
) -> None:
    assert (await service.fetch("/readyz")).code == 200
    execute(
        database.set(database="postgres"),
        f'ALTER DATABASE "{database.database}" ALLOW_CONNECTIONS false',
    )
    execute(
        database.set(database="postgres"),
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{database.database}'",
    )
    assert reason(await service.fetch("/readyz"))[:2] == (503, "unreachable")
    execute(
        database.set(database="postgres"),
        f'ALTER DATABASE "{database.database}" ALLOW_CONNECTIONS true',
    )
    assert (await service.fetch("/readyz")).code == 200


async def test_connections_that_were_closed_while_idle_cost_no_request(
    serve: Serve, database: sa.URL
) -> None:
    service = serve(Settings(database_url=database, pool_size=1))
    assert (await service.fetch("/readyz")).code == 200
    execute(
        database,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'project'",
    )
    assert (await service.fetch("/readyz")).code == 200
    assert (await service.fetch("/")).code == 200


async def test_not_ready_when_the_database_does_not_answer(
    service: Service, database: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("project.handlers.health.ANSWER_SECONDS", 0.1)
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as locking:
        locking.execute(sa.text("LOCK TABLE alembic_version"))
        code, kind, detail = reason(await service.fetch("/readyz"))
    assert (code, kind) == (503, "unreachable")
    assert detail == "The database did not answer within 0.1 seconds."


async def test_not_ready_when_draining(service: Service) -> None:
    service.server.application.settings["draining"].set()
    assert reason(await service.fetch("/readyz"))[:2] == (503, "draining")


async def test_a_browser_reads_why(service: Service) -> None:
    service.server.application.settings["draining"].set()
    response = await service.fetch("/readyz", "text/html")
    assert response.code == 503
    assert response.headers["Content-Type"].startswith("text/html")
    assert b"The service is about to stop." in response.body


async def test_every_connection_in_use_is_said(serve: Serve, database: sa.URL) -> None:
    service = serve(Settings(database_url=database, pool_size=1, pool_seconds=0.05))
    async with service.connections.lend():
        code, kind, _ = reason(await service.fetch("/"))
    assert (code, kind) == (503, "busy")
    assert service.connections.usage() == (1, 1, 0, 0, 1)


async def test_a_statement_that_takes_too_long_is_said(serve: Serve, database: sa.URL) -> None:
    service = serve(Settings(database_url=database, statement_seconds=0.1))
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as locking:
        locking.execute(sa.text("LOCK TABLE my_table"))
        code, kind, _ = reason(await service.fetch("/"))
    assert (code, kind) == (503, "timeout")
