"""create access_token

Revision ID: 8208dc0442f4
Revises: 305e22990811
Create Date: 2026-11-23 00:39:17.919689+00:00

A migration is frozen history: it imports sqlalchemy and alembic only, never project, whose
models will have moved on. downgrade() undoes upgrade() and leaves nothing behind (types,
sequences, functions); what cannot be undone raises with a sentence that says why.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "8208dc0442f4"
down_revision: str | Sequence[str] | None = "305e22990811"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "access_token",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the token.",
        ),
        sa.Column(
            "account_id",
            sa.BigInteger(),
            nullable=False,
            comment="The account that signs in with it.",
        ),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the token."),
        sa.Column(
            "label", sa.String(length=100), nullable=False, comment="What its owner calls it."
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the token was made.",
        ),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the token ends; never, if null.",
        ),
        sa.Column(
            "last_used_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When somebody last signed in.",
        ),
        sa.Column(
            "revoked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the token was taken back; it is live while null.",
        ),
        sa.CheckConstraint(
            "octet_length(token_hash) = 32", name=op.f("ck_access_token_token_hash_is_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_access_token_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_token_token_hash")),
        comment="Bearer tokens by which accounts sign in; only their hashes.",
    )
    op.create_index(
        "ix_access_token_account_id_live",
        "access_token",
        ["account_id"],
        unique=False,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_access_token_account_id_live",
        table_name="access_token",
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.drop_table("access_token")
