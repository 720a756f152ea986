"""What was changed, when and by whom; written once and never changed."""

from enum import StrEnum
from typing import Any

from sqlalchemy import DDL, BigInteger, CheckConstraint, Enum, Index, String, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from project.models.base import Base, Key, Now
from project.models.resource import Resource
from project.models.role import Role


class Action(StrEnum):
    """What was done to a row."""

    insert = "insert"
    update = "update"
    delete = "delete"


class AuditEntry(Base):
    """One change of one row."""

    __tablename__ = "audit_entry"
    __resource__ = Resource(read=Role.admin)

    id: Mapped[Key] = mapped_column(comment="Number of the entry, in the order of writing.")
    happened_at: Mapped[Now] = mapped_column(comment="When the change was made.")
    # No foreign key: an entry outlives the account, and append-only forbids setting it to null.
    account_id: Mapped[int | None] = mapped_column(
        BigInteger, comment="The account that made the change; null for the service itself."
    )
    action: Mapped[Action] = mapped_column(
        Enum(Action, name="audit_action"), comment="What was done."
    )
    table_name: Mapped[str] = mapped_column(String(63), comment="The table of the changed row.")
    row_key: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment="Primary key of the changed row, by column."
    )
    before: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="The row before the change, by column."
    )
    after: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="The row after the change, by column."
    )

    __table_args__ = (
        CheckConstraint(
            "(before IS NULL) = (action = 'insert') AND (after IS NULL) = (action = 'delete')",
            name="sides_match_action",
        ),
        Index("ix_audit_entry_row", table_name, row_key),
        {"comment": "What was changed, when and by whom. Append-only."},
    )


# Append-only is the database's word, not the application's: whoever connects, and even TRUNCATE,
# is refused. The function belongs to the table and comes and goes with it.
for statement in (
    """
        CREATE FUNCTION audit_entry_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit_entry is append-only' USING ERRCODE = 'restrict_violation';
        END
        $$
    """,
    """
        CREATE TRIGGER audit_entry_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
        FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse_change()
    """,
):
    event.listen(AuditEntry.__table__, "after_create", DDL(statement))  # type: ignore[no-untyped-call]
event.listen(
    AuditEntry.__table__,
    "after_drop",
    DDL("DROP FUNCTION audit_entry_refuse_change()"),  # type: ignore[no-untyped-call]
)
