"""`GET /api/…`: filters, order, pages, rows within rows, exports; and whatever is asked wrongly."""

import csv
import io
import itertools
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tornado.httpclient import HTTPResponse

from project.api.access import Asker
from project.api.collection import Collections, DeclarationError, collections
from project.api.faults import FaultError
from project.api.query import read_parameters, read_query
from project.api.reading import page
from project.models import Base, Role
from project.settings import Settings

from .conftest import Service, execute, sign_in
from .shop import ShopBase

AUTHORS = """
    INSERT INTO author (name, email, born, tags, profile, salary, secret) VALUES
    ('Ann', 'ann@example.org', '1980-01-02', '{a,b}', '{"city": "Ulm", "n": 1}', 100, 's3cret'),
    ('Bob, Jr.', 'bob@example.org', NULL, '{b}', '{"city": "Bonn"}', 200, 's3cret'),
    ('Cid "the" Third', NULL, '1990-05-06', NULL, NULL, NULL, NULL)
"""
BOOKS = """
    INSERT INTO book (id, author_id, title, price, genre, printed)
    SELECT gen_random_uuid(), 1 + n % 2, 'Book ' || n, n + 0.10, 'novel', 1
    FROM generate_series(1, 5) n
"""


@pytest.fixture
def stocked(shop: Service, database: sa.URL) -> Service:
    execute(database, AUTHORS, BOOKS)
    return shop


async def read(service: Service, path: str, **headers: str) -> Any:  # noqa: ANN401
    response = await service.fetch(path, **headers)
    assert response.code == 200, response.body
    return json.loads(response.body)


async def names(service: Service, query: str) -> list[str]:
    return [row["name"][0] for row in await read(service, f"/api/author?{query}")]


async def test_a_model_that_says_nothing_is_not_served(shop: Service, service: Service) -> None:
    assert (await shop.fetch("/api/ledger")).code == 404
    assert (await service.fetch("/api/idempotency_key")).code == 404
    assert (await service.fetch("/api/my_table")).code == 200


#: What is asked, and the names of the rows that are answered.
FILTERS = [
    ("", "ABC"),
    ("id=eq.2", "B"),
    ("id=neq.2", "AC"),
    ("id=not.eq.2", "AC"),
    ("id=gt.1&id=lt.3", "B"),
    ("id=gte.2", "BC"),
    ("id=lte.1", "A"),
    ("id=in.(1,3)", "AC"),
    ("id=not.in.(1,3)", "B"),
    ("id=in.()", ""),
    ('name=in.("Bob, Jr.","Cid \\"the\\" Third")', "BC"),
    ("name=eq.Bob, Jr.", "B"),
    ("name=like.*Jr*", "B"),
    ("name=ilike.a*", "A"),
    ("name=like(any).{A*,B*}", "AB"),
    ("name=match.^[AC]", "AC"),
    ("name=imatch.ANN", "A"),
    ("id=eq(any).{1,2}", "AB"),
    ("id=gt(all).{1,2}", "C"),
    ("email=is.null", "C"),
    ("email=is.not_null", "AB"),
    ("email=not.is.null", "AB"),
    ("email=eq.ANN@Example.org", "A"),
    ("email=isdistinct.ann@example.org", "BC"),
    ("born=gte.1985-01-01", "C"),
    ("tags=cs.{b}", "AB"),
    ("tags=cd.{b,c}", "B"),
    ("tags=ov.{a,z}", "A"),
    ('profile=cs.{"city": "Ulm"}', "A"),
    ("profile->>city=eq.Bonn", "B"),
    ("profile->n=eq.1", "A"),
    ("name=fts.ann", "A"),
    ("name=plfts(english).third", "C"),
    ("or=(id.eq.1,name.like.C*)", "AC"),
    ("and=(id.gt.1,or(id.eq.1,id.eq.2))", "B"),
    ("not.or=(id.eq.1,id.eq.2)", "C"),
    ("or=(id.eq.1,not.and(id.gt.1,id.lt.3))", "AC"),
    ('or=(name.eq."Bob, Jr.",id.in.(3))', "BC"),
    ("order=id.desc", "CBA"),
    ("order=born", "ACB"),
    ("order=born.desc", "BCA"),
    ("order=born.asc.nullsfirst", "BAC"),
    ("order=email.desc.nullslast,id", "BAC"),
    ("order=id&limit=1&offset=1", "B"),
    ("limit=0", ""),
    ("order=profile->>city,id", "BAC"),
    ("order=profile->n.nullsfirst,id&limit=2", "BC"),
    ("order=profile->>city.desc.nullslast,id", "ABC"),
    ("select=name,book!inner(title)&book.price=gt.5", "B"),
    ("select=name,book!left(title)&book.price=gt.5", "ABC"),
    ("select=name,book!inner(author!inner(id))&book.author.name=like.A*", "A"),
]


async def test_what_is_within_a_document_is_shown_and_pages_are_sorted_by_it(
    stocked: Service,
) -> None:
    shown = "select=profile->>city,number:profile->n::text,profile->x->0"
    assert (await read(stocked, f"/api/author?{quote(shown, safe='=')}"))[:2] == [
        {"city": "Ulm", "number": "1", "x": None},
        {"city": "Bonn", "number": None, "x": None},
    ]
    for order in ("profile->>city", "profile->>city.desc", "profile->n.desc.nullslast"):
        path, found = f"/api/author?limit=1&order={quote(order)}", ""
        while path:
            response = await stocked.fetch(path)
            found += "".join(row["name"][0] for row in json.loads(response.body))
            path = response.headers.get("Link", "").partition("<")[2].partition(">")[0]
        assert found == "".join(await names(stocked, f"order={quote(order)}"))
    for query, why in {
        "select=name->>a": "name is no JSON, so nothing is at a path within it.",
        "order=name->a": "name is no JSON, so nothing is at a path within it.",
        "select=profile->>a->b": "goes on after ->>",
        "profile->>a->b=eq.1": "goes on after ->>",
        "select=profile->": "an arrow that leads nowhere.",
        "profile->>=eq.1": "an arrow that leads nowhere.",
        "select=" + ",".join(f"a{n}:id" for n in range(2000)): "more than 1000 values.",
        "select=" + 64 * "a" + ":id": "is longer than 63 bytes.",
    }.items():
        response = await stocked.fetch(f"/api/author?{quote(query, safe='=')}")
        assert response.code == 400
        assert why in json.loads(response.body)["errors"][0]["detail"]


@pytest.mark.parametrize("form", ["application/json", "text/csv", "application/x-ndjson"])
async def test_a_cast_that_the_rows_do_not_allow_is_the_client_s_mistake(
    stocked: Service, form: str
) -> None:
    response = await stocked.fetch("/api/author?select=name::integer", form)
    assert (response.code, json.loads(response.body)["type"]) == (400, "urn:project:problem:query")


async def test_one_row_comes_as_an_object_if_it_is_one(stocked: Service) -> None:
    one = "application/vnd.pgrst.object+json"
    response = await stocked.fetch("/api/author?id=eq.2&select=name", one)
    assert response.headers["Content-Type"].startswith(one)
    assert json.loads(response.body) == {"name": "Bob, Jr."}
    for query, met in (("id=gt.1", 2), ("id=eq.7", 0)):
        response = await stocked.fetch(f"/api/author?{query}", f"{one}, application/problem+json")
        assert response.code == 406
        assert json.loads(response.body)["detail"] == f"One row was asked for, and {met} met."
    # Whoever takes anything gets an array.
    assert await read(stocked, "/api/author?id=eq.2&select=id") == [{"id": 2}]


async def test_filters_and_order(stocked: Service) -> None:
    for query, expected in FILTERS:
        encoded = "&".join(
            f"{quote(name)}={quote(text)}"
            for name, _, text in (item.partition("=") for item in query.split("&") if item)
        )
        assert (query, "".join(await names(stocked, encoded))) == (query, expected)


#: What is asked wrongly, the parameter to blame, and a word of why.
WRONG = [
    ("nope=eq.1", "nope", "has no column 'nope'"),
    ("secret=eq.s3cret", "secret", "has no column 'secret'"),
    ("salary=gt.1", "salary", "has no column 'salary'"),
    ("id=1", "id", "operator.value"),
    ("id=eq", "id", "operator.value"),
    ("id=zz.1", "id", "no operator 'zz'"),
    ("id=like.1", "id", "does not suit"),
    ("name=cs.x", "name", "does not suit"),
    ("id=is.maybe", "id", "is unknown"),
    ("id=is.true", "id", "true and false"),
    ("id=eq.x", "id", "cannot be read as integer"),
    ("id=in.(1,x)", "id", "cannot be read as integer"),
    ("id=eq.99999999999", "id", "cannot be read as integer"),
    ("born=eq.2020-13-01", "born", "cannot be read as date"),
    ("name=match.(", "name", "cannot work with this value"),
    ("name=fts.a b", "name", "cannot work with this value"),
    ("name=fts(klingon).a", "name", "cannot be read as regconfig"),
    ("id=in.(1", "id", "round brackets"),
    ('id=in.("1)', "id", "not closed"),
    ("or=(id.eq.1", "or", "round brackets"),
    ("or=(id)", "or", "column.operator.value"),
    ("or=(id.eq.x)", "or", "cannot be read as integer"),
    ("or=" + "(or" * 12 + "(id.eq.1)" + ")" * 12, "or", "deep"),
    ("name->a=eq.1", "name->a", "is no JSON"),
    ("select=nope", "select", "has no column 'nope'"),
    ("select=secret", "select", "has no column 'secret'"),
    ("select=id::oid", "select", "cannot be shown as oid"),
    ("select=id,id", "select", "twice"),
    ("select=nope(id)", "select", "nothing to embed"),
    ("select=book(nope)", "book.select", "has no column 'nope'"),
    ("select=book(id", "select", "not closed"),
    ("book.title=eq.x", "book.title", "not embedded"),
    ("order=nope", "order", "has no column 'nope'"),
    ("order=id,id", "order", "twice"),
    ("limit=-1", "limit", "no whole number"),
    ("limit=x", "limit", "no whole number"),
    ("cursor=x", "cursor", "Link header"),
    ("cursor=WyIiLFtdXQ", "cursor", "another order"),
    ("name=eq.%00", "name", "NUL"),
    ("name%00=eq.1", "name", "NUL"),
]


async def test_what_is_asked_wrongly_is_named(stocked: Service) -> None:
    for query, parameter, said in WRONG:
        response = await stocked.fetch("/api/author?" + quote(query, safe="=&%().,:"))
        assert response.code == 400, query
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = json.loads(response.body)
        assert problem["type"] == "urn:project:problem:query"
        blamed = [error["parameter"] for error in problem["errors"]]
        assert (query, blamed) == (query, [parameter])
        assert said in problem["errors"][0]["detail"], query
        assert "SELECT" not in response.body.decode()


async def test_only_columns_that_may_be_are_filtered_by(stocked: Service) -> None:
    assert (await stocked.fetch("/api/book?printed=eq.1")).code == 400
    assert (await stocked.fetch("/api/book?order=printed")).code == 400
    assert len(await read(stocked, "/api/book?title=like.*&order=id")) == 5


async def test_columns_are_chosen_renamed_and_cast(stocked: Service) -> None:
    rows = await read(stocked, "/api/author?select=id::text,who:name&id=eq.1")
    assert rows == [{"id": "1", "who": "Ann"}]


async def test_hidden_columns_stay_hidden_and_restricted_ones_are_for_their_role(
    stocked: Service, database: sa.URL
) -> None:
    everybody = await read(stocked, "/api/author/1")
    assert not {"secret", "salary"} & set(everybody)
    editor = await read(stocked, "/api/author/1", **sign_in(database, Role.editor))
    assert "salary" not in editor
    admin = sign_in(database, Role.admin)
    assert (await read(stocked, "/api/author/1", **admin))["salary"] == 100
    assert await read(stocked, "/api/author?salary=eq.200&select=id", **admin) == [{"id": 2}]
    exported = await stocked.fetch("/api/author", "text/csv", **admin)
    assert b"salary" in exported.body
    assert b"s3cret" not in exported.body


async def test_rows_within_rows(stocked: Service) -> None:
    rows = await read(
        stocked,
        "/api/author?select=name,books:book(title,price,author(name))&id=lt.3"
        "&books.price=gt.1.5&books.order=price.desc&books.limit=2",
    )
    assert rows == [
        {
            "name": "Ann",
            "books": [
                {"title": "Book 4", "price": 4.10, "author": {"name": "Ann"}},
                {"title": "Book 2", "price": 2.10, "author": {"name": "Ann"}},
            ],
        },
        {
            "name": "Bob, Jr.",
            "books": [
                {"title": "Book 5", "price": 5.10, "author": {"name": "Bob, Jr."}},
                {"title": "Book 3", "price": 3.10, "author": {"name": "Bob, Jr."}},
            ],
        },
    ]
    assert await read(stocked, "/api/author/3?select=book(id)") == {"book": []}


async def test_a_row_within_a_row_needs_the_right_to_read_it(
    service: Service, database: sa.URL
) -> None:
    admin = sign_in(database, Role.admin)
    [row] = await read(service, "/api/access_token?select=label,account(role)", **admin)
    assert row == {"label": "test", "account": {"role": "admin"}}
    assert b"token_hash" not in (await service.fetch("/api/access_token", **admin)).body


async def pages(service: Service, path: str) -> list[list[Any]]:
    found = []
    while path:
        response = await service.fetch(path)
        assert response.code == 200, response.body
        found.append(json.loads(response.body))
        link = response.headers.get("Link", "")
        path = link.partition(">")[0].lstrip("<")
    return found


@pytest.mark.parametrize(
    "order",
    ["", "name", "name.desc", "born,name.desc", "born.desc.nullslast", "born.nullsfirst,id.desc"],
)
async def test_pages_have_every_row_once_in_order(
    stocked: Service, database: sa.URL, order: str
) -> None:
    execute(
        database,
        "INSERT INTO author (name, born) SELECT 'n' || n % 5,"
        " CASE WHEN n % 3 > 0 THEN date '2000-01-01' + n % 4 END FROM generate_series(1, 40) n",
    )
    found = await pages(stocked, f"/api/author?limit=7&select=id&order={order}")
    whole = await read(stocked, f"/api/author?limit=50&select=id&order={order}")
    assert [len(page) for page in found] == [7] * 6 + [1]
    assert list(itertools.chain(*found)) == whole


async def test_pages_do_not_move_when_rows_are_inserted(stocked: Service, database: sa.URL) -> None:
    response = await stocked.fetch("/api/author?order=name&limit=1&select=name")
    execute(database, "INSERT INTO author (name) VALUES ('Aaa')")
    [following, *_] = await pages(stocked, response.headers["Link"][1:].partition(">")[0])
    assert following == [{"name": "Bob, Jr."}]


async def test_a_page_has_a_size_and_a_largest_size(stocked: Service, database: sa.URL) -> None:
    execute(database, "INSERT INTO author (name) SELECT 'x' FROM generate_series(1, 100)")
    assert len(await read(stocked, "/api/author")) == 10
    assert len(await read(stocked, "/api/author?limit=1000")) == 50


async def test_rows_are_counted_on_request(stocked: Service, database: sa.URL) -> None:
    def told(response: HTTPResponse) -> tuple[str | None, str | None]:
        headers = response.headers
        return headers.get("Content-Range"), headers.get("Preference-Applied")

    exact = {"Prefer": "count=exact"}
    assert told(await stocked.fetch("/api/author")) == (None, None)
    assert told(await stocked.fetch("/api/author?limit=2", **exact)) == ("0-1/3", "count=exact")
    assert told(await stocked.fetch("/api/author?id=gt.9", **exact))[0] == "*/0"
    assert told(await stocked.fetch("/api/author?limit=2&offset=2", **exact))[0] == "2-2/3"
    execute(database, "ANALYZE author")
    estimated = await stocked.fetch("/api/author", Prefer="count=estimated")
    assert told(estimated) == ("0-2/3", "count=estimated")


async def test_a_row_at_its_key(stocked: Service, database: sa.URL) -> None:
    execute(database, "INSERT INTO stock VALUES ('a,b/c', 1, 7)")
    reader = sign_in(database, Role.reader)
    assert (await read(stocked, "/api/stock/a%2Cb%2Fc,1", **reader))["amount"] == 7
    for missing in ("a%2Cb%2Fc,2", "a", "a,1,2", "a,x", "%00,1", "a,99999999999"):
        assert (await stocked.fetch(f"/api/stock/{missing}", **reader)).code == 404, missing
    assert (await stocked.fetch("/api/author/%FF")).code in {400, 404}


async def test_an_unchanged_row_is_not_sent_again(stocked: Service, database: sa.URL) -> None:
    first = await stocked.fetch("/api/author/1")
    assert first.headers["Etag"] == '"1"'
    unchanged = await stocked.fetch("/api/author/1", **{"If-None-Match": '"1"'})
    assert (unchanged.code, unchanged.body) == (304, b"")
    execute(database, "UPDATE author SET version = 2 WHERE id = 1")
    assert (await stocked.fetch("/api/author/1", **{"If-None-Match": '"1"'})).code == 200
    # What shows no version, or more than the row, has a tag of what it shows.
    chosen = await stocked.fetch("/api/author/1?select=name,book(title)")
    execute(database, "UPDATE book SET title = title || '!'")
    again = await stocked.fetch("/api/author/1?select=name,book(title)")
    assert chosen.headers["Etag"] != again.headers["Etag"]


async def test_exports_have_every_row(stocked: Service, database: sa.URL) -> None:
    execute(
        database,
        "INSERT INTO author (name) SELECT repeat('x', 40) || n FROM generate_series(1, 5000) n",
    )
    lines = await stocked.fetch("/api/author?order=id", "application/x-ndjson")
    assert lines.headers["Content-Type"] == "application/x-ndjson; charset=UTF-8"
    rows = [json.loads(line) for line in lines.body.decode().splitlines()]
    assert [row["id"] for row in rows] == list(range(1, 5004))
    assert rows[1]["name"] == "Bob, Jr."
    table = await stocked.fetch("/api/author?select=id,name,tags&id=lte.3", "text/csv")
    assert list(csv.reader(io.StringIO(table.body.decode()))) == [
        ["id", "name", "tags"],
        ["1", "Ann", "{a,b}"],
        ["2", "Bob, Jr.", "{b}"],
        ["3", 'Cid "the" Third', ""],
    ]
    for form in ("application/x-ndjson", "text/csv"):
        refused = await stocked.fetch("/api/author?id=eq.x", form)
        assert (refused.code, b"SELECT" in refused.body) == (400, False)


async def test_an_export_may_take_longer_than_a_statement(
    serve: Callable[..., Service], database: sa.URL
) -> None:
    execute(database, "INSERT INTO my_table (name) SELECT n FROM generate_series(1, 20) n")
    # Each row takes its time, as it would where there are millions.
    execute(
        database,
        "ALTER TABLE my_table RENAME TO rows",
        "CREATE FUNCTION slowly(text) RETURNS text LANGUAGE sql VOLATILE"
        " AS $$ SELECT $1 FROM pg_sleep(0.02) $$",
        "CREATE VIEW my_table AS SELECT id, slowly(name) AS name FROM rows",
    )
    hurried = serve(Settings(database_url=database, statement_seconds=0.2))
    assert (await hurried.fetch("/api/my_table")).code == 503
    exported = await hurried.fetch("/api/my_table?order=id", "text/csv")
    assert len(exported.body.splitlines()) == 21
    # The limit is back where the connection is used next.
    assert (await hurried.fetch("/api/my_table")).code == 503


async def test_a_form_that_there_is_not(stocked: Service) -> None:
    assert (await stocked.fetch("/api/author", "image/png")).code == 406


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.none() | st.integers(-3, 3)), max_size=12),
    st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]),
    st.integers(-3, 3),
    st.booleans(),
)
@examples(max_examples=60)
def test_a_filter_means_what_it_means_in_python(
    scratch_server: sa.URL,
    rows: list[tuple[int, int | None]],
    operator: str,
    value: int,
    negated: bool,  # noqa: FBT001
) -> None:
    collection = collections(ShopBase)["stock"]
    text = f"{'not.' if negated else ''}{operator}.{value}"
    query = read_query(
        Collections(), collection, Asker(), [("amount", text), ("order", "amount,place")]
    )
    statement = page(Collections(), query, 100)
    engine = sa.create_engine(scratch_server, poolclass=sa.NullPool)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("CREATE TEMP TABLE stock (shelf text, place int, amount int)")
        for number, (_, amount) in enumerate(rows):
            raw.execute("INSERT INTO stock VALUES ('s', %s, %s)", (number, amount))
        [body, _, _] = raw.execute(statement.text, statement.values).fetchone()
    compare = {
        "eq": int.__eq__, "neq": int.__ne__, "gt": int.__gt__,
        "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__,
    }[operator]  # fmt: skip
    amounts = [amount for _, amount in rows if amount is not None]
    expected = sorted(amount for amount in amounts if compare(amount, value) is not negated)
    assert [row["amount"] for row in json.loads(f"[{body}]")] == expected


@given(
    st.sampled_from(
        ["select", "order", "or", "and", "not.or", "cursor", "limit", "name", "id", ""]
    ),
    st.text(max_size=40),
    st.text("(),.*\"':%={}\\\\ eqinsotrand", max_size=40),
)
def test_whatever_is_asked_is_read_or_refused(parameter: str, name: str, text: str) -> None:
    everything = collections(Base)
    asker = Asker(1, Role.admin)
    for given_name, given_text in ((parameter or name, f"eq.XYZZY{text}"), (parameter, text)):
        try:
            parameters = read_parameters(f"{quote(given_name)}={quote(given_text)}")
            query = read_query(everything, everything["account"], asker, parameters)
            statement = page(everything, query, 10)
        except FaultError as error:
            assert error.status == 400  # noqa: PT017
        else:
            assert b"XYZZY" not in statement.text


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"hidden": ("nope",)}, "names columns that thing lacks"),
        ({"hidden": ("id",)}, "are in the key of thing"),
        ({"embed": ("author",)}, "no foreign key connects them"),
        ({"page_size": 9, "largest_page": 3}, "between 1 and largest_page"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_at_start(
    declared: dict[str, Any], said: str
) -> None:
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column  # noqa: PLC0415

    from project.models import Resource  # noqa: PLC0415

    class Own(DeclarativeBase):
        pass

    class Thing(Own):
        __tablename__ = "thing"
        __resource__ = Resource(**declared)
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(DeclarationError, match=said):
        collections(Own)
