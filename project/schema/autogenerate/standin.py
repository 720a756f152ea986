"""Values for rows whose own are lost, so that a downgrade can make a column NOT NULL again."""

import re
from collections.abc import Mapping

from project.schema.autogenerate.change import Change, RefusedError
from project.schema.autogenerate.definitions import parse, path, strings
from project.schema.autogenerate.text import dotted, quoted, shown, string
from project.schema.snapshot import Item, Key

#: By the beginning of the type's name.
VALUES: Mapping[str, str] = {
    "boolean": "false",
    "date": "CURRENT_DATE",
    "timestamp": "now()",
    "time": "CURRENT_TIME",
    "interval": "'0'",
    "uuid": "gen_random_uuid()",
    "json": "'{}'",
    "bytea": "''",
    "inet": "'0.0.0.0'",
    "cidr": "'0.0.0.0/0'",
    "macaddr8": "'00:00:00:00:00:00:00:00'",
    "macaddr": "'00:00:00:00:00:00'",
    "character varying": "''",
    "text": "''",
    "public.citext": "''",
    "public.hstore": "''",
    "tsvector": "''",
    "tsquery": "''",
    "money": "0",
}

#: Rows are numbered by their place where no two may be alike.
PLACE = "((ctid::text::point)[0] * 1000 + (ctid::text::point)[1])::bigint"


def stand_in(item: Item, change: Change) -> str:
    """Write a value for a column that fits its type, its foreign key and its uniqueness."""
    column = item.key.name[-1]
    unique = False
    for key, other in change.after.items.items():
        if key.kind == "constraint" and key.name[:2] == item.key.name[:2]:
            found = parse(other)
            if found is None or column not in found.columns:
                continue
            if found.kind == "foreign":
                if Key("table", found.referred) not in change.before.items:
                    raise RefusedError(
                        f"The rows of {shown(found.referred)} are gone, to which"
                        f" {shown(item.key.name)} refers."
                    )
                there = found.referred_columns[found.columns.index(column)]
                return f"(SELECT min({quoted(there)}) FROM {dotted(found.referred)})"
            unique = unique or (found.kind in {"unique", "primary"} and len(found.columns) == 1)
    return of_type(str(item.attributes["type"]), change, unique=unique)


def of_type(printed: str, change: Change, *, unique: bool = False) -> str:
    """Write a value of a type."""
    if printed.endswith("[]") or "range" in printed:
        return "'{}'" if "range" not in printed or "multirange" in printed else "'empty'"
    name = path(printed)
    if Key("enum", name) in change.after.items:
        return string(strings(change.after.items[Key("enum", name)].attributes["values"])[0])
    domain = change.after.items.get(Key("domain", name))
    if domain is not None:
        return of_type(str(domain.attributes["type"]), change, unique=unique)
    if re.match(r"smallint|integer|bigint|numeric|real|double", printed):
        return PLACE if unique else "0"
    if found := re.match(r"bit(?: varying)?(?:\((\d+)\))?", printed):
        return f"B'{'0' * int(found[1] or 1)}'"
    if found := re.match(r"character\((\d+)\)", printed):
        return "''"
    if unique and re.match(r"character varying|text|public.citext", printed):
        return f"{PLACE}::text"
    return next((v for name, v in VALUES.items() if printed.startswith(name)), "DEFAULT")
