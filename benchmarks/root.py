"""`GET /` with 100 rows, in requests a second, beside a ceiling and what one would otherwise pick.

    .venv/bin/python -m benchmarks.root [clients] [seconds]

All three run in turns on one database and one machine, one process each; read the ratios.
"""

import asyncio
import statistics
import sys
import urllib.request
from contextlib import ExitStack

from benchmarks import load, stage

ROWS = 100
ROUNDS = 3


def main(clients: int = 64, seconds: float = 5) -> None:
    with ExitStack() as running:
        url = running.enter_context(stage.database(ROWS))
        ports = [stage.free_port() for _ in range(3)]
        running.enter_context(stage.service(url, ports[0]))
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/") as answer:
            body = answer.read()
        running.enter_context(stage.peer("bare", url, ports[1], body))
        running.enter_context(stage.peer("fastapi_orm", url, ports[2]))
        names = ["project", "Tornado, constant bytes", "FastAPI + SQLAlchemy ORM + Pydantic"]
        rates: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(ROUNDS):
            for name, port in zip(names, ports, strict=True):
                tally = load.Tally()
                asyncio.run(load.clients(port, "/", clients, seconds, tally))
                rates[name].append(tally.answered / sum(tally.seconds) * clients)
                print(
                    f"round {turn + 1}  {name:36} {rates[name][-1]:8.0f} requests/s"
                    f"  half within {tally.quantile(0.5):6.1f} ms,"
                    f" 99 % {tally.quantile(0.99):6.1f} ms  {tally.errors} errors",
                    flush=True,
                )
    ours, ceiling, other = (statistics.median(rates[name]) for name in names)
    print(
        f"\n{ROWS} rows, {clients} clients, {len(body)} bytes an answer; medians of {ROUNDS}:"
        f"\n  {ours / other:.1f} times {names[2]}"
        f"\n  {100 * ours / ceiling:.0f} % of {names[1]}"
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
