"""Databases to throw away: they come, they go, and nobody else's goes with them."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from project import embedded
from project.schema import scratch

from .conftest import Databases, execute, secret


def names(server: sa.URL) -> set[str]:
    return {row[0] for row in execute(server, "SELECT datname FROM pg_database")}


def made_ago(age: timedelta) -> str:
    return f"scratch_{datetime.now(UTC) - age:%Y%m%d%H%M%S}_{os.getpid()}_77"


def test_a_database_lasts_as_long_as_its_block(scratch_server: sa.URL) -> None:
    with scratch.database(scratch_server) as url:
        assert url.database in names(scratch_server)
        assert execute(url, "SHOW server_encoding") == [("UTF8",)]
    assert url.database not in names(scratch_server)


def test_a_server_that_comes_up_again_is_asked_once_more_to_drop_it(
    scratch_server: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop, said = vars(scratch)["_drop"], ["server closed the connection unexpectedly"]

    def failing_once(connection: psycopg.Connection, name: str) -> None:
        if said:
            raise psycopg.OperationalError(said.pop())
        drop(connection, name)

    monkeypatch.setattr(scratch, "_drop", failing_once)
    with scratch.database(scratch_server) as url:
        pass
    assert url.database not in names(scratch_server)


def test_a_copy_has_what_its_template_has(scratch_server: sa.URL) -> None:
    with scratch.database(scratch_server) as template:
        execute(template, "CREATE TABLE kept (row int)")
        with scratch.database(scratch_server, template=str(template.database)) as url:
            assert execute(url, "SELECT count(*) FROM kept") == [(0,)]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ZeroDivisionError])
def test_it_goes_whatever_ends_the_block(
    scratch_server: sa.URL, interruption: type[BaseException]
) -> None:
    with pytest.raises(interruption), scratch.database(scratch_server) as url:
        raise interruption
    assert url.database not in names(scratch_server)


def test_it_goes_while_somebody_is_connected(scratch_server: sa.URL) -> None:
    with scratch.database(scratch_server) as url:
        connection = psycopg.connect(secret(url))
    connection.close()
    assert url.database not in names(scratch_server)


def test_two_at_once_have_two_names(scratch_server: sa.URL) -> None:
    with scratch.database(scratch_server) as one, scratch.database(scratch_server) as other:
        assert one != other


def test_what_a_killed_process_left_is_swept_after_a_day(scratch_server: sa.URL) -> None:
    old, recent = made_ago(timedelta(hours=25)), made_ago(timedelta(hours=23))
    other, impossible = f"{old}_mine", f"scratch_20240231000000_{os.getpid()}_1"
    kept = {recent, other, impossible}
    for name in {old, *kept}:
        execute(scratch_server, f"CREATE DATABASE {name}")
    try:
        with scratch.server(secret(scratch_server)) as server:
            assert server == scratch_server
            assert names(server) & {old, *kept} == kept
    finally:
        for name in {old, *kept}:
            execute(scratch_server, f"DROP DATABASE IF EXISTS {name}")


def test_without_a_url_there_is_an_embedded_server(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder / f"cache{os.getpid()}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(scratch, "MEMORY", run_folder / "no memory")
    with scratch.server(None) as server, scratch.database(server) as url:
        assert execute(url, "SHOW fsync") == [("off",)]
    assert (folder / "project-schema" / "postgres" / "data").is_dir()


@pytest.mark.parametrize("room", [0, 2**62])
def test_it_is_in_memory_where_that_has_room(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(scratch, "MEMORY", tmp_path)
    monkeypatch.setattr(scratch, "ROOM", room)
    in_memory = scratch.cache_folder().parent == tmp_path / f"project-schema-{os.getuid()}"
    assert in_memory == (room == 0)


def test_without_a_cache_the_folder_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "MEMORY", tmp_path / "no memory")
    folder = scratch.cache_folder()
    assert folder.parent.parent == tmp_path
    assert folder.parent.stat().st_mode & 0o777 == 0o700


def test_an_embedded_server_that_does_not_start_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise embedded.EmbeddedError("It does not start.")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "running", refuse)
    with pytest.raises(scratch.ScratchError, match="delete the folder"), scratch.server(None):
        pass


def test_a_server_that_is_not_there_is_a_sentence_without_the_password() -> None:
    url = "postgresql://me:hunter2@localhost:1/x?password=hunter2"
    with pytest.raises(scratch.ScratchError) as caught, scratch.server(url):
        pass
    assert str(caught.value).startswith("Cannot connect to localhost:1: ")
    assert "hunter2" not in str(caught.value)
    with (
        pytest.raises(scratch.ScratchError, match="Cannot connect"),
        scratch.database(sa.make_url(url)),
    ):
        pass


@pytest.mark.parametrize(
    "url", ["hunter2", "mysql://me:hunter2@localhost/x", "postgresql://h:p@x:y"]
)
def test_what_is_no_url_of_postgresql_is_not_repeated(url: str) -> None:
    with pytest.raises(scratch.ScratchError) as caught, scratch.server(url):
        pass
    assert "cannot be read" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_who_may_not_make_databases_is_told_so(
    scratch_server: sa.URL, databases: Databases
) -> None:
    role = f"humble_{os.getpid()}"
    execute(scratch_server, f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")
    humble = databases.make().set(username=role, password="hunter2")
    try:
        with pytest.raises(scratch.ScratchError, match=f"The user {role} may not make databases"):
            scratch.database(humble).__enter__()
    finally:
        execute(scratch_server, f"DROP ROLE {role}")


def test_a_full_disk_is_a_sentence() -> None:
    server = sa.make_url("postgresql://me@there/x")
    assert scratch.refusal(server, psycopg.errors.DiskFull()) == "The disk of there is full."


def test_a_template_that_is_not_there_is_a_sentence(scratch_server: sa.URL) -> None:
    with (
        pytest.raises(scratch.ScratchError, match='"nowhere" does not exist'),
        scratch.database(scratch_server, template="nowhere"),
    ):
        pass
