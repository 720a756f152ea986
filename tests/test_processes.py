"""`PROCESSES`: several that serve at one address, watched and stopped by their parent."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import psutil
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from tornado.httpclient import AsyncHTTPClient

from project.database import ROOT

from .conftest import Process, secret, until
from .test_drain import client, ended, refuses, waiting_request

Start = Callable[..., Process]


def children(process: Process) -> set[int]:
    return {child.pid for child in psutil.Process(process.popen.pid).children()}


async def figures(process: Process) -> dict[tuple[str, str], float]:
    """What Prometheus reads, by name and process, added up over the other labels."""
    [url] = re.findall(r"^Metrics +(\S+)$", process.greeting, re.MULTILINE)
    answer = await AsyncHTTPClient().fetch(url)
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            key = (sample.name, sample.labels["process"])
            found[key] = found.get(key, 0) + sample.value
    return found


async def test_requests_are_counted_by_the_process_that_answered_them(
    start_process: Start, database: sa.URL
) -> None:
    process = start_process(DATABASE_URL=secret(database), PROCESSES="2", METRICS_PORT="0")
    assert "Workers  2 processes" in process.greeting
    async with asyncio.TaskGroup() as asking:
        for _ in range(60):
            asking.create_task(ask(process))
    found = await figures(process)
    counted = [found.get(("project_request_seconds_count", number), 0) for number in "01"]
    assert sum(counted) == 60
    assert min(counted) > 0  # the kernel spreads connections
    assert [found["project_ready", number] for number in "01"] == [1, 1]
    assert [found["project_pool_size", number] for number in "01"] == [10, 10]
    assert all(found["process_resident_memory_bytes", number] > 1e7 for number in "01")
    process.popen.send_signal(signal.SIGTERM)
    assert await ended(process) == 0


async def ask(process: Process) -> None:
    async with client(process) as asking:
        await asking.ask("/api/my_table/1")
        assert (await asking.answer())[0] == 404


async def test_a_process_that_is_killed_is_replaced(start_process: Start, database: sa.URL) -> None:
    process = start_process(DATABASE_URL=secret(database), PROCESSES="2")
    before = children(process)
    os.kill(min(before), signal.SIGKILL)

    async def replaced() -> bool:
        return len(children(process)) == 2 and children(process) != before

    await until(replaced)
    for _ in range(10):  # whichever is asked
        await ask(process)
    process.popen.send_signal(signal.SIGINT)
    assert await ended(process) == 0


async def test_all_processes_answer_what_they_were_asked_before_they_end(
    start_process: Start, database: sa.URL
) -> None:
    process = start_process(DATABASE_URL=secret(database), PROCESSES="3")
    async with waiting_request(process, database) as (waiting, locking):
        # A terminal and a service manager send to all at once what is meant once.
        for number in (process.popen.pid, *children(process)):
            os.kill(number, signal.SIGTERM)
        await until(lambda: refuses(process))

        async def alone() -> bool:
            return len(children(process)) == 1

        await until(alone)
        locking.rollback()
        assert (await waiting.answer())[0] == 200
    assert await ended(process) == 0


async def test_a_second_signal_kills_them(start_process: Start, database: sa.URL) -> None:
    process = start_process(DATABASE_URL=secret(database), PROCESSES="2", DRAIN_SECONDS="60")
    async with waiting_request(process, database):
        process.popen.send_signal(signal.SIGTERM)
        await until(lambda: refuses(process))
        process.popen.send_signal(signal.SIGINT)
        assert await ended(process) == 1


async def test_without_their_parent_they_stop(start_process: Start, database: sa.URL) -> None:
    process = start_process(DATABASE_URL=secret(database), PROCESSES="2")
    left = [psutil.Process(child) for child in children(process)]
    process.popen.kill()
    _, alive = await asyncio.to_thread(psutil.wait_procs, left, 20)
    assert not alive


def test_processes_that_end_again_and_again_are_given_up() -> None:
    code = """
import os, sys
from project import processes

def work(number, pipe):  # the first waits for its parent's word, the second fails
    return 1 if number else len(os.read(pipe, 1)) - 1

with processes.signals_held():
    sys.exit(processes.run(2, work))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.count("Process 1 ended (1); another takes its place.") == 5
    assert done.stderr.endswith("Process 1 ended (1), 6 times in a minute; giving up.\n")


def test_an_address_that_another_service_has_is_refused(
    start_process: Start, database: sa.URL
) -> None:
    process = start_process(DATABASE_URL=secret(database), PROCESSES="2")
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": secret(database),
        "PROCESSES": "2",
        "PORT": str(process.port),
    }
    second = subprocess.run(
        [sys.executable, "-m", "project"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert second.returncode == 2
    assert second.stderr.startswith(f"Cannot listen on localhost, port {process.port}: ")
