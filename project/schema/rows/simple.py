"""Values of PostgreSQL's own types, type by type."""

import datetime as dt
import json
import string
import uuid
from collections.abc import Callable

#: Long enough to leave the page (TOAST) or to be cut by a type that became narrower, and short
#: enough for an index, whose rows end at 2704 bytes.
LONG = 1000

#: Beyond this a declared length is no length that anybody fills.
LONGEST = 10_000

#: Letters outside ASCII, of the basic plane and beyond it, composed and combining.
FOREIGN = "Ünï🐘e\u0301漢\u200d👩"

#: What has a meaning to SQL, to LIKE, to format strings, to COPY, to JSON and to lists.
QUOTED = "'\"%s\\n,$1;--"

EPOCH = dt.datetime(2000, 1, 1, 12, tzinfo=dt.UTC)


def document(value: object) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def _moment(step: dt.timedelta, form: str) -> Callable[[int], str]:
    return lambda number: (EPOCH + step * (number % 100_000)).strftime(form)


#: Types whose ordinary values grow with the number.
IN_ORDER = {
    *("int2", "int4", "int8", "numeric", "float4", "float8"),
    *("date", "timestamp", "timestamptz"),
}

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)

ORDINARY: dict[str, Callable[[int], str]] = {
    "bool": lambda number: str(number % 2 == 0).lower(),
    "int2": lambda number: str(number % 32767 + 1),
    "int4": lambda number: str(number + 1),
    "int8": lambda number: str(number + 1),
    "oid": lambda number: str(number + 1),
    "xid": lambda number: str(number + 3),
    "xid8": lambda number: str(number + 3),
    "cid": lambda number: str(number + 1),
    "tid": lambda number: f"({number},1)",
    "float4": lambda number: f"{number + 1}.5",
    "float8": lambda number: f"{number + 1}.1",  # which has more digits than a float4 keeps
    "money": lambda number: str(number + 1),
    "char": lambda number: string.ascii_letters[number % 52],
    "bytea": lambda number: f"\\x{number + 1:08x}",
    "date": _moment(DAY, "%Y-%m-%d"),
    "timestamp": _moment(HOUR, "%Y-%m-%d %H:%M:%S"),
    "timestamptz": _moment(HOUR, "%Y-%m-%d %H:%M:%S+00"),
    "time": lambda number: f"{number // 60 % 24:02}:{number % 60:02}:30",
    "timetz": lambda number: f"{number // 60 % 24:02}:{number % 60:02}:30+00",
    "interval": lambda number: f"{number + 1} days",
    "uuid": lambda number: str(uuid.UUID(int=number + 1, version=4)),
    "json": lambda number: document({"number": number + 1}),
    "jsonb": lambda number: document({"number": number + 1}),
    "jsonpath": lambda number: f"$.a[{number}]",
    "inet": lambda number: f"10.0.{number // 250 % 250}.{number % 250 + 1}",
    "cidr": lambda number: f"10.{number // 250 % 250}.{number % 250}.0/24",
    "macaddr": lambda number: f"02:00:00:00:{number // 256 % 256:02x}:{number % 256:02x}",
    "macaddr8": lambda number: f"02:00:00:00:00:00:{number // 256 % 256:02x}:{number % 256:02x}",
    "tsvector": lambda number: f"'word{number + 1}':1A",
    "tsquery": lambda number: f"'word{number + 1}'",
    "pg_lsn": lambda number: f"0/{number + 1:X}",
    "pg_snapshot": lambda number: f"{number + 1}:{number + 1}:",
    "txid_snapshot": lambda number: f"{number + 1}:{number + 1}:",
    "point": lambda number: f"({number},0.5)",
    "line": lambda number: f"{{1,-1,{number}}}",
    "lseg": lambda number: f"[({number},0),({number},1)]",
    "box": lambda number: f"({4 * number + 1},1),({4 * number},0)",
    "path": lambda number: f"[({number},0),({number},1)]",
    "polygon": lambda number: f"(({4 * number},0),({4 * number},1),({4 * number + 1},1))",
    "circle": lambda number: f"<({4 * number},0),1>",
    "int2vector": lambda number: f"{number % 32767} 1",
    "oidvector": lambda number: f"{number} 1",
    "regclass": lambda number: ("pg_class", "pg_type")[number % 2],
    "regcollation": lambda number: ('"C"', '"default"')[number % 2],
    "regconfig": lambda number: ("simple", "english")[number % 2],
    "regdictionary": lambda number: ("simple", "english_stem")[number % 2],
    "regnamespace": lambda number: ("pg_catalog", "information_schema")[number % 2],
    "regoper": lambda number: ("||/", "|/")[number % 2],
    "regoperator": lambda number: ("+(integer,integer)", "-(integer,integer)")[number % 2],
    "regproc": lambda number: ("now", "version")[number % 2],
    "regprocedure": lambda number: ("now()", "version()")[number % 2],
    "regrole": lambda number: ("pg_monitor", "pg_read_all_data")[number % 2],
    "regtype": lambda number: ("integer", "text")[number % 2],
}

#: Only what a migration written in Python can read: drivers refuse years before 1 or after 9999,
#: infinite dates, 24 o'clock, and a text that jsonb would not print as json has it is no loss.
EXTREMES: dict[str, list[str]] = {
    "bool": ["false", "true"],
    "int2": ["32767", "-32768", "0", "-1"],
    "int4": ["2147483647", "-2147483648", "0", "-1"],
    "int8": ["9223372036854775807", "-9223372036854775808", "0", "-1"],
    "oid": ["4294967295", "0"],
    "float4": ["3.4028235e38", "-3.4028235e38", "-0", "-1", "NaN"],
    "float8": ["1.7976931348623157e308", "-1.7976931348623157e308", "-0", "-1", "NaN"],
    "money": ["92233720368547758", "-92233720368547758", "0", "-1"],
    "char": ["", "~"],
    "bytea": ["\\x", "\\x00", "\\xff00", "\\x" + "5c" * LONG],
    "date": ["0001-01-01", "9999-12-31", "2000-02-29"],
    "timestamp": [
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59.999999",
        "2000-02-29 23:59:59.999999",
    ],
    "timestamptz": [
        "0001-01-02 00:00:00+00",
        "9999-12-30 23:59:59.999999+00",
        "2000-02-29 23:59:59.999999+14",
    ],
    "time": ["00:00:00", "23:59:59.999999"],
    "timetz": ["00:00:00+15", "23:59:59.999999+05:45"],
    "interval": ["0", "-1 day", "200000 days", "-200000 days", "1 mon -1 day 00:00:00.5"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "json": ["null", "[]", "{}", document({FOREIGN: [QUOTED, -1.5, None]}), '""'],
    "jsonb": ["null", "[]", "{}", document({FOREIGN: [QUOTED, -1.5, None]}), '""'],
    "inet": ["0.0.0.0/0", "255.255.255.255", "::1", "ffff::1/64"],
    "cidr": ["0.0.0.0/0", "255.255.255.255/32", "::/0"],
    "macaddr": ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"],
    "macaddr8": ["00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff"],
    "tsvector": ["", "'it''s':2 'two words':1,3B"],
    "tsquery": ["", "'a' & !'b' <-> 'c':*"],
    "point": ["(0,0)", "(1e300,-1e300)", "(NaN,Infinity)"],
    "path": ["((0,0))", "[(0,0)]"],
    "int2vector": ["", "1 2 3"],
    "oidvector": ["", "1 2 3"],
}  # fmt: skip
