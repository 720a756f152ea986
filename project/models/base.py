"""What all models share: names of constraints, and a small vocabulary of columns."""

from datetime import datetime
from typing import Annotated, ClassVar

from sqlalchemy import BigInteger, DateTime, Identity, MetaData, func
from sqlalchemy.orm import DeclarativeBase, mapped_column

from project.models.resource import Resource


class Base(DeclarativeBase):
    """The base of every model; its metadata is what Alembic compares the database with."""

    #: How the model is served over HTTP; it is not, unless the model itself says so.
    __resource__: ClassVar[Resource | None] = None

    # Every constraint has a name that a migration can say. `column_0_N_name` joins the names of
    # all columns: with `column_0_name`, two constraints that begin alike would share a name.
    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


#: A surrogate key that only the database gives out.
Key = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]

#: A point in time, with its time zone.
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]

#: The point in time at which the row was inserted, by the database's clock.
Now = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
