"""What the audit says of a change: a step of the statement that makes it."""

import functools
from collections.abc import Sequence

import msgspec

from project.api.collection import Collection, View
from project.api.column import Column
from project.api.statement import Fragment, format_sql, identifier, join_sql, value
from project.models import Action, AuditEntry

#: What the audit says instead of a value that nobody may see.
MASK = "(hidden)"

AUDIT = identifier(AuditEntry.__tablename__)


@functools.lru_cache(maxsize=1024)
def audited(view: View, source: str, before: str | None, after: str | None) -> Fragment:
    """Note the change of each row: who, what, the key, and the row on both sides."""
    collection, row = view.collection, before or after or ""
    action = Action.insert if before is None else Action.update if after else Action.delete
    return format_sql(
        "audited AS (INSERT INTO {} (account_id, action, table_name, row_key, before, after)"
        " SELECT {}, '" + action.value + "', {}, {}, {}, {} " + source + ")",
        AUDIT,
        value(view.asker.account_id, "bigint"),
        value(collection.name, "text"),
        _key_object(collection.key, row),
        _masked(collection, before),
        _masked(collection, after),
    )


def _key_object(key: Sequence[Column], alias: str) -> Fragment:
    members = [
        format_sql("{}, {}", value(column.name, "text"), column.within(alias)) for column in key
    ]
    return format_sql("jsonb_build_object({})", join_sql(", ", members))


def _masked(collection: Collection, alias: str | None) -> Fragment:
    """Return a row as JSON, without what nobody may see."""
    if alias is None:
        return Fragment("NULL::jsonb")
    row = format_sql("to_jsonb({}.*)", identifier(alias))
    if not collection.hidden:
        return row
    masks = msgspec.json.encode(dict.fromkeys(collection.hidden, MASK)).decode()
    return format_sql("{} || {}", row, value(masks, "jsonb"))
