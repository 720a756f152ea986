"""A sound history of many kinds of objects, and the models that it leads to.

Revision N is ``upgrade_N`` and ``downgrade_N``; ``tests/test_mutants.py`` breaks one thing at a
time.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData()

sa.Table(
    "customer",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(start=100), primary_key=True),
    sa.Column("mail", sa.String(80), nullable=False, comment="Where to write to."),
    sa.Column("level", sa.Enum("low", "high", "top", name="level"), server_default="low"),
    sa.Column("balance", sa.Numeric(10, 2), nullable=False, server_default="0"),
    sa.Column("doubled", sa.Numeric(11, 2), sa.Computed("balance * 2", persisted=True)),
    sa.Column("note", sa.Text),
    sa.CheckConstraint("balance >= -500", name="balance_is_fair"),
    sa.UniqueConstraint("mail", name="customer_mail_key", deferrable=True),
    sa.Index("customer_by_mail", sa.text("lower(mail)"), postgresql_where=sa.text("note IS NULL")),
    comment="Who buys.",
)
sa.Table(
    "purchase",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("during", postgresql.TSTZRANGE, nullable=False),
    sa.Column("code", sa.Integer, sa.Sequence("codes", start=10, increment=5, metadata=metadata)),
    sa.ForeignKeyConstraint(
        ["customer_id"], ["customer.id"], name="purchase_of_customer", ondelete="CASCADE"
    ),
    postgresql.ExcludeConstraint(("during", "&&"), name="one_at_a_time", using="gist"),
    sa.Index("purchase_by_customer", "customer_id", "id", unique=True),
    postgresql_with={"fillfactor": 70},
)
sa.Table("item", metadata, sa.Column("price", sa.Integer), schema="shop")

for declared in (
    "CREATE DOMAIN positive AS int DEFAULT 1 CONSTRAINT is_positive CHECK (VALUE > 0)",
    "CREATE VIEW rich AS SELECT id, mail FROM customer WHERE balance > 1000",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql STABLE AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER touched BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION touch()",
    "ALTER TABLE customer ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY fair ON customer FOR SELECT USING (balance > 7)",
    "CREATE STATISTICS alike (ndistinct) ON mail, note FROM customer",
):
    sa.event.listen(metadata, "after_create", sa.DDL(declared))  # type: ignore[no-untyped-call]


def upgrade_1() -> None:
    op.create_table(
        "client",
        sa.Column("id", sa.Integer, sa.Identity(start=100), primary_key=True),
        sa.Column("mail", sa.String(50), nullable=False),
        sa.UniqueConstraint("mail", deferrable=True),
    )


def downgrade_1() -> None:
    op.drop_table("client")


def upgrade_2() -> None:
    level = sa.Enum("low", "high", name="level")
    level.create(op.get_bind())
    op.add_column("client", sa.Column("level", level, server_default="low"))
    op.add_column("client", sa.Column("balance", sa.Integer, nullable=False, server_default="0"))
    op.create_check_constraint("balance_is_fair", "client", "balance >= -500")


def downgrade_2() -> None:
    op.drop_constraint("balance_is_fair", "client")
    op.drop_column("client", "balance")
    op.drop_column("client", "level")
    op.execute("DROP TYPE level")


def upgrade_3() -> None:
    op.rename_table("client", "customer")
    op.create_table_comment("customer", "Who buys.")


def downgrade_3() -> None:
    op.drop_table_comment("customer")
    op.rename_table("customer", "client")


def upgrade_4() -> None:
    op.alter_column("customer", "balance", type_=sa.Numeric(10, 2))
    op.alter_column("customer", "id", type_=sa.BigInteger)
    op.alter_column("customer", "mail", type_=sa.String(80), comment="Where to write to.")


def downgrade_4() -> None:
    op.alter_column("customer", "mail", type_=sa.String(50), comment=None)
    op.alter_column("customer", "id", type_=sa.Integer)
    op.drop_constraint("balance_is_fair", "customer")
    op.alter_column("customer", "balance", type_=sa.Integer)
    op.create_check_constraint("balance_is_fair", "customer", "balance >= -500")
    op.alter_column("customer", "balance", server_default="0")


def upgrade_5() -> None:
    op.add_column(
        "customer",
        sa.Column("doubled", sa.Numeric(11, 2), sa.Computed("balance * 2", persisted=True)),
    )
    op.add_column("customer", sa.Column("note", sa.String(10)))


def downgrade_5() -> None:
    op.drop_column("customer", "note")
    op.drop_column("customer", "doubled")


def upgrade_6() -> None:
    op.alter_column("customer", "note", type_=sa.Text)
    op.create_index(
        "customer_by_mail",
        "customer",
        [sa.text("lower(mail)")],
        postgresql_where=sa.text("note IS NULL"),
    )


def downgrade_6() -> None:
    op.drop_index("customer_by_mail", "customer")
    op.alter_column("customer", "note", type_=sa.String(10))


def upgrade_7() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("codes", start=10, increment=5)))
    op.create_table(
        "purchase",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("during", postgresql.TSTZRANGE, nullable=False),
        sa.Column("code", sa.Integer),
        postgresql_with={"fillfactor": 70},
    )


def downgrade_7() -> None:
    op.drop_table("purchase")
    op.execute("DROP SEQUENCE codes")


def upgrade_8() -> None:
    op.create_foreign_key(
        "purchase_of_customer", "purchase", "customer", ["customer_id"], ["id"], ondelete="CASCADE"
    )
    op.create_exclude_constraint("one_at_a_time", "purchase", ("during", "&&"), using="gist")
    op.create_index("purchase_by_customer", "purchase", ["customer_id", "id"], unique=True)


def downgrade_8() -> None:
    op.drop_index("purchase_by_customer", "purchase")
    op.drop_constraint("one_at_a_time", "purchase")
    op.drop_constraint("purchase_of_customer", "purchase")


def upgrade_9() -> None:
    op.execute("CREATE SCHEMA shop")
    op.create_table("item", sa.Column("price", sa.Integer), schema="shop")
    op.execute("CREATE DOMAIN positive AS int DEFAULT 1 CONSTRAINT is_positive CHECK (VALUE > 0)")


def downgrade_9() -> None:
    op.execute("DROP DOMAIN positive")
    op.drop_table("item", schema="shop")
    op.execute("DROP SCHEMA shop")


def upgrade_10() -> None:
    op.execute("CREATE VIEW rich AS SELECT id, mail FROM customer WHERE balance > 1000")


def downgrade_10() -> None:
    op.execute("DROP VIEW rich")


def upgrade_11() -> None:
    op.execute(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql STABLE AS 'BEGIN RETURN NEW; END'"
    )
    op.execute(
        "CREATE TRIGGER touched BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION touch()"
    )


def downgrade_11() -> None:
    op.execute("DROP TRIGGER touched ON customer")
    op.execute("DROP FUNCTION touch")


def upgrade_12() -> None:
    op.execute("ALTER TABLE customer ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY fair ON customer FOR SELECT USING (balance > 7)")
    op.execute("CREATE STATISTICS alike (ndistinct) ON mail, note FROM customer")


def downgrade_12() -> None:
    op.execute("DROP STATISTICS alike")
    op.execute("DROP POLICY fair ON customer")
    op.execute("ALTER TABLE customer DISABLE ROW LEVEL SECURITY")


def upgrade_13() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE level ADD VALUE 'top'")


def downgrade_13() -> None:
    op.execute("ALTER TABLE customer ALTER level DROP DEFAULT")
    op.execute("ALTER TYPE level RENAME TO former")
    op.execute("CREATE TYPE level AS ENUM ('low', 'high')")
    op.execute("ALTER TABLE customer ALTER level TYPE level USING level::text::level")
    op.execute("ALTER TABLE customer ALTER level SET DEFAULT 'low'")
    op.execute("DROP TYPE former")
