"""Answers kept for clients that ask again because they do not know whether they were heard."""

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from project.models.base import Base, Now


class IdempotencyKey(Base):
    """A request that was carried out, and what was answered."""

    __tablename__ = "idempotency_key"

    # No foreign key: 0 stands for whoever did not sign in, and the row is gone in a day.
    account_id: Mapped[int] = mapped_column(
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="The account that asked; 0 for whoever did not sign in.",
    )
    key: Mapped[str] = mapped_column(
        String(255), primary_key=True, comment="What the client called the request."
    )
    request_hash: Mapped[bytes] = mapped_column(
        LargeBinary, comment="SHA-256 of the request: a key stands for one request only."
    )
    row_key: Mapped[str | None] = mapped_column(
        Text, comment="Where the row is, if the request made one."
    )
    tag: Mapped[str | None] = mapped_column(
        Text, comment="The entity tag of that row when it was made."
    )
    body: Mapped[str] = mapped_column(Text, comment="The rows that were made, as JSON.")
    created_at: Mapped[Now] = mapped_column(comment="When the request was carried out.")

    __table_args__ = (
        CheckConstraint("octet_length(request_hash) = 32", name="request_hash_is_sha256"),
        Index("ix_idempotency_key_created_at", created_at),
        {"comment": "Requests that were carried out, for a day, so that none is repeated."},
    )
