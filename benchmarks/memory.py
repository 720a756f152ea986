"""A million rows: how much memory, and does anybody else have to wait?

.venv/bin/python -m benchmarks.memory [rows]
"""

import asyncio
import sys
import threading
import time
from contextlib import ExitStack

import psutil

from benchmarks import load, stage

FORMS = (
    ("JSON at /", "/", "*/*"),
    ("HTML at /", "/", "text/html"),
    ("CSV", "/api/my_table", "text/csv"),
    ("lines of JSON", "/api/my_table", "application/x-ndjson"),
)


def main(rows: int = 1_000_000) -> None:
    with ExitStack() as running:
        url = running.enter_context(stage.database(rows))
        port = stage.free_port()
        process = running.enter_context(stage.service(url, port))
        seen = psutil.Process(process.pid)
        for name, path, accept in FORMS:
            before = seen.memory_info().rss
            peak, others, took, length = watch(seen, port, path, accept)
            print(
                f"{rows} rows as {name}, {length / 2**20:.0f} MiB in {took:.1f} s:"
                f" resident {before / 2**20:.1f} MiB before, at most {peak / 2**20:.1f} MiB;"
                f" /livez meanwhile: {others.answered} answers, half within"
                f" {others.quantile(0.5):.1f} ms, all within {others.quantile(1):.1f} ms"
            )


def watch(
    seen: psutil.Process, port: int, path: str, accept: str
) -> tuple[int, load.Tally, float, int]:
    """Read the whole answer while one client asks for `/livez` and memory is sampled."""
    done = threading.Event()
    others = load.Tally()
    peak = 0

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, seen.memory_info().rss)

    async def ask_others() -> None:
        asking = asyncio.create_task(load.clients(port, "/livez", 1, 3600, others))
        await asyncio.to_thread(done.wait)
        others.stopping = True
        await asking

    threads = [
        threading.Thread(target=sample),
        threading.Thread(target=lambda: asyncio.run(ask_others())),
    ]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    length = asyncio.run(read(port, path, accept))
    took = time.monotonic() - began
    done.set()
    for thread in threads:
        thread.join()
    return peak, others, took, length


async def read(port: int, path: str, accept: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    length = 0
    end = b""
    while chunk := await reader.read(2**18):
        length += len(chunk)
        end = (end + chunk)[-7:]
    assert end == b"\r\n0\r\n\r\n", "the answer was broken off"
    writer.close()
    return length


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
