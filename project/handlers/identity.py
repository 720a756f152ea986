"""Who sent a request: bearer tokens (RFC 6750), looked up by their hash."""

import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from project.api.access import NOBODY, Asker
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

LIVE = b"""
    SELECT token.token_hash, account.id::text, account.role::text, token.id::text,
        coalesce(token.last_used_at < now() - interval '1 minute', true)::text
    FROM access_token token JOIN account ON account.id = token.account_id
    WHERE token.token_hash = %s AND token.revoked_at IS NULL
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
    authorization: str | None, address: str, connections: Connections, failures: Failures
) -> Asker:
    """Find out who asks.

    Args:
        authorization: The header of that name.
        address: Where the request came from.
        connections: The database with the tokens.
        failures: What that address tried before.

    Raises:
        ProblemError: 401 when the token is not one that lives, 429 after too many of those.

    """
    if authorization is None:
        return NOBODY
    if seconds := failures.wait(address):
        headers = (("Retry-After", str(seconds)),)
        raise ProblemError(Problem(429, "Too many wrong tokens; wait a moment.", headers=headers))
    if asker := await recognise(authorization, connections):
        return asker
    failures.note(address)
    raise unauthorized("The token is unknown, expired or revoked.", error="invalid_token")


async def recognise(authorization: str, connections: Connections) -> Asker | None:
    """Return whose token a header shows, if it is one that lives."""
    scheme, _, token = authorization.partition(" ")
    digest = token_hash(token.strip())
    rows = await connections.run(LIVE, [digest]) if scheme.lower() == SCHEME.lower() else []
    for stored, account_id, role, token_id, stale in rows:
        # The index has compared already; this comparison takes as long for every wrong token.
        if hmac.compare_digest(bytes.fromhex((stored or b"").decode()[2:]), digest):
            if stale == b"true":
                await connections.run(USED, [int(token_id or 0)])
            return Asker(int(account_id or 0), Role((role or b"").decode()))
    return None


def unauthorized(detail: str, *, error: str | None = None) -> ProblemError:
    """Return a 401 that says how to sign in (RFC 6750, section 3)."""
    challenge = f'{SCHEME} realm="project"' + (f', error="{error}"' if error else "")
    return ProblemError(Problem(401, detail, headers=(("WWW-Authenticate", challenge),)))
