"""Who sent a request: bearer tokens (RFC 6750), looked up by their hash."""

import asyncio
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from project.api.access import NOBODY, Asker
from project.connection import Rows
from project.handlers.problems import Problem, ProblemError
from project.models import Role
from project.models.access_token import token_hash
from project.pool import Connections

SCHEME = "Bearer"

#: Wrong tokens that one address may show in a minute; then it has to wait.
PATIENCE = 20

#: Seconds after which a wrong token is forgotten.
MINUTE = 60.0

#: Addresses that are remembered; a flood from more of them forgets the oldest.
ADDRESSES = 10_000

# The array is hidden from the planner in a query of its own: seeing how many tokens there are, it
# would plan the statement anew each time, which takes four times as long as to run it.
LIVE = b"""
    SELECT token.token_hash, account.id::text, account.role::text, token.id::text,
        coalesce(token.last_used_at < now() - interval '1 minute', true)::text,
        extract(epoch FROM token.expires_at - now())::text
    FROM access_token token JOIN account ON account.id = token.account_id
    WHERE token.token_hash = ANY ((SELECT %s::bytea[])::bytea[]) AND token.revoked_at IS NULL
        AND (token.expires_at IS NULL OR token.expires_at > now())
"""

# Asked again in the statement, so that of many requests at once only one writes. A row that
# somebody else is changing is left alone: nobody should wait to be noted down.
USED = b"""
    UPDATE access_token SET last_used_at = now() WHERE id = (
        SELECT id FROM access_token
        WHERE id = %s AND (last_used_at < now() - interval '1 minute' OR last_used_at IS NULL)
        FOR UPDATE SKIP LOCKED
    )
"""


class Live(NamedTuple):
    """A token that lives: whose it is, and whether its use should be noted down.

    Attributes:
        seconds: How long it lives yet; None if it has no end.

    """

    token_hash: bytes
    token_id: int
    asker: Asker
    stale: bool
    seconds: float | None


#: The hashes of tokens that are shown, and those who want to know whose they are.
Waiting = list[tuple[bytes, asyncio.Future[Live | None]]]


class Tokens:
    """Looks tokens up in the database, those of all requests that wait in one statement.

    Each is looked up after its request came, so that one that was revoked is dead at once. While
    an answer is on its way, more requests come, and are looked up together next: under load, a
    lookup of its own for each would cost as much as what they ask.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._waiting: Waiting = []
        self._asking: asyncio.Task[None] | None = None

    async def live(self, authorization: str) -> Live | None:
        """Return the token that a header shows, if it is one that lives."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != SCHEME.lower():
            return None
        digest = token_hash(token.strip())
        live = await self._look_up(digest)
        # The index has compared already; this comparison takes as long for every wrong token.
        if live is None or not hmac.compare_digest(live.token_hash, digest):
            return None
        if live.stale:
            await self._connections.run(USED, [live.token_id])
        return live

    async def _look_up(self, digest: bytes) -> Live | None:
        answer: asyncio.Future[Live | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((digest, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await answer

    async def _ask(self) -> None:
        while self._waiting:
            together: Waiting = []
            try:
                async with self._connections.lend() as connection:
                    # Not before the statement can be sent: as many as have come by then.
                    together, self._waiting = self._waiting, []
                    hashes = list({digest for digest, _ in together})
                    found = _live(await connection.run(LIVE, [hashes]))
            except Exception as error:  # noqa: BLE001  (it is theirs who wait to handle)
                if not together:
                    together, self._waiting = self._waiting, []
                for _, answer in together:
                    if not answer.done():
                        answer.set_exception(error)
            else:
                for digest, answer in together:
                    if not answer.done():
                        answer.set_result(found.get(digest))


def _live(rows: Rows) -> dict[bytes, Live]:
    """Read what the statement answers: tokens that live, by their hash."""
    found = [
        Live(
            bytes.fromhex((stored or b"").decode()[2:]),
            int(token_id or 0),
            Asker(int(account_id or 0), Role((role or b"").decode())),
            stale == b"true",
            None if seconds is None else float(seconds),
        )
        for stored, account_id, role, token_id, stale, seconds in rows
    ]
    return {live.token_hash: live for live in found}


@dataclass
class Failures:
    """Wrong tokens of late, by the address that showed them: to slow those who guess.

    A token cannot be guessed; what this spares is the database. Kept in the process and bounded.
    """

    seen: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)

    def wait(self, address: str) -> int:
        """Return the seconds that an address has to wait; 0 for almost all."""
        began, count = self.seen.get(address, (0.0, 0))
        left = began + MINUTE - time.monotonic()
        return int(left) + 1 if count >= PATIENCE and left > 0 else 0

    def note(self, address: str) -> None:
        """Remember a wrong token."""
        began, count = self.seen.pop(address, (time.monotonic(), 0))
        if time.monotonic() - began > MINUTE:
            began, count = time.monotonic(), 0
        self.seen[address] = (began, count + 1)
        if len(self.seen) > ADDRESSES:
            self.seen.popitem(last=False)


async def identify(
    authorization: str | None, address: str, tokens: Tokens, failures: Failures
) -> Asker:
    """Find out who asks.

    Args:
        authorization: The header of that name.
        address: Where the request came from.
        tokens: Those in the database.
        failures: What that address tried before.

    Raises:
        ProblemError: 401 when the token is not one that lives, 429 after too many of those.

    """
    if authorization is None:
        return NOBODY
    if seconds := failures.wait(address):
        headers = (("Retry-After", str(seconds)),)
        raise ProblemError(Problem(429, "Too many wrong tokens; wait a moment.", headers=headers))
    if live := await tokens.live(authorization):
        return live.asker
    failures.note(address)
    raise unauthorized("The token is unknown, expired or revoked.", error="invalid_token")


def unauthorized(detail: str, *, error: str | None = None) -> ProblemError:
    """Return a 401 that says how to sign in (RFC 6750, section 3)."""
    challenge = f'{SCHEME} realm="project"' + (f', error="{error}"' if error else "")
    return ProblemError(Problem(401, detail, headers=(("WWW-Authenticate", challenge),)))
