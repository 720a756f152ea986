"""Many clients for long, then SIGTERM in the middle of it: is a request or a connection lost?

.venv/bin/python -m benchmarks.soak [clients] [seconds]
"""

import asyncio
import signal
import sys
import time
from contextlib import ExitStack

import psutil

from benchmarks import load, stage

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'project'"


def main(clients: int = 500, seconds: float = 30) -> int:
    with ExitStack() as running:
        url = running.enter_context(stage.database(100))
        port = stage.free_port()
        process = running.enter_context(stage.service(url, port))
        seen = psutil.Process(process.pid)

        soak = load.Tally()
        asyncio.run(load.clients(port, "/", clients, seconds, soak))
        print(
            f"{clients} clients for {seconds:g} s: {soak.answered} answers,"
            f" {soak.failed} of another status than 200, {soak.lost} lost, {soak.refused} refused;"
            f" half within {soak.quantile(0.5):.0f} ms, all within {soak.quantile(1):.0f} ms"
        )
        sockets = len(seen.net_connections("tcp")) - len(_listening(seen))
        print(
            f"afterwards: {sockets} sockets of clients open,"
            f" {stage.count(url, CONNECTIONS)} connections to the database (pool_size 10),"
            f" {seen.memory_info().rss / 2**20:.0f} MiB resident"
        )

        drain = load.Tally()
        asyncio.run(_with_sigterm(process.pid, port, clients, drain))
        began = time.monotonic()
        code = process.wait(40)
        print(
            f"SIGTERM amid {clients} clients: {drain.answered} answers, {drain.lost} lost,"
            f" {drain.failed} failed; exit {code} {time.monotonic() - began:.2f} s after the last"
        )
    return int(bool(soak.errors or drain.failed or drain.lost or sockets or code))


def _listening(process: psutil.Process) -> list[object]:
    return [c for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]


async def _with_sigterm(pid: int, port: int, clients: int, tally: load.Tally) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.clients(port, "/", clients, 20, tally))
        await asyncio.sleep(3)
        psutil.Process(pid).send_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
