"""Bearer tokens by which accounts sign in."""

import hashlib
import secrets

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from project.models.account import Account
from project.models.base import Base, Key, Moment, Now
from project.models.resource import Resource
from project.models.role import Role

#: What every token begins with, so that people and secret scanners know one when they see it.
PREFIX = "project_"


class AccessToken(Base):
    """A token of an account; the token itself is shown once, when it is made, and not stored."""

    __tablename__ = "access_token"
    __resource__ = Resource(
        read=Role.admin,
        write=Role.admin,
        hidden=("token_hash",),
        read_only=("created_at", "last_used_at"),
        embed=("account",),
    )

    id: Mapped[Key] = mapped_column(comment="Number of the token.")
    account_id: Mapped[int] = mapped_column(
        ForeignKey(Account.id, ondelete="CASCADE"), comment="The account that signs in with it."
    )
    token_hash: Mapped[bytes] = mapped_column(
        LargeBinary, unique=True, comment="SHA-256 of the token."
    )
    label: Mapped[str] = mapped_column(String(100), comment="What its owner calls it.")
    created_at: Mapped[Now] = mapped_column(comment="When the token was made.")
    expires_at: Mapped[Moment | None] = mapped_column(
        comment="When the token ends; never, if null."
    )
    last_used_at: Mapped[Moment | None] = mapped_column(comment="When somebody last signed in.")
    revoked_at: Mapped[Moment | None] = mapped_column(
        comment="When the token was taken back; it is live while null."
    )

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash_is_sha256"),
        # Live means not revoked. That a token has expired cannot be part of an index: the
        # predicate would change with the clock.
        Index(
            "ix_access_token_account_id_live",
            account_id,
            postgresql_where=revoked_at.is_(None),
        ),
        {"comment": "Bearer tokens by which accounts sign in; only their hashes."},
    )


def new_token() -> str:
    """Return a token that nobody can guess: 256 bits from the system's source of randomness."""
    return PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """Return what is stored of a token.

    A plain SHA-256 will do: what cannot be guessed need not be made slow to try.
    """
    return hashlib.sha256(token.encode()).digest()
