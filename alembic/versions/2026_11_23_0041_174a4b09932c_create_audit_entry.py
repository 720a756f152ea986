"""create audit_entry

Revision ID: 174a4b09932c
Revises: 8208dc0442f4
Create Date: 2026-11-23 00:41:36.395340+00:00

A migration is frozen history: it imports sqlalchemy and alembic only, never project, whose
models will have moved on. downgrade() undoes upgrade() and leaves nothing behind (types,
sequences, functions); what cannot be undone raises with a sentence that says why.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "174a4b09932c"
down_revision: str | Sequence[str] | None = "8208dc0442f4"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Number of the entry, in the order of writing.",
        ),
        sa.Column(
            "happened_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the change was made.",
        ),
        sa.Column(
            "account_id",
            sa.BigInteger(),
            nullable=True,
            comment="The account that made the change; null for the service itself.",
        ),
        sa.Column(
            "action",
            sa.Enum("insert", "update", "delete", name="audit_action"),
            nullable=False,
            comment="What was done.",
        ),
        sa.Column(
            "table_name",
            sa.String(length=63),
            nullable=False,
            comment="The table of the changed row.",
        ),
        sa.Column(
            "row_key",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Primary key of the changed row, by column.",
        ),
        sa.Column(
            "before",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The row before the change, by column.",
        ),
        sa.Column(
            "after",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The row after the change, by column.",
        ),
        sa.CheckConstraint(
            "(before IS NULL) = (action = 'insert') AND (after IS NULL) = (action = 'delete')",
            name=op.f("ck_audit_entry_sides_match_action"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        comment="What was changed, when and by whom. Append-only.",
    )
    op.create_index("ix_audit_entry_row", "audit_entry", ["table_name", "row_key"], unique=False)
    # Autogenerate does not see the triggers that a model declares beside its table.
    op.execute("""
        CREATE FUNCTION audit_entry_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit_entry is append-only' USING ERRCODE = 'restrict_violation';
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER audit_entry_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
        FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse_change()
    """)


def downgrade() -> None:
    op.drop_index("ix_audit_entry_row", table_name="audit_entry")
    op.drop_table("audit_entry")
    op.execute("DROP FUNCTION audit_entry_refuse_change()")
    op.execute("DROP TYPE audit_action")  # made with the table, but not dropped with it
