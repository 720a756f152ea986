"""create account

Revision ID: 305e22990811
Revises: aa069a96a0c0
Create Date: 2026-11-23 00:38:01.486759+00:00

A migration is frozen history: it imports sqlalchemy and alembic only, never project, whose
models will have moved on. downgrade() undoes upgrade() and leaves nothing behind (types,
sequences, functions); what cannot be undone raises with a sentence that says why.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "305e22990811"
down_revision: str | Sequence[str] | None = "aa069a96a0c0"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the account.",
        ),
        sa.Column(
            "email",
            sa.Unicode(length=255),
            nullable=False,
            comment="E-mail address, in lower case; unique regardless of case.",
        ),
        sa.Column(
            "role",
            sa.Enum("reader", "editor", "admin", name="account_role"),
            nullable=False,
            comment="What the account may do.",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the account was made.",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the account was last changed.",
        ),
        sa.Column(
            "version",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="Counts the changes, so that none is overwritten unseen.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        comment="People and programs that may sign in.",
    )
    op.create_index("ix_account_email", "account", [sa.literal_column("lower(email)")], unique=True)


def downgrade() -> None:
    op.drop_index("ix_account_email", table_name="account")
    op.drop_table("account")
    op.execute("DROP TYPE account_role")  # made with the table, but not dropped with it
