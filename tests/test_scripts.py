"""`scripts/serve` and `python -m project`: start, stop, start again, and say what is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from project import embedded
from project.database import ROOT

from .conftest import execute, secret
from .transcript import Terminal


def run(*command: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def test_it_keeps_its_rows_between_starts_and_through_a_kill(terminal: Terminal) -> None:
    printed = terminal.serve()
    assert f"Serving  http://localhost:{terminal.port}/" in printed
    inserted = terminal.run("""scripts/psql -qc "INSERT INTO my_table (name) VALUES ('Ann')" """)
    assert inserted == ""

    assert terminal.service is not None
    terminal.service.send_signal(signal.SIGKILL)
    terminal.service.communicate()
    terminal.service = None

    assert "Running upgrade" not in terminal.serve()
    with urllib.request.urlopen(f"http://localhost:{terminal.port}/") as answer:
        assert json.load(answer) == [{"id": 1, "name": "Ann"}]

    terminal.interrupt()
    socket_folder = terminal.folder / ".postgres" / "data"
    with pytest.raises(psycopg.OperationalError):  # the database was stopped with the service
        psycopg.connect(host=str(socket_folder), user="postgres", dbname=embedded.DATABASE)


def test_it_migrates_and_serves_the_database_it_is_given(empty_database: sa.URL) -> None:
    process = subprocess.Popen(
        ["scripts/serve"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": secret(empty_database), "PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Database"):
            assert f"Database {empty_database.database} on " in line
        if line.startswith("Stop"):
            assert line == f"Stop     Ctrl-C, or kill {process.pid}\n"
            break
    assert execute(empty_database, "SELECT count(*) FROM my_table") == [(0,)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


BAD_DATABASES = [
    ("mysql://ann:s3cret@db/shop", "DATABASE_URL begins with mysql://; expected postgresql://"),
    ("nonsense", "DATABASE_URL cannot be read; expected postgresql://"),
    (
        "postgresql://ann:s3cret@127.0.0.1:1/shop",
        "Cannot use the database shop on 127.0.0.1:1 as ann: Connection refused.",
    ),
]


@pytest.mark.parametrize("command", [["scripts/serve"], [sys.executable, "-m", "project"]])
@pytest.mark.parametrize(("url", "sentence"), BAD_DATABASES)
def test_a_database_that_cannot_be_used_is_one_sentence_and_exit_2(
    command: list[str], url: str, sentence: str
) -> None:
    done = run(*command, DATABASE_URL=url)
    said = (done.stdout + done.stderr).removeprefix("FAILED: ")
    assert done.returncode == 2
    assert said.startswith(sentence)
    assert len(said.splitlines()) == 1
    assert "s3cret" not in said


@pytest.mark.parametrize("command", [["scripts/serve"], [sys.executable, "-m", "project"]])
def test_a_user_the_server_does_not_know_is_one_sentence_and_exit_2(
    command: list[str], database: sa.URL
) -> None:
    done = run(*command, DATABASE_URL=secret(database.set(username="nobody_here")))
    said = (done.stdout + done.stderr).removeprefix("FAILED: ")
    assert done.returncode == 2
    assert said.endswith(' as nobody_here: role "nobody_here" does not exist.\n')
    assert len(said.splitlines()) == 1


def test_a_busy_port_is_one_sentence_and_exit_2(database: sa.URL) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        done = run(
            *(sys.executable, "-m", "project"),
            DATABASE_URL=secret(database),
            PORT=port,
            ADDRESS="127.0.0.1",
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Cannot listen on 127.0.0.1, port {port}: address already in use."
        " Set PORT or ADDRESS to another.\n"
    )


def test_serving_does_not_migrate(empty_database: sa.URL) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "project"],
        cwd=ROOT,
        env={"DATABASE_URL": secret(empty_database), "PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    assert lines[2].startswith("Revision The database stands at no revision, this code at ")
    assert lines[2].endswith("Run: alembic upgrade head\n")
    assert execute(empty_database, "SELECT to_regclass('my_table')") == [(None,)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_setup_does_nothing_when_all_is_in_place() -> None:
    done = run("scripts/setup", "test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_setup_refuses_a_word_it_does_not_know() -> None:
    done = run("scripts/setup", "tests")
    assert done.returncode == 2
    assert (
        done.stderr == "scripts/setup: 'tests' is unknown; it takes nothing, test or benchmark.\n"
    )


def test_setup_refuses_a_python_that_is_too_old(terminal: Terminal) -> None:
    (terminal.folder / ".venv").unlink()
    old = terminal.folder / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    printed = terminal.run("PYTHON=./old-python scripts/setup; echo $?")
    assert printed == (
        "scripts/setup: ./old-python is not Python 3.11 or newer; set PYTHON to one that is.\n2\n"
    )
