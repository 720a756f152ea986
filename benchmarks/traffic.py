"""Requests while `alembic upgrade` runs: our script beside stock Alembic's for the same change.

    .venv/bin/python -m benchmarks.traffic [rows] [rounds] [part of a case's name]

A table of a million rows, 8 readers and 8 writers through the service's connections. For each
change both scripts are written by `alembic revision --autogenerate`, with our plugin and without,
and run through the same env.py, each on a fresh copy of the database; read the ratios, and
"nothing", which shows what the machine does by itself. Where the change takes two releases, the
next one takes over in the middle of ours, and after stock's: it has no middle.
"""

import asyncio
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import URL

from benchmarks.changes import CASES, ENV, INI, MODELS, ROWS, Case
from project import embedded
from project.database import ROOT
from project.pool import BusyError, Connections
from project.settings import Settings

READERS = WRITERS = 8

#: Seconds between two requests of one client, on average: enough for the machine to keep up.
THINKS = 0.04

#: Seconds of traffic before the upgrade, and after it.
BEFORE, AFTER = 1.0, 1.0

#: As the service reads: PostgreSQL renders the JSON. A statement that the driver has prepared and
#: whose columns change their type fails once on every connection; this one has a single text.
READ = (
    b"SELECT json_build_object('email', email, 'name', name, 'note', note, 'balance', balance,"
    b" 'region', region_id, 'status', status)::text FROM account WHERE id = %s"
)
CHANGE = b"UPDATE account SET balance = balance + 1, note = %s WHERE id = %s"
INSERT = (
    b"INSERT INTO account (email, name, note, balance, region_id, status)"
    b" VALUES (%s, 'Ann', 'note', 0, 1, 'open')"
)

WAYS = ("ours", "stock")

#: What starts `alembic upgrade`.
Upgrade = Callable[[], Awaitable[asyncio.subprocess.Process]]

#: What the next release's statements have in place of the running one's.
Release = Sequence[tuple[str, str]]


@dataclass
class Outcome:
    """What the requests saw during one upgrade."""

    stalls: list[float] = field(default_factory=list)  # seconds
    failed: list[str] = field(default_factory=list)
    seconds: float = 0
    said: str = ""

    @property
    def longest(self) -> float:
        """In milliseconds."""
        return max(self.stalls, default=0) * 1000

    @property
    def most(self) -> float:
        """What 99 of 100 requests took at most, in milliseconds."""
        return statistics.quantiles(self.stalls, n=100)[98] * 1000

    def __str__(self) -> str:
        kinds = ", ".join(sorted(set(self.failed)))
        said = "; ".join(filter(None, (self.said, kinds)))
        failed = f"{len(self.failed)} failed" if self.failed else ""
        return (
            f"{self.longest:7.0f} ms {self.most:6.0f} ms {failed:>12} {self.seconds:6.1f} s"
            f"{f'  {said}' if said else ''}"
        )


class Traffic:
    """Clients of a service, until told to stop."""

    def __init__(self, url: URL, rows: int) -> None:
        settings = Settings(database_url=url, pool_size=READERS + WRITERS)
        self.connections = Connections(url, settings)
        self.rows = rows
        self.outcome = Outcome()
        self.stopping = False
        self.serial = count()
        self.statements = READ, CHANGE, INSERT

    def deploy(self, release: Release) -> None:
        """Let the next release take over: its statements have other names."""
        for old, new in release:
            self.statements = tuple(  # type: ignore[assignment]
                statement.replace(old.encode(), new.encode()) for statement in self.statements
            )

    async def client(self, *, writes: bool) -> None:
        chance = random.Random()
        while not self.stopping:
            await asyncio.sleep(chance.expovariate(1 / THINKS))
            row = chance.randint(1, self.rows)
            read, change, insert = self.statements
            began = time.perf_counter()
            try:
                async with self.connections.transaction() as connection:
                    if writes:
                        await connection.execute(change, [f"note {next(self.serial)}", row])
                        await connection.execute(insert, [f"new {next(self.serial)}"])
                    else:
                        await connection.execute(read, [row])
            except (psycopg.Error, BusyError) as error:
                self.outcome.failed.append(type(error).__name__)
            self.outcome.stalls.append(time.perf_counter() - began)

    async def during(self, upgrades: Sequence[Upgrade], release: Release) -> Outcome:
        """Upgrade under traffic; after the first of several upgrades, the next release is there."""
        output = b""
        async with asyncio.TaskGroup() as clients:
            for number in range(READERS + WRITERS):
                clients.create_task(self.client(writes=number < WRITERS))
            await asyncio.sleep(BEFORE)
            self.outcome = Outcome()
            began = time.perf_counter()
            for upgrade in upgrades:
                process = await upgrade()
                output += (await process.communicate())[0]
                if process.returncode:
                    break
                self.deploy(release if upgrade is upgrades[0] else ())
            self.outcome.seconds = time.perf_counter() - began
            await asyncio.sleep(AFTER)
            self.stopping = True
        await self.connections.close()
        tries = output.count(b". Try ")
        self.outcome.said = f"{tries} locks tried again" if tries else ""
        if process.returncode:
            self.outcome.said = "the upgrade fails: " + last_line(output.decode())
        return self.outcome


@dataclass(frozen=True)
class Stage:
    """A server, and a database on it with the models before and the rows."""

    server: URL
    folder: Path
    rows: int

    def environment(self, url: URL, way: str) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": text(url.set(drivername="postgresql+psycopg")),
            "SCRATCH_DATABASE_URL": text(self.server),
            "PYTHONPATH": str(ROOT),
            "AUTOGENERATE": way,
        }

    def before(self) -> None:
        """Write the project, make its history, and fill its table."""
        migrations = self.folder / "before" / "migrations"
        (migrations / "versions").mkdir(parents=True)
        (migrations / "env.py").write_text(ENV)
        shutil.copy(ROOT / "alembic" / "script.py.mako", migrations)
        (self.folder / "before" / "alembic.ini").write_text(INI)
        (self.folder / "before" / "models.py").write_text(MODELS)
        self.execute("postgres", "CREATE DATABASE before TEMPLATE template0 ENCODING 'UTF8'")
        url = self.server.set(database="before")
        generated = self.alembic("before", url, "stock", "revision", "--autogenerate", "-m", "all")
        assert generated.returncode == 0, generated.stdout
        upgraded = self.alembic("before", url, "stock", "upgrade", "head")
        assert upgraded.returncode == 0, upgraded.stdout
        self.execute("before", *(statement.format(rows=self.rows) for statement in ROWS))

    def alembic(
        self, folder: str, url: URL, way: str, *words: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "alembic", *words],
            cwd=self.folder / folder,
            env=self.environment(url, way),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def execute(self, database: str, *statements: str) -> None:
        url = text(self.server.set(database=database))
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def written(self, case: Case, way: str) -> str:
        """Have the migration of a case written; say if that was in vain."""
        name = f"{CASES.index(case)}_{way}"
        shutil.copytree(self.folder / "before", self.folder / name)
        (self.folder / name / "models.py").write_text(case.after())
        words = ["-m", "after"] + (["--autogenerate"] if case.edits else [])
        before = self.server.set(database="before")
        done = self.alembic(name, before, way, "revision", *words)
        found = list((self.folder / name / "migrations" / "versions").glob("*_after*.py"))
        if done.returncode or not found:
            return "nothing is written: " + last_line(done.stdout)
        body = found[0].read_text().partition("def upgrade")[2].partition("def downgrade")[0]
        return "the script is empty" if case.edits and body.strip().endswith("pass") else ""

    def run(self, case: Case, way: str) -> Outcome:
        """Upgrade a fresh copy of the database under traffic."""
        name = f"{CASES.index(case)}_{way}"
        self.execute(
            "postgres",
            "DROP DATABASE IF EXISTS busy WITH (FORCE)",
            "CREATE DATABASE busy TEMPLATE before STRATEGY file_copy",
            "CHECKPOINT",
        )
        url = self.server.set(database="busy")

        def upgrade(to: str) -> Upgrade:
            return lambda: asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "alembic", "upgrade", to),
                cwd=self.folder / name,
                env=self.environment(url, way),
                stdout=-1,
                stderr=-2,
            )

        first = f"+{case.first if way == 'ours' else 1}"
        steps = [upgrade(to) for to in ([first, "head"] if case.release else ["head"])]
        return asyncio.run(Traffic(url, self.rows).during(steps, case.release))


def last_line(output: str) -> str:
    return (output.strip().splitlines() or [""])[-1][:150]


def text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def main(rows: int = 1_000_000, rounds: int = 1, part: str = "") -> None:
    with (
        tempfile.TemporaryDirectory() as made,
        embedded.running(Path(made) / "postgres", {"max_connections": "100"}) as server,
    ):
        stage = Stage(server, Path(made), rows)
        stage.before()
        print(f"{rows} rows, {READERS} readers, {WRITERS} writers; the longest request, 99 of 100,")
        print("failed requests, the time of the upgrade; how many times longer stock's longest is")
        for case in (case for case in CASES if part in case.name):
            print(f"\n{case.name}{f' (no safe way: {case.without})' if case.without else ''}")
            in_vain = {way: stage.written(case, way) for way in WAYS}
            for _ in range(rounds):
                longest = {}
                for way in WAYS:
                    if in_vain[way]:
                        print(f"  {way:6} {in_vain[way]}", flush=True)
                        continue
                    outcome = stage.run(case, way)
                    longest[way] = outcome.longest
                    print(f"  {way:6} {outcome}", flush=True)
                if len(longest) == len(WAYS):
                    print(f"  {longest['stock'] / longest['ours']:.1f} times")


if __name__ == "__main__":
    main(*(int(word) if word.isdigit() else word for word in sys.argv[1:]))  # type: ignore[arg-type]
