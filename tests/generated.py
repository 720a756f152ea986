"""Random models, as hypothesis draws them."""

from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from .edits import CONVENTION

#: Types with a default that each may have.
TYPES: list[tuple[Any, str]] = [
    (sa.Integer(), "1"),
    (sa.BigInteger(), "2"),
    (sa.String(20), "'x'"),
    (sa.Text(), "'it''s 5%'"),
    (sa.Numeric(10, 2), "1.5"),
    (sa.Boolean(), "true"),
    (sa.DateTime(timezone=True), "now()"),
    (sa.Date(), "'2020-02-29'"),
    (sa.Uuid(), "gen_random_uuid()"),
    (postgresql.JSONB(), "'{}'"),
    (postgresql.ARRAY(sa.Integer()), "'{1}'"),
    (sa.Enum("a", "b", name="letters"), "'a'"),
]

Column = tuple[int, bool, bool]  # type, nullable, with its default


@st.composite
def models(draw: st.DrawFn) -> sa.MetaData:
    """Draw some tables; the same names in any two, so that nothing looks renamed."""
    metadata = sa.MetaData(naming_convention=CONVENTION)
    names = draw(st.lists(st.sampled_from(["one", "two", "three"]), unique=True, min_size=1))
    for name in sorted(names):
        table = sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True))
        for column in draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=4)):
            number, nullable, default = draw(
                st.tuples(st.integers(0, len(TYPES) - 1), st.booleans(), st.booleans())
            )
            type_, value = TYPES[number]
            table.append_column(
                sa.Column(
                    column,
                    type_,
                    nullable=nullable,
                    server_default=sa.text(value) if default else None,
                    comment=draw(st.sampled_from([None, "it's 100% :x"])),
                    info={"backfill": value, "renamed_from": None},
                )
            )
            kind = draw(st.sampled_from(["", "", "index", "unique", "check", "partial"]))
            if kind == "index" and number != JSONB:
                sa.Index(f"{name}_{column}", table.c[column])
            elif kind == "partial":
                where = sa.text(f"{column} IS NOT NULL")
                sa.Index(f"{name}_{column}", table.c.id, postgresql_where=where)
            elif kind == "unique" and nullable and not default:
                table.append_constraint(sa.UniqueConstraint(column))
            elif kind == "check":
                check = sa.CheckConstraint(f"{column} IS NOT NULL OR id > -9", name=column)
                table.append_constraint(check)
        if draw(st.booleans()):
            other = draw(st.sampled_from(sorted(names)))
            key = sa.ForeignKey(f"{other}.id", ondelete=draw(st.sampled_from([None, "CASCADE"])))
            table.append_column(sa.Column("other_id", sa.Integer, key, info={"renamed_from": None}))
    for table in metadata.tables.values():
        table.info["renamed_from"] = None
    return metadata


JSONB = 9
