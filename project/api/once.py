"""Requests that are carried out once, whatever their clients send again."""

from typing import NamedTuple

from project.api.access import Asker
from project.api.statement import Fragment, Slot, Statement, format_sql, identifier, value
from project.models import IdempotencyKey

KEPT = identifier(IdempotencyKey.__tablename__)


class Once(NamedTuple):
    """A request that is carried out once, whatever its client sends again."""

    key: str
    request_hash: bytes


#: What a request is called, and what it asks.
CALLED, ASKED = Slot("called"), Slot("asked")


def filled(once: Once) -> dict[Slot, object]:
    """Return what :func:`kept` leaves open."""
    return {CALLED: once.key, ASKED: once.request_hash}


def kept(asker: Asker) -> list[Fragment]:
    """Keep what is answered; a key that is there already makes the whole statement fail.

    What was kept for a day is forgotten on the way, but for this key: a statement cannot delete
    a row and insert it again.
    """
    account, key = value(asker.account_id or 0, "bigint"), value(CALLED, "text")
    return [
        format_sql(
            "kept AS (INSERT INTO {} (account_id, key, request_hash, row_key, tag, body)"
            " SELECT {}, {}, {}, row_key, tag, body FROM shown)",
            *(KEPT, account, key, value(ASKED, "bytea")),
        ),
        format_sql(
            "forgotten AS (DELETE FROM {} WHERE created_at < now() - interval '1 day'"
            " AND (account_id, key) <> ({}, {}))",
            *(KEPT, account, key),
        ),
    ]


def answered(asker: Asker, once: Once) -> Statement:
    """Return the statement for what was answered to a request before, and its hash."""
    return format_sql(
        "SELECT encode(request_hash, 'hex'), body, row_key, tag FROM {}"
        " WHERE account_id = {} AND key = {}",
        *(KEPT, value(asker.account_id or 0, "bigint"), value(once.key, "text")),
    ).statement()
