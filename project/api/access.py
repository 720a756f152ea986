"""Who asks, and whether they may."""

from typing import NamedTuple

from project.models import Audience, Role

ROLES = list(Role)


class Asker(NamedTuple):
    """Whoever sent the request; both are None for somebody who did not sign in."""

    account_id: int | None = None
    role: Role | None = None

    def among(self, audience: Role | Audience) -> bool:
        """Say whether the asker is one of those."""
        if isinstance(audience, Audience):
            return audience is Audience.anyone
        return self.role is not None and ROLES.index(self.role) >= ROLES.index(audience)


NOBODY = Asker()
