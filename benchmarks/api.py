"""The API in requests a second, beside one statement by hand and what one would otherwise pick.

    .venv/bin/python -m benchmarks.api [clients] [seconds]

All three run in turns on one database and one machine, one process each; read the ratios. Ours
signs in, compares and audits where it writes; the others just write.
"""

import asyncio
import statistics
import subprocess
import sys
from contextlib import ExitStack

from benchmarks import load, stage

ROUNDS = 3
NAMES = ["project", "psycopg by hand under Tornado", "FastAPI + SQLAlchemy ORM + Pydantic"]
PEERS = ["by_hand", "fastapi_orm"]


def main(clients: int = 32, seconds: float = 3) -> None:
    with ExitStack() as running:
        url = running.enter_context(stage.database(10_000))
        token = make_token(stage.environment(url))
        ports = [stage.free_port() for _ in NAMES]
        running.enter_context(stage.service(url, ports[0]))
        for name, port in zip(PEERS, ports[1:], strict=True):
            running.enter_context(stage.peer(name, url, port))
        print(f"{clients} clients; requests a second, medians of {ROUNDS}, and ours as a share:")
        for task, request, status in requests(token):
            rates = measure(ports, request, status, clients, seconds)
            ours, hand, other = (statistics.median(each) for each in rates)
            print(
                f"{task:24} {ours:6.0f}   by hand {hand:6.0f} ({100 * ours / hand:3.0f} %)"
                f"   FastAPI {other:6.0f} ({ours / other:.1f} times)",
                flush=True,
            )


def requests(token: str) -> list[tuple[str, bytes, bytes]]:
    body = b'{"name": "a new name"}'
    return [
        ("page of 100 rows", load.get("/api/my_table?limit=100"), b"200"),
        ("filtered page", load.get("/api/my_table?id=gt.500"), b"200"),
        ("single row", load.get("/api/my_table/77"), b"200"),
        ("insert", load.send("POST", "/api/my_table", body, token), b"201"),
        ("patch", load.send("PATCH", "/api/my_table/77", body, token), b"200"),
    ]


def measure(
    ports: list[int], request: bytes, status: bytes, clients: int, seconds: float
) -> list[list[float]]:
    rates: list[list[float]] = [[] for _ in ports]
    for _ in range(ROUNDS):
        for rate, port in zip(rates, ports, strict=True):
            tally = load.Tally()
            asyncio.run(load.ask(port, request, clients, seconds, tally, status))
            assert not tally.errors, (port, tally.errors, request)
            rate.append(tally.answered / sum(tally.seconds) * clients)
    return rates


def make_token(environment: dict[str, str]) -> str:
    make = [sys.executable, "-m", "project.tokens", "make", "bench@example.org", "--role", "editor"]
    return subprocess.check_output(make, cwd=stage.ROOT, env=environment, text=True).strip()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
