"""`GET /` answers all rows of my_table, to programs and to browsers."""

import asyncio
import json
import re
from collections.abc import Callable

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from project.handlers.root import _table_rows
from project.pool import PAGE
from project.settings import Settings

from .conftest import Service, execute, until

MANY = 40 * PAGE
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def insert(database: sa.URL, *names: str) -> None:
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO my_table (name) VALUES (:name)"), [{"name": n} for n in names]
        )


def insert_many(database: sa.URL, rows: int = MANY) -> None:
    execute(
        database,
        f"INSERT INTO my_table (name) SELECT 'row ' || n FROM generate_series(1, {rows}) n",
    )


async def open_streams(database: sa.URL) -> int:
    """How many statements the service has running on the database."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'project' AND state = 'active'"
    )
    return int(str((await asyncio.to_thread(execute, database, query))[0][0]))


async def test_programs_get_every_row_as_json(service: Service, database: sa.URL) -> None:
    insert(database, "Ann", "100%", 'a "quoted" \\ name', "übermut 🙂")
    response = await service.fetch("/")
    assert response.code == 200
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert response.headers["Vary"] == "Accept"
    assert json.loads(response.body) == [
        {"id": 1, "name": "Ann"},
        {"id": 2, "name": "100%"},
        {"id": 3, "name": 'a "quoted" \\ name'},
        {"id": 4, "name": "übermut 🙂"},
    ]


async def test_options_of_the_url_are_kept(
    serve: Callable[[Settings], Service], database: sa.URL
) -> None:
    named = database.update_query_dict({"options": "-c search_path=elsewhere"})
    execute(
        database,
        "CREATE SCHEMA elsewhere",
        "CREATE TABLE elsewhere.my_table AS SELECT 7 AS id, 'there' AS name",
    )
    response = await serve(Settings(database_url=named)).fetch("/")
    assert json.loads(response.body) == [{"id": 7, "name": "there"}]


async def test_many_rows_keep_their_order_though_the_server_would_work_in_parallel(
    serve: Callable[[Settings], Service], database: sa.URL
) -> None:
    eager = "-c debug_parallel_query=on -c parallel_setup_cost=0 -c parallel_tuple_cost=0"
    named = database.update_query_dict({"options": f"{eager} -c min_parallel_table_scan_size=0"})
    insert_many(database)
    rows = json.loads((await serve(Settings(database_url=named)).fetch("/")).body)
    assert [row["id"] for row in rows] == list(range(1, MANY + 1))


async def test_an_empty_table_is_an_empty_array(service: Service) -> None:
    assert json.loads((await service.fetch("/")).body) == []


async def test_a_table_of_many_pages_arrives_whole_and_in_order(
    service: Service, database: sa.URL
) -> None:
    for rows in (PAGE - 1, 1, 1, 2 * PAGE):
        insert_many(database, rows)
        response = await service.fetch("/")
        ids = [row["id"] for row in json.loads(response.body)]
        assert ids == list(range(1, len(ids) + 1))
        assert len(ids) == execute(database, "SELECT count(*) FROM my_table")[0][0]


async def test_browsers_get_a_page_with_the_table_and_the_revision(
    service: Service, database: sa.URL
) -> None:
    insert(database, "<script>alert(1)</script>", "Ann & Bob")
    response = await service.fetch("/", BROWSER)
    page = response.body.decode()
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert "<td>1</td><td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in page
    assert "<td>2</td><td>Ann &amp; Bob</td>" in page
    assert "<script>" not in page
    head = execute(database, "SELECT version_num FROM alembic_version")[0][0]
    assert f"<code>{head}</code>" in page
    assert re.findall(r'<html lang="en">|<main>|<caption>|<h1>|<th scope="col"', page) == [
        '<html lang="en">', "<main>", "<h1>", "<caption>", '<th scope="col"', '<th scope="col"',
    ]  # fmt: skip
    assert 'href="/readyz"' in page


async def test_the_client_chooses_by_quality(service: Service) -> None:
    async def chosen(accept: str) -> str:
        response = await service.fetch("/", accept)
        return f"{response.code} {response.headers['Content-Type'].split(';')[0]}"

    assert await chosen("application/json") == "200 application/json"
    assert await chosen("application/*, text/html;q=0.1") == "200 application/json"
    assert await chosen("application/json;q=0.1, text/*") == "200 text/html"
    assert await chosen("nonsense") == "200 application/json"
    assert await chosen("image/png") == "406 application/problem+json"


async def test_an_unchanged_answer_is_not_sent_again(service: Service, database: sa.URL) -> None:
    insert(database, "Ann")
    tag = (await service.fetch("/")).headers["Etag"]
    headers = {"If-None-Match": tag}
    assert (await service.fetch("/", **headers)).code == 304
    insert(database, "Bob")
    assert (await service.fetch("/", **headers)).code == 200


async def test_head_has_the_headers_of_get_and_no_body(service: Service, database: sa.URL) -> None:
    insert(database, "Ann")
    get, head = await service.fetch("/"), await service.fetch("/", method="HEAD")
    for name in ("Content-Type", "Content-Length", "Etag", "Vary"):
        assert head.headers[name] == get.headers[name]
    assert (head.code, head.body) == (200, b"")


async def test_head_of_many_rows_reads_no_more_than_a_page(
    service: Service, database: sa.URL
) -> None:
    insert_many(database)
    head = await service.fetch("/", method="HEAD")
    assert (head.code, head.body) == (200, b"")
    assert "Content-Length" not in head.headers
    assert await open_streams(database) == 0


async def test_a_row_is_escaped_and_null_is_told_from_text() -> None:
    assert _table_rows('{"a": null, "b": "null", "c": true, "d": {"e": "<"}}') == (
        '<tr><td><span class="null">null</span></td><td>null</td><td>true</td>'
        "<td>{&quot;e&quot;:&quot;&lt;&quot;}</td></tr>"
    )


@given(st.text())
def test_no_text_breaks_out_of_its_cell(text: str) -> None:
    row = _table_rows(json.dumps({"name": text}))
    assert re.fullmatch(r"<tr><td>[^<>\"']*</td></tr>", row, re.DOTALL)


async def stalled_stream(
    service: Service, database: sa.URL
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that asked for many rows and does not read them: the stream stands still."""
    execute(database, "ALTER TABLE my_table ALTER name TYPE text")
    execute(
        database,
        "INSERT INTO my_table (name) SELECT repeat('x', 10000) FROM generate_series(1, 5000)",
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert await open_streams(database) == 1
    return reader, writer


async def test_a_client_that_hangs_up_frees_its_connection(
    serve: Callable[[Settings], Service], database: sa.URL
) -> None:
    service = serve(Settings(database_url=database, pool_size=1))
    _, writer = await stalled_stream(service, database)
    writer.transport.abort()

    async def freed() -> bool:
        return await open_streams(database) == 0

    await until(freed)
    assert (await service.fetch("/readyz")).code == 200  # through the only connection


async def test_a_client_that_hangs_up_ends_a_statement_that_waits(
    serve: Callable[[Settings], Service], database: sa.URL
) -> None:
    service = serve(Settings(database_url=database, pool_size=1))
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as locking:
        locking.execute(sa.text("LOCK TABLE my_table"))
        _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")

        async def waiting() -> bool:
            return await open_streams(database) == 1

        await until(waiting)
        writer.transport.abort()

        async def freed() -> bool:
            return await open_streams(database) == 0

        await until(freed)


async def test_a_client_that_reads_too_slowly_is_cut_off(
    serve: Callable[[Settings], Service], database: sa.URL
) -> None:
    service = serve(Settings(database_url=database, pool_size=1, client_seconds=0.2))
    reader, writer = await stalled_stream(service, database)

    async def freed() -> bool:
        return await open_streams(database) == 0

    await until(freed)
    # Broken off, not ended: the client must see that rows are missing.
    try:
        rest = await reader.read()
    except ConnectionResetError:
        rest = b""
    assert not rest.endswith(b"0\r\n\r\n")
    writer.transport.abort()


async def test_others_are_answered_while_a_stream_stands_still(
    service: Service, database: sa.URL
) -> None:
    _, writer = await stalled_stream(service, database)
    assert (await service.fetch("/livez")).code == 200
    assert (await service.fetch("/readyz")).code == 200
    writer.transport.abort()


async def test_a_stream_that_fails_midway_is_broken_off(service: Service, database: sa.URL) -> None:
    reader, writer = await stalled_stream(service, database)
    execute(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'project' AND datname = current_database()",
    )
    received = b""
    try:
        while chunk := await reader.read(65536):
            received += chunk
    except ConnectionResetError:
        pass
    assert len(received) < 5000 * 10000
    assert not received.endswith(b"0\r\n\r\n")
    writer.transport.abort()
    assert (await service.fetch("/")).code == 200  # the pool replaced the dead connection
