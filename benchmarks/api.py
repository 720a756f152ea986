"""The API in requests a second, beside a ceiling, one statement by hand, and what one would pick.

    .venv/bin/python -m benchmarks.api [clients] [seconds] [rows of the export] [task …]

All run in turns on one database and one machine, one process each; read the ratios. Each is the
median of those within a round, in which all are asked one after another, so that whatever else the
machine does meets all alike; who begins changes from round to round. Where a task
needs a right, ours looks up the token, and where it writes, it audits in the same transaction; the
others do neither. A second row has two of them with the same duties: the token looked up, the
change audited in its transaction, each as one would write it there.
"""

import asyncio
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import NamedTuple

import psutil
import psycopg
from sqlalchemy import URL

from benchmarks import load, stage

ROUNDS = 6

#: Of those, every so many has the peers, too, that are several times slower.
SELDOM = 3
BULK = 100_000
PEERS = ("by_hand", "fastapi_orm", "litestar_alchemy")
MANY = "id,email,access_token(id,label)"


HEAD = """\
{clients} clients; requests a second, medians of {rounds} rounds, and ours as a share or multiple;
below, the CPU time of a request in each process, which depends less on what else is running;
where ours looks up a token and audits, the others do neither, and below that, two of them do"""
AS_SHARE = ("constant bytes", "by hand")
COLUMNS = ("ours", *AS_SHARE, "FastAPI", "Litestar")

#: Those that are measured in every round.
OFTEN = ("ours", "bare", "by_hand")

#: Those that are measured with the duties that ours has, too.
DUTIFUL = ("by_hand", "fastapi_orm")


class Service(NamedTuple):
    name: str
    port: int
    process: psutil.Process


class Figures(NamedTuple):
    rate: float  # requests a second
    cost: float  # microseconds of CPU time of a request


#: What one round found, by the place of whoever was asked.
Round = dict[int | None, Figures]


class Task(NamedTuple):
    name: str
    ours: bytes
    theirs: bytes
    status: str = "200"
    duty: bytes = b""  # theirs, with the duties that ours has


def main(
    clients: int = 32, seconds: int = 1, rows: int = 1_000_000, *, names: tuple[str, ...] = ()
) -> None:
    with ExitStack() as running:
        url = running.enter_context(stage.database(10_000))
        fill(url)
        token = make_token(stage.environment(url))
        port = stage.free_port()
        started = running.enter_context(stage.service(url, port))
        services = [Service("ours", port, psutil.Process(started.pid))]
        for name in PEERS:
            port = stage.free_port()
            started = running.enter_context(stage.peer(name, url, port))
            services.append(Service(name, port, psutil.Process(started.pid)))
        print(HEAD.format(clients=clients, rounds=ROUNDS))
        print(f"{'':18}" + "".join(f"{name:>21}" for name in COLUMNS))
        chosen = [task for task in tasks(token) if not names or task.name.startswith(names)]
        for task in chosen:
            print(compared(task, services, url, clients, seconds), flush=True)
        if names:
            return
        print(f"\n{BULK} rows inserted by one request, and {rows} rows read as CSV:")
        print("seconds, and MiB that the process grew by")
        print(once("bulk insert", services, lambda service: insert(service, token)), flush=True)
        top_up(url, rows)
        print(once("export", services, export), flush=True)


def tasks(token: str) -> list[Task]:
    def read(name: str, path: str, query: str = "") -> Task:
        same = load.get(path, token)
        return Task(name, load.get(path + query, token), load.get(path), duty=same)

    def write(name: str, method: str, path: str, status: str) -> Task:
        body = b'{"name": "a new name"}'
        request = load.send(method, path, body, token)
        return Task(name, request, load.send(method, path, body), status, request)

    public = [
        Task(name, load.get(path), load.get(path))
        for name, path in (
            ("page of 100 rows", "/api/my_table?limit=100"),
            ("filtered page", "/api/my_table?id=gt.500"),
            ("single row", "/api/my_table/77"),
        )
    ]
    return [
        *public,
        read("embedded, to one", "/api/access_token", "?select=id,label,account(email,role)"),
        read(
            "embedded, to many", "/api/account", f"?select={MANY}&access_token.revoked_at=is.null"
        ),
        write("insert", "POST", "/api/my_table", "201"),
        # A row for each client: on one for all they would wait for each other.
        write("patch", "PATCH", "/api/my_table/{client}", "200"),
    ]


def compared(task: Task, services: list[Service], url: URL, clients: int, seconds: float) -> str:
    """Ask all in turns; return the lines of the table."""
    with ExitStack() as running:
        port = stage.free_port()
        body = answered(services[0].port, task)
        bare = running.enter_context(stage.peer("bare", url, port, body, task.status))
        ours, *others = services
        asked = [(ours, task.ours), (Service("bare", port, psutil.Process(bare.pid)), task.theirs)]
        asked += [(other, task.theirs) for other in others]
        if task.duty:
            asked += [(other, task.duty) for other in others if other.name in DUTIFUL]
        rounds = [round_of(asked, task, number, clients, seconds) for number in range(ROUNDS)]
    lines = [
        row(task.name, rounds, range(len(COLUMNS)), "", turned=False),
        row("", rounds, range(len(COLUMNS)), " µs", turned=True),
    ]
    if task.duty:
        places = [0, None, *range(len(COLUMNS), len(asked))]
        lines += [
            row("  same duties", rounds, places, "", turned=False),
            row("", rounds, places, " µs", turned=True),
        ]
    return "\n".join(lines)


def round_of(
    asked: list[tuple[Service, bytes]], task: Task, number: int, clients: int, seconds: float
) -> Round:
    """Ask each once, whoever's turn it is first; the slow ones not in every round."""
    found: Round = {}
    for step in range(len(asked)):
        place = (step + number) % len(asked)
        service, request = asked[place]
        if number % SELDOM and service.name not in OFTEN:
            continue
        tally = load.Tally()
        before = sum(service.process.cpu_times()[:2])
        asyncio.run(load.ask(service.port, request, clients, seconds, tally, task.status.encode()))
        assert not tally.errors, (service, tally.errors, request)
        cpu = sum(service.process.cpu_times()[:2]) - before
        rate = tally.answered / sum(tally.seconds) * clients
        found[place] = Figures(rate, 1_000_000 * cpu / tally.answered)
    return found


def row(
    name: str, rounds: list[Round], places: Iterable[int | None], unit: str, *, turned: bool
) -> str:
    """A line of the table; where less is better, turned round, so that more of ours is better."""
    cells = [f"{name:18}"]
    for column, place in enumerate(places):
        pairs = [(found[0][turned], found[place][turned]) for found in rounds if place in found]
        if place is None or not pairs:
            cells.append(f"{'':>21}")
            continue
        middle = statistics.median(other for _, other in pairs)
        ratio = statistics.median(
            (other / ours if turned else ours / other) for ours, other in pairs
        )
        share = f"({100 * ratio:.0f} %)" if column <= len(AS_SHARE) else f"({ratio:.1f} times)"
        cells.append(f"{f'{middle:.0f}{unit} {share if column else str()}':>21}")
    return "".join(cells)


def once(name: str, services: list[Service], task: Callable[[Service], None]) -> str:
    """Have each do it once; return a line for time and memory."""
    cells = []
    for service in services:
        seconds, grown = watched(service, task)
        cells.append(f"{service.name} {seconds:.1f} s, {grown:.0f} MiB")
    return f"{name:14}" + ";  ".join(cells)


def watched(service: Service, task: Callable[[Service], None]) -> tuple[float, float]:
    """Return how many seconds a task took, and how many MiB the process grew by meanwhile."""
    done = threading.Event()
    before = service.process.memory_info().rss
    peak = before

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, service.process.memory_info().rss)

    watching = threading.Thread(target=sample)
    watching.start()
    began = time.monotonic()
    task(service)
    took = time.monotonic() - began
    done.set()
    watching.join()
    return took, (peak - before) / 2**20


def insert(service: Service, token: str) -> None:
    rows = [b'{"name": "row number %d of many"}' % number for number in range(BULK)]
    lines = service.name in {"ours", "by_hand"}
    path = "/api/my_table" if service.name == "ours" else "/api/my_table/bulk"
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}{path}",
        b"\n".join(rows) if lines else b"[%b]" % b",".join(rows),
        {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/x-ndjson" if lines else "application/json",
        },
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201


def export(service: Service) -> None:
    path = "/api/my_table" if service.name == "ours" else "/export"
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}{path}", headers={"Accept": "text/csv"}
    )
    with urllib.request.urlopen(request) as answer:
        while answer.read(2**18):
            pass


def answered(port: int, task: Task) -> bytes:
    """Return the body of one answer."""

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(task.ours.replace(b"{client}", b"1"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {task.status}".encode()), head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        body = await reader.readexactly(length)
        writer.close()
        return body

    return asyncio.run(ask())


def fill(url: URL) -> None:
    """Make accounts with tokens, for rows within rows."""
    with psycopg.connect(stage.text(url), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO account (email, role)"
            " SELECT 'person' || n || '@example.org', 'reader' FROM generate_series(1, 2000) n"
        )
        connection.execute(
            "INSERT INTO access_token (account_id, token_hash, label)"
            " SELECT a.id, sha256(convert_to(a.id || ' ' || n, 'UTF8')), 'token ' || n"
            " FROM account a, generate_series(1, 5) n ORDER BY a.id"
        )
        connection.execute("VACUUM ANALYZE")


def top_up(url: URL, rows: int) -> None:
    with psycopg.connect(stage.text(url), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO my_table (name) SELECT 'row number ' || n"
            " FROM generate_series(1 + (SELECT count(*) FROM my_table), %s) AS n",
            [rows],
        )
        connection.execute("VACUUM ANALYZE my_table")


def make_token(environment: dict[str, str]) -> str:
    make = [sys.executable, "-m", "project.tokens", "make", "bench@example.org", "--role", "admin"]
    return subprocess.check_output(make, cwd=stage.ROOT, env=environment, text=True).strip()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]), names=tuple(sys.argv[4:]))
