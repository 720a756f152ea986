"""Requests that nobody would send: is any answered 500, is any logged with a traceback, what grows?

    .venv/bin/python -m benchmarks.fuzz [requests] [seed]

Half of them are made of what the service knows, in places where it does not belong; the rest of
anything at all. Ends with 0 if all is as it should be.
"""

import asyncio
import re
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks import stage
from benchmarks.api import fill, make_token
from benchmarks.oddities import Fuzz

CLIENTS = 16

#: Seconds to wait for an answer; a request whose length was broken never gets one.
PATIENCE = 5


async def send(
    port: int, fuzz: Fuzz, left: list[int], seen: Counter[str], bad: list[bytes]
) -> None:
    """Send requests until none are left, on a connection for as long as it lasts."""
    reader = writer = None
    while left:
        left.pop()
        request = fuzz.request()
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert reader is not None
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(request)
                status, closes = await receive(reader, head=request.startswith(b"HEAD "))
        except (OSError, asyncio.IncompleteReadError):
            status, closes = "closed", True
        except TimeoutError:
            # What it says of its length was broken: the service waits for the rest.
            status, closes = "waits for more", True
        seen[status] += 1
        if status.startswith("5") or status == "broken off":
            bad.append(request)
        if closes:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


async def receive(reader: asyncio.StreamReader, *, head: bool) -> tuple[str, bool]:
    """Read an answer; return its status, and whether the connection is of no more use."""
    said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = said.split(" ", 2)[1]
    length = re.search(r"\r\ncontent-length: (\d+)", said)
    if head or status in {"204", "304"}:
        pass
    elif length:
        await reader.readexactly(int(length[1]))
    elif "\r\ntransfer-encoding: chunked" not in said:
        await reader.read()
        return status, True
    else:
        while line := await reader.readline():
            await reader.readexactly(int(line, 16) + 2)
            if line == b"0\r\n":
                break
        else:
            return "broken off", True
    return status, "\r\nconnection: close" in said


async def fuzz_all(port: int, fuzz: Fuzz, number: int) -> tuple[Counter[str], list[bytes]]:
    seen: Counter[str] = Counter()
    bad: list[bytes] = []
    left = [0] * number
    await asyncio.gather(*[send(port, fuzz, left, seen, bad) for _ in range(CLIENTS)])
    return seen, bad


def main(number: int = 100_000, seed: int = 1) -> int:
    with ExitStack() as running:
        url = running.enter_context(stage.database(1000))
        fill(url)
        log = Path(running.enter_context(TemporaryDirectory())) / "log"
        port = stage.free_port()
        started = running.enter_context(stage.service(url, port, log, TRUSTED_PROXIES="127.0.0.1"))
        process = psutil.Process(started.pid)
        fuzz = Fuzz(seed, make_token(stage.environment(url)))
        began = time.monotonic()
        marks = []
        seen: Counter[str] = Counter()
        bad: list[bytes] = []
        for _ in range(4):
            counted, worse = asyncio.run(fuzz_all(port, fuzz, number // 4))
            seen += counted
            bad += worse
            used = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'project'"
            marks.append((process.memory_info().rss / 2**20, stage.count(url, used)))
            print(f"{sum(seen.values())} requests, {time.monotonic() - began:.0f} s", flush=True)
        tracebacks = log.read_text().count("Traceback")
        ignored = log.read_text().count("Exception ignored")
    print(f"answers: {dict(sorted(seen.items()))}")
    print(f"tracebacks in the log: {tracebacks}; exceptions ignored: {ignored}")
    print("MiB resident, connections: " + ", ".join(f"{mib:.0f}, {n}" for mib, n in marks))
    for request in bad[:5]:
        print(request)
    return int(bool(bad or tracebacks or ignored or marks[-1][1] > 10))


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
