"""Models of a shop, declared in all the ways that a resource can be: the API is tested on them.

They have a metadata of their own, so that no migration has to know of them.
"""

import datetime as dt
import uuid
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
import sqlalchemy_utils as su
from sqlalchemy import ForeignKey, String
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from project.models import Audience, Base, Resource, Role

NAMES = Base.metadata.naming_convention


class ShopBase(DeclarativeBase):
    metadata: ClassVar[sa.MetaData] = sa.MetaData(naming_convention=NAMES)
    __resource__: ClassVar[Resource | None] = None


class Genre(StrEnum):
    novel = "novel"
    essay = "essay"


class Author(ShopBase):
    __tablename__ = "author"
    __resource__ = Resource(
        read=Audience.anyone,
        write=Role.editor,
        hidden=("secret",),
        restricted={"salary": Role.admin},
        read_only=("created_at",),
        embed=("book",),
        page_size=10,
        largest_page=50,
    )

    id: Mapped[int] = mapped_column(sa.Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(String(50), comment="What the author is called.")
    email: Mapped[str | None] = mapped_column(su.EmailType)
    born: Mapped[dt.date | None]
    tags: Mapped[list[str] | None] = mapped_column(pg.ARRAY(sa.Text))
    profile: Mapped[dict[str, Any] | None] = mapped_column(pg.JSONB)
    salary: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2))
    secret: Mapped[str | None]
    created_at: Mapped[dt.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now()
    )
    version: Mapped[int] = mapped_column(server_default=sa.text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Book(ShopBase):
    __tablename__ = "book"
    __resource__ = Resource(
        read=Audience.anyone,
        write=Role.editor,
        embed=("author",),
        filterable=("title", "price", "author_id", "genre"),
    )
    __table_args__ = (sa.CheckConstraint("price > 0", name="price_is_positive"),)

    id: Mapped[uuid.UUID] = mapped_column(su.UUIDType, primary_key=True, default=uuid.uuid4)
    author_id: Mapped[int] = mapped_column(ForeignKey(Author.id))
    title: Mapped[str] = mapped_column(String(100), unique=True)
    price: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2))
    genre: Mapped[Genre | None] = mapped_column(sa.Enum(Genre, name="genre"))
    printed: Mapped[int] = mapped_column(sa.SmallInteger, default=7)
    updated_at: Mapped[dt.datetime | None] = mapped_column(
        sa.DateTime(timezone=True), onupdate=sa.func.now()
    )


class Stock(ShopBase):
    __tablename__ = "stock"
    __resource__ = Resource(read=Role.reader, write=Role.editor, match_required=True)

    shelf: Mapped[str] = mapped_column(String(20), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    amount: Mapped[int | None]


class Note(ShopBase):
    __tablename__ = "note"
    __resource__ = Resource(read=Role.reader, write=Role.reader, owner="account_id")

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    text: Mapped[str | None]


class Ledger(ShopBase):
    """Says nothing of itself, so it is not served."""

    __tablename__ = "ledger"

    id: Mapped[int] = mapped_column(primary_key=True)


class Color(Enum):
    red = 1
    blue = 2


class Shout(sa.types.TypeDecorator[str]):
    """A decorator that nobody has heard of: stored in small letters, meant in capitals."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.lower()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.upper()


class Decorated(ShopBase):
    __tablename__ = "decorated"
    __resource__ = Resource(read=Audience.anyone, write=Audience.anyone, embed=("parent",))

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("decorated.id"))
    email: Mapped[str | None] = mapped_column(su.EmailType)
    uuid: Mapped[Any | None] = mapped_column(su.UUIDType)
    digits: Mapped[Any | None] = mapped_column(su.UUIDType(binary=False, native=False))
    url: Mapped[Any | None] = mapped_column(su.URLType)
    address: Mapped[Any | None] = mapped_column(su.IPAddressType)
    document: Mapped[Any | None] = mapped_column(su.JSONType)
    numbers: Mapped[Any | None] = mapped_column(su.ScalarListType(int))
    color: Mapped[Any | None] = mapped_column(su.ChoiceType(Color, impl=sa.Integer()))
    size: Mapped[Any | None] = mapped_column(su.ChoiceType([("s", "small"), ("l", "large")]))
    zone: Mapped[Any | None] = mapped_column(su.TimezoneType(backend="zoneinfo"))
    words: Mapped[Any | None] = mapped_column(su.TSVectorType)
    shout: Mapped[str | None] = mapped_column(Shout)
    amount: Mapped[Decimal | None] = mapped_column(sa.Numeric)
    octets: Mapped[bytes | None]
    wait: Mapped[dt.timedelta | None]
    day: Mapped[dt.date | None]
    clock: Mapped[dt.time | None]
    local: Mapped[dt.datetime | None]
    moment: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    span: Mapped[Any | None] = mapped_column(pg.INT4RANGE)
    network: Mapped[Any | None] = mapped_column(pg.INET)
    spelled: Mapped[Any | None] = mapped_column(pg.JSON)

    parent: "Mapped[Decorated | None]" = sa.orm.relationship(remote_side=[id])  # noqa: A003


class Plain(ShopBase):
    """Types that PostgreSQL writes, or compares, otherwise than one would think."""

    __tablename__ = "plain"
    __resource__ = Resource(read=Audience.anyone, write=Audience.anyone)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str | None] = mapped_column(sa.CHAR(3))
    single: Mapped[float | None] = mapped_column(sa.REAL)
    short: Mapped[float | None] = mapped_column(sa.Float(10))
    zoned: Mapped[Any | None] = mapped_column(sa.Time(timezone=True))
    positive: Mapped[int | None] = mapped_column(
        pg.DOMAIN("positive", sa.Integer, check=sa.text("VALUE > 0"))
    )
    bits: Mapped[str | None] = mapped_column(pg.BIT(4))
    money: Mapped[Any | None] = mapped_column(pg.MONEY)
    numbers: Mapped[list[int] | None] = mapped_column(pg.ARRAY(sa.Integer))
    label: Mapped[str | None] = mapped_column('the label\'s "100 %"')
    pickled: Mapped[Any | None] = mapped_column(su.ScalarListType(int))
