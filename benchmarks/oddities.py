"""Requests that nobody would send: what the service knows where it does not belong, or anything."""

import json
import random
from typing import Any
from urllib.parse import quote

TABLES = {
    "my_table": ("id", "name"),
    "account": ("id", "email", "role", "created_at", "version"),
    "access_token": ("id", "account_id", "label", "expires_at", "revoked_at", "token_hash"),
    "audit_entry": ("id", "happened_at", "action", "row_key", "before", "after"),
    "idempotency_key": ("key",),
    "nothing": ("x",),
}
OTHERS = ("/", "/livez", "/readyz", "/docs", "/openapi.json", "/schemas/my_table.json")
WEIGHTS = (40, 20, 20, 20, 1, 1)
COLUMNS = tuple(sorted({name for names in TABLES.values() for name in names}))

OPERATORS = (
    *("eq", "neq", "gt", "lte", "like", "ilike", "match", "imatch", "in", "is", "isdistinct"),
    *("fts", "plfts(english)", "cs", "cd", "ov", "sl", "adj", "eq(any)", "gt(all)", "not.eq", "xx"),
)
VALUES = (
    *("1", "-1", "0", "", "null", "true", "abc", "(1,2)", "{1,2}", "[1,5)", '{"a":1}', "*", "%"),
    *(
        "2026-01-01",
        "99999999999999999999",
        "1e400",
        "NaN",
        "infinity",
        "\x00",
        "'",
        '"',
        "((((",
        "\\",
    ),
    *(
        "(id.eq.1,or(name.is.null))",
        "not.and(a)",
        "\ud7ff",
        "𝄞",
        "a" * 300,
        "[" * 50,
        "->>",
        "id::text",
    ),
)
PARAMETERS = ("select", "order", "limit", "offset", "cursor", "and", "or", "not.and")
SELECTS = (
    "*",
    "id,name",
    "account(email)",
    "account!inner(email,access_token!left(id))",
    "access_token!inner(label)",
    "access_token!x(label)",
    "row_key->>id,before->a->0,n:after->>name::integer",
    "after->,after->>a->b",
    ",".join(f"x{number}:id" for number in range(1500)),
    "access_token(id,account(*))",
    "id::text",
    "a:id",
    "*,*",
)
BODIES: tuple[Any, ...] = (
    None,
    1,
    1.5,
    10**30,
    "x",
    "x" * 60,
    True,
    [],
    {},
    [1],
    {"a": {"b": [None]}},
    "\u0000",
)
TYPES = (
    *("application/json", "application/merge-patch+json", "text/csv", "application/x-ndjson"),
    *("text/plain", "multipart/form-data; boundary=x", "application/json; charset=utf-16", ""),
)
HEADERS = {
    "Accept": (
        *("*/*", "text/html", "text/csv", "application/x-ndjson", "image/png", ";;;", ""),
        "application/vnd.pgrst.object+json",
    ),
    "Prefer": (
        *("count=exact", "count=planned", "return=minimal", "return=representation", "=;,"),
        *("return=headers-only", "tx=rollback", "resolution=merge-duplicates", "handling=strict"),
    ),
    "Content-Encoding": ("gzip", "identity", ""),
    "If-Match": ("*", '"1"', 'W/"1"', "nonsense", '""'),
    "If-None-Match": ("*", '"1"', "nonsense"),
    "Idempotency-Key": ("a", "b", "x" * 300, "\xe4"),
    "X-Request-ID": ("x", "x y", "\xe4" * 10),
    "Cache-Control": ("no-cache", "max-age=0"),
    "Origin": ("https://example.org",),
    "Range": ("bytes=0-1",),
    "Expect": ("nonsense",),
    "Transfer-Encoding": ("nonsense",),
}
METHODS = (*["GET"] * 8, "HEAD", "OPTIONS", *["POST"] * 3, "PUT", "PATCH", "DELETE", "TRACE")


GIVEN = ("name", "email", "role", "label", "account_id", "id", "expires_at", "nothing")


class Fuzz:
    """Requests, the same ones for the same seed; a share of them is garbled, and no HTTP."""

    def __init__(self, seed: int, token: str, garbled: float = 0.02) -> None:
        self.garbled = garbled
        self.chance = random.Random(seed)
        self.token = token

    def request(self) -> bytes:
        chance = self.chance
        method = chance.choice(METHODS)
        body = self.body() if method not in {"GET", "HEAD", "OPTIONS"} else b""
        # From many addresses, for one that shows wrong tokens is not heard any more.
        address = f"10.0.{chance.randrange(256)}.{chance.randrange(256)}"
        headers = {"Host": "localhost", "X-Forwarded-For": address}
        if chance.random() < 0.85:
            headers["Authorization"] = f"Bearer {self.token}"
        elif chance.random() < 0.01:
            headers["Authorization"] = self.text()
        for name in chance.sample(list(HEADERS), chance.choice((0, 0, 1, 2))):
            headers[name] = chance.choice(HEADERS[name])
        if body:
            usual = chance.random() < 0.7
            headers["Content-Type"] = "application/json" if usual else chance.choice(TYPES)
        headers["Content-Length"] = str(len(body))
        lines = [f"{method} {self.path()} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
        made = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
        if chance.random() < self.garbled:
            place = chance.randrange(len(made))
            made = made[:place] + chance.randbytes(chance.randrange(1, 8)) + made[place:]
        return made

    def path(self) -> str:
        chance = self.chance
        if chance.random() < 0.05:
            return "/" + quote(self.text(), safe=chance.choice(("", "/?&=%")))
        if chance.random() < 0.05:
            return chance.choice(OTHERS)
        [table] = chance.choices(list(TABLES), WEIGHTS)
        path = f"/api/{table}"
        if chance.random() < 0.4:
            key = self.text() if chance.random() < 0.2 else str(chance.randrange(50))
            path += "/" + quote(key, safe=",")
        pairs = [self.parameter(table) for _ in range(chance.choice((0, 0, 1, 1, 2)))]
        query = "&".join(f"{quote(name)}={quote(text, safe='')}" for name, text in pairs)
        return f"{path}?{query}" if query else path

    def parameter(self, table: str) -> tuple[str, str]:
        """As a rule something that may be asked of the table, with a value of any kind."""
        chance = self.chance
        column = chance.choice(TABLES[table] if chance.random() < 0.9 else COLUMNS)
        condition = f"{chance.choice(OPERATORS)}.{chance.choice(VALUES)}"
        if chance.random() < 0.1:
            return chance.choice(PARAMETERS), self.text()
        match chance.randrange(6):
            case 0:
                within = f"{column}->{chance.choice(('a', '0', '>id', '', '>'))}"
                return "select", chance.choice((*SELECTS, column, f"x:{column}::text", within))
            case 1:
                way = chance.choice((".desc", ".asc.nullsfirst", "", "->a->>b", "->>id.desc"))
                return "order", column + way
            case 2:
                return chance.choice(("limit", "offset")), chance.choice(("0", "1", "7", "-1", "x"))
            case 3:
                return chance.choice(("and", "or")), f"({column}.{condition},{column}.not.is.null)"
            case _:
                return column, condition

    def text(self) -> str:
        if self.chance.random() < 0.5:
            return self.chance.choice(VALUES)
        return "".join(
            chr(self.chance.randrange(1, 0xD7FF)) for _ in range(self.chance.randrange(9))
        )

    def body(self) -> bytes:
        chance = self.chance
        if chance.random() < 0.1:
            return chance.randbytes(chance.randrange(200))
        rows = [
            {name: chance.choice(BODIES) for name in chance.sample(GIVEN, chance.randrange(4))}
            for _ in range(chance.choice((1, 1, 1, 2, 5)))
        ]
        if chance.random() < 0.3:
            rows = [{chance.choice(GIVEN): chance.choice(("x", "admin", "a@b.c", self.text()))}]
        made = json.dumps(rows if len(rows) > 1 or chance.random() < 0.2 else rows[0]).encode()
        return made[: chance.randrange(len(made))] if chance.random() < 0.05 else made
