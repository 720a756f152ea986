"""Requests that nobody would send: is any answered 500, is any logged with a traceback, what grows?

    .venv/bin/python -m benchmarks.fuzz [requests] [seed]

Half of them are made of what the service knows, in places where it does not belong; the rest of
anything at all. Ends with 0 if all is as it should be.
"""

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psutil

from benchmarks import stage
from benchmarks.api import fill, make_token

CLIENTS = 16

#: Seconds to wait for an answer; a request whose length was broken never gets one.
PATIENCE = 5

TABLES = {
    "my_table": ("id", "name"),
    "account": ("id", "email", "role", "created_at", "version"),
    "access_token": ("id", "account_id", "label", "expires_at", "revoked_at", "token_hash"),
    "audit_entry": ("id", "happened_at", "action", "row_key", "before", "after"),
    "idempotency_key": ("key",),
    "nothing": ("x",),
}
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
