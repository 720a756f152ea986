"""People and programs that may sign in, and what they may do."""

from sqlalchemy import Enum, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy_utils import EmailType

from project.models.base import Base, Key, Now
from project.models.resource import Resource
from project.models.role import Role


class Account(Base):
    """Somebody who may sign in."""

    __tablename__ = "account"
    __resource__ = Resource(
        read=Role.admin, write=Role.admin, read_only=("created_at",), embed=("access_token",)
    )

    id: Mapped[Key] = mapped_column(comment="Number of the account.")
    email: Mapped[str] = mapped_column(
        EmailType, comment="E-mail address, in lower case; unique regardless of case."
    )
    role: Mapped[Role] = mapped_column(
        Enum(Role, name="account_role"), comment="What the account may do."
    )
    created_at: Mapped[Now] = mapped_column(comment="When the account was made.")
    updated_at: Mapped[Now] = mapped_column(
        onupdate=func.now(), comment="When the account was last changed."
    )
    version: Mapped[int] = mapped_column(
        server_default=text("1"), comment="Counts the changes, so that none is overwritten unseen."
    )

    # The version is a column of ours and not PostgreSQL's xmin: psycopg sends an integer, xid
    # compares with none.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    # EmailType writes lower case, but a row may come from psql or COPY, too: the index decides.
    __table_args__ = (
        Index("ix_account_email", func.lower(email), unique=True),
        {"comment": "People and programs that may sign in."},
    )
