"""Rows with a name: the table that ``GET /`` shows."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from project.models.base import Base
from project.models.resource import Audience, Resource
from project.models.role import Role


class MyTable(Base):
    """A row with a name."""

    __tablename__ = "my_table"
    __resource__ = Resource(read=Audience.anyone, write=Role.editor)
    __table_args__ = ({"comment": "Rows with a name, shown at /."},)

    id: Mapped[int] = mapped_column(primary_key=True, comment="Number of the row.")
    name: Mapped[str] = mapped_column(String(50), comment="What the row is called.")
