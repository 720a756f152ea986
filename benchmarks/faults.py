"""What goes wrong in production, done on purpose: does the service answer as it says it does?

    .venv/bin/python -m benchmarks.faults [seconds of load] [part of a fault's name]

Prints a line for each fault: what was answered, and whether that is as it should be. Ends with 0 if
all is.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psycopg
from sqlalchemy import URL
from tornado.httpclient import AsyncHTTPClient

from benchmarks import stage
from benchmarks.api import make_token
from benchmarks.trial import Client, Trial, Verdict
from project import embedded

#: Texts that would be a part of a statement if anything went wrong.
SQL = (
    "'",
    "';DROP TABLE my_table;--",
    "1 OR 1=1",
    "1' OR '1'='1",
    '"; DELETE FROM my_table; --',
    "\\'; SELECT pg_sleep(10); --",
    "id) FROM my_table; TRUNCATE my_table; --",
    "%s",
    "%(name)s",
    "$1",
    "{}",
    "\x00",
    "/**/UNION/**/SELECT/**/token_hash/**/FROM/**/access_token",
)


async def database_killed(trial: Trial) -> Verdict:
    """PostgreSQL is killed under load, and started again two seconds later."""
    client = trial.serve()
    statuses: Counter[str] = Counter()
    written: list[str] = []
    moments: dict[str, float] = {}
    stopping = False

    async def write(writer: int) -> None:
        number = 0
        while not stopping:
            number += 1
            name = f"writer {writer}, row {number}"
            body = json.dumps({"name": name}).encode()
            answer = await client.ask("/api/my_table", "POST", body)
            statuses[f"{answer.code}"] += 1
            if answer.code == 201:
                written.append(name)
                if "again" in moments:
                    moments.setdefault("recovered", time.monotonic())
            elif answer.code != 503 or "Retry-After" not in answer.headers:
                statuses[f"{answer.code} without Retry-After"] += 1
            else:
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as writing:
        for writer in range(16):
            writing.create_task(write(writer))
        await asyncio.sleep(trial.seconds)
        data = Path(await asyncio.to_thread(data_directory, trial.url))
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await asyncio.sleep(2)
        ready = (await client.ask("/readyz")).code
        await asyncio.to_thread(trial.running.enter_context, embedded.running(data.parent))
        moments["again"] = time.monotonic()
        await asyncio.sleep(trial.seconds)
        stopping = True
    with psycopg.connect(stage.text(trial.url)) as connection:
        kept = {row[0] for row in connection.execute("SELECT name FROM my_table")}
    lost = set(written) - kept
    seconds = moments.get("recovered", float("inf")) - moments["again"]
    verdict = Verdict(
        f"{dict(statuses)}; /readyz {ready} meanwhile; writes again {max(seconds, 0):.2f} s after"
        f" the database; {len(written)} writes acknowledged, {len(lost)} of them lost"
    )
    verdict.expect("only 201 and 503 with Retry-After", holds=set(statuses) <= {"201", "503"})
    verdict.expect("not ready meanwhile", holds=ready == 503)
    verdict.expect("recovery within 5 seconds", holds=seconds < 5)
    verdict.expect("no acknowledged write lost", holds=not lost)
    return verdict


async def pool_exhausted(trial: Trial) -> Verdict:
    """Two connections, fifty requests that wait for a lock, and others."""
    client = trial.serve(POOL_SIZE="2", POOL_SECONDS="0.5")
    with psycopg.connect(stage.text(trial.url)) as locking:
        locking.execute("LOCK TABLE my_table")
        asked = [asyncio.ensure_future(client.ask("/api/my_table")) for _ in range(50)]
        await asyncio.sleep(1)
        alive = (await client.ask("/livez")).code
        locking.rollback()
    answers = await asyncio.gather(*asked)
    statuses = Counter(answer.code for answer in answers)
    after = (await client.ask("/api/my_table")).code
    verdict = Verdict(f"{dict(statuses)}; /livez {alive} meanwhile; {after} afterwards")
    verdict.expect("503 or 200", holds=set(statuses) == {200, 503})
    retry = all("Retry-After" in answer.headers for answer in answers if answer.code == 503)
    verdict.expect("Retry-After", holds=retry)
    verdict.expect("alive, and well afterwards", holds=(alive, after) == (200, 200))
    return verdict


async def slow_clients(trial: Trial) -> Verdict:
    """More clients than connections ask for everything and read nothing."""
    client = trial.serve(POOL_SIZE="4", CLIENT_SECONDS="1", POOL_SECONDS="5")
    writers = []
    for _ in range(8):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
        writer.write(b"GET /api/my_table HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\n\r\n")
        await reader.readexactly(100)
        writers.append(writer)
    began = time.monotonic()
    answer = await client.ask("/api/my_table/1")
    took = time.monotonic() - began
    for writer in writers:
        writer.close()
    verdict = Verdict(f"another client is answered {answer.code} after {took:.1f} s")
    verdict.expect("200", holds=answer.code == 200)
    return verdict


async def large_bodies(trial: Trial) -> Verdict:
    """A body of 2 MiB, JSON 100,000 arrays deep, one that is cut off, and one that is no JSON."""
    client = trial.serve()
    deep = b"[" * 100_000
    sent = {
        "2 MiB": b'{"name": "' + b"x" * 2**21 + b'"}',
        "deep": b'{"name": ' + deep + b"]" * len(deep) + b"}",
        "cut off": b'{"name": "x',
        "not UTF-8": b'{"name": "\xff"}',
        "empty": b"",
    }
    found = {
        name: (await client.ask("/api/my_table", "POST", body)).code for name, body in sent.items()
    }
    verdict = Verdict(str(found))
    verdict.expect("4xx, and an answer", holds=all(400 <= code < 500 for code in found.values()))
    return verdict


async def wrong_types(trial: Trial) -> Verdict:
    """Values of every JSON type where a text belongs, and where a number does."""
    client = trial.serve()
    before = trial.count()
    values = [None, True, 5, 1.5, 10**30, [], {}, ["x"], {"a": 1}, "x" * 51, "\u0000"]
    bodies = [{"name": value} for value in values] + [{"name": "x", "id": "x"}, {"nome": "x"}, "x"]
    statuses = await client.statuses(
        [client.ask("/api/my_table", "POST", json.dumps(body).encode()) for body in bodies]
    )
    verdict = Verdict(f"{dict(statuses)}; {trial.count() - before} rows written")
    verdict.expect("422", holds=set(statuses) == {422})
    verdict.expect("nothing written", holds=trial.count() == before)
    return verdict


async def sql_everywhere(trial: Trial) -> Verdict:
    """SQL in the key, and as name and value of every parameter and header."""
    client = trial.serve()
    before = trial.count()
    requests = []
    for text in SQL:
        quoted = quote(text, safe="")
        requests.append(client.ask(f"/api/my_table/{quoted}"))
        requests.append(client.ask(f"/api/{quoted}"))
        requests.append(client.ask(f"/api/my_table?{quoted}=eq.1"))
        requests += [
            client.ask(f"/api/my_table?{name}={prefix}{quoted}")
            for name in ("id", "name", "select", "order", "limit", "offset", "cursor", "and", "or")
            for prefix in ("", "eq.", "in.(", "(id.eq.", "like.", "match.")
        ]
        plain = text.replace("\x00", "")
        requests += [
            client.ask("/api/my_table", "GET", None, **{name: plain})
            for name in ("Authorization", "Prefer", "Accept", "If-None-Match", "X-Request-ID")
        ]
    statuses = await client.statuses(requests)
    verdict = Verdict(f"{len(requests)} requests: {dict(statuses)}; {trial.count()} rows")
    verdict.expect("no 5xx", holds=max(statuses) < 500)
    verdict.expect("no row more or less", holds=trial.count() == before)
    return verdict


async def other_tokens(trial: Trial) -> Verdict:
    """A token that has expired, one that was revoked, and foreign ones."""
    client = trial.serve()
    tokens = {"foreign": "project_" + "x" * 43, "of another kind": "eyJhbGciOiJub25lIn0.e30."}
    for name, column in (("expired", "expires_at"), ("revoked", "revoked_at")):
        tokens[name] = make_token(stage.environment(trial.url))
        with psycopg.connect(stage.text(trial.url)) as connection:
            connection.execute(
                f"UPDATE access_token SET {column} = now() - interval '1 day'"
                " WHERE id = (SELECT max(id) FROM access_token)"
            )
    found = {}
    for name, token in tokens.items():
        found[name] = (await Client(client.port, token).ask("/api/my_table")).code
    guesser = Client(client.port, "project_guess")
    guesses = Counter([(await guesser.ask("/api/my_table")).code for _ in range(30)])
    own = (await Client(client.port).ask("/api/my_table")).code
    verdict = Verdict(f"{found}; 30 guesses {dict(guesses)}; without a token {own}")
    verdict.expect("401", holds=set(found.values()) == {401})
    verdict.expect("429 in the end", holds=set(guesses) == {401, 429})
    verdict.expect("public rows are public", holds=own == 200)
    return verdict


FAULTS: tuple[Callable[[Trial], Coroutine[Any, Any, Verdict]], ...] = (
    database_killed,
    pool_exhausted,
    slow_clients,
    large_bodies,
    wrong_types,
    sql_everywhere,
    other_tokens,
)


def data_directory(url: URL) -> str:
    with psycopg.connect(stage.text(url)) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    return str(row[0]) if row else ""


def main(seconds: float = 3, only: str = "") -> int:
    AsyncHTTPClient.configure(None, max_clients=2000)
    failed = False
    for fault in (each for each in FAULTS if only in each.__name__):
        with ExitStack() as running, suppress(KeyboardInterrupt):
            url = running.enter_context(stage.database(100_000))
            log = Path(running.enter_context(TemporaryDirectory())) / "log"
            verdict = asyncio.run(fault(Trial(url, running, seconds, log)))
            tracebacks = log.read_text().count("Traceback")
            verdict.expect(f"{tracebacks} tracebacks in the log", holds=not tracebacks)
        failed |= bool(verdict.wrong)
        print(f"{fault.__name__.replace('_', ' ')}: {fault.__doc__}\n  {verdict.said}")
        print("  as it should be" if not verdict.wrong else f"  WRONG: {'; '.join(verdict.wrong)}")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(float((*sys.argv[1:2], "3")[0]), *sys.argv[2:3]))
