"""create my_table

Revision ID: aa069a96a0c0
Revises: nothing
Create Date: 2026-11-23 00:37:34.083636+00:00

A migration is frozen history: it imports sqlalchemy and alembic only, never project, whose
models will have moved on. downgrade() undoes upgrade() and leaves nothing behind (types,
sequences, functions); what cannot be undone raises with a sentence that says why.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "aa069a96a0c0"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "my_table",
        sa.Column("id", sa.Integer(), nullable=False, comment="Number of the row."),
        sa.Column("name", sa.String(length=50), nullable=False, comment="What the row is called."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_my_table")),
        comment="Rows with a name, shown at /.",
    )


def downgrade() -> None:
    op.drop_table("my_table")
