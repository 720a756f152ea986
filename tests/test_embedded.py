"""The PostgreSQL that comes with the project: shared, kept, and there again after a crash."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from project import embedded
from project.database import ROOT

from .conftest import execute, secret

USER = """
import sys
from pathlib import Path
from project import embedded
with embedded.running(Path(sys.argv[1])):
    print("running", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(run_folder: Path) -> Path:
    """Short enough for a socket's name."""
    return run_folder / f"embedded{os.getpid()}"


@pytest.fixture
def url(folder: Path) -> Iterator[sa.URL]:
    with embedded.running(folder, {"fsync": "off"}) as url:
        execute(url, "CREATE TABLE IF NOT EXISTS kept (row int)")
        yield url


def other_user(folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", USER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def is_running(url: sa.URL) -> bool:
    try:
        psycopg.connect(secret(url)).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_last_one_stops_it(folder: Path) -> None:
    with embedded.running(folder, {"fsync": "off"}) as url:
        other = other_user(folder)
    assert is_running(url)
    other.communicate("")
    assert not is_running(url)


def test_data_is_kept_between_runs(folder: Path, url: sa.URL) -> None:
    execute(url, "INSERT INTO kept VALUES (1)")
    version = execute(url, "SHOW server_version_num")[0][0]
    assert int(version) // 10000 == 18
    with embedded.running(folder):  # a second use in one process is a use as any other
        pass
    assert execute(url, "SELECT count(*) FROM kept")[0][0] >= 1


def test_a_user_that_is_killed_leaves_it_for_the_next(folder: Path) -> None:
    killed = other_user(folder)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    with embedded.running(folder) as url:
        assert is_running(url)
    assert not is_running(url)  # the dead one is not counted


def test_a_server_that_was_killed_recovers(folder: Path) -> None:
    with embedded.running(folder) as url:
        execute(url, "CREATE TABLE survivor AS SELECT 42 AS row")
        number = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(number, signal.SIGKILL)
        while is_running(url):
            pass
    with embedded.running(folder) as url:
        assert execute(url, "SELECT row FROM survivor") == [(42,)]


def test_a_stale_note_with_the_number_of_another_program_is_no_obstacle(folder: Path) -> None:
    with embedded.running(folder):
        note = (folder / "data" / "postmaster.pid").read_text()
    _, rest = note.split("\n", 1)
    (folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{rest}")
    with embedded.running(folder) as url:
        assert is_running(url)


def test_a_creation_that_was_interrupted_is_begun_again(run_folder: Path) -> None:
    interrupted = run_folder / f"begun{os.getpid()}"
    interrupted.mkdir()
    (interrupted / "data.new").mkdir()
    (interrupted / "data.new" / "PG_VERSION").write_text("18\n")
    with embedded.running(interrupted, {"fsync": "off"}) as url:
        assert is_running(url)
        assert execute(url, "SHOW fsync") == [("off",)]


def test_data_that_cannot_be_started_is_said_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("18\n")
    with pytest.raises(embedded.EmbeddedError) as raised, embedded.running(tmp_path):
        pass
    assert str(tmp_path / "data" / "log") in str(raised.value)
    assert (tmp_path / "data" / "PG_VERSION").read_text() == "18\n"
