"""A small foreign Alembic project, and changes of its models, for `benchmarks.traffic`."""

from dataclasses import dataclass

#: The models before; `account` has the rows and the requests.
MODELS = """
from sqlalchemy import *

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

region = Table("region", metadata, Column("id", Integer, primary_key=True))

account = Table(
    "account",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("email", String(50), nullable=False),
    Column("name", String(50), nullable=False),
    Column("note", String(50)),
    Column("unused", String(50)),
    Column("balance", Integer, nullable=False),
    Column("region_id", Integer, nullable=False),
    Column("status", Enum("open", "closed", name="status"), nullable=False),
)

visit = Table(
    "visit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", Integer, ForeignKey("account.id"), nullable=False),
)
"""

FILL = """
INSERT INTO account (email, name, note, unused, balance, region_id, status)
SELECT
    'somebody' || n || '@example.com', 'Somebody ' || n, 'note ' || n, 'unused',
    n % 1000, n % 1000 + 1, (ARRAY['open', 'closed'])[n % 2 + 1]::status
FROM generate_series(1, {rows}) AS n
"""

#: Rows that satisfy whatever the changes ask of them.
ROWS = (
    "INSERT INTO region SELECT generate_series(1, 1000)",
    FILL,
    "VACUUM (ANALYZE)",
)

#: Both ways of writing a migration share it, the patient runner too.
ENV = """
import os
import sqlalchemy as sa
from alembic import context
from models import metadata
from project.schema import autogenerate, patience

if os.environ["AUTOGENERATE"] == "ours":
    autogenerate.install()
engine = sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.NullPool)
with autogenerate.connection() or engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=True
    )
    patience.run_migrations()
"""

INI = "[alembic]\nscript_location = %(here)s/migrations\nprepend_sys_path = %(here)s\n"


@dataclass(frozen=True)
class Case:
    """A change of the models: texts and what takes their place.

    Attributes:
        without: Why no migration of it is safe; empty where there is a safe way.
        release: What the next release's statements have in place of the running one's.
        first: How many of our revisions come before that release takes over; the rest come after.

    """

    name: str
    edits: tuple[tuple[str, str], ...] = ()
    without: str = ""
    release: tuple[tuple[str, str], ...] = ()
    first: int = 1

    def after(self) -> str:
        """The models after it."""
        text = MODELS
        for old, new in self.edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text


LAST = '    Column("status", Enum("open", "closed", name="status"), nullable=False),\n'
INDEX = ('"name", String(50)', '"name", String(50), index=True')
FOREIGN_KEY = ('"region_id", Integer', '"region_id", Integer, ForeignKey("region.id")')
REQUIRED = ('"note", String(50)', '"note", String(50), nullable=False, info={"backfill": "\'\'"}')
VISIT = MODELS.partition("visit = ")[2]

REFERRING = """other = Table(
    "other", metadata, Column("id", Integer, ForeignKey("account.id"), primary_key=True)
)
"""


def added(line: str) -> tuple[str, str]:
    """One more column or constraint of the table."""
    return (LAST, f"{LAST}    {line},\n")


KEY = ('"id", Integer, Identity()', '"id", BigInteger, Identity(), info={"expand": True}')
RENAMED = 'info={"renamed_from": "%s", "expand": True}'

CHECK = added('CheckConstraint("balance >= 0", name="balance")')
CONSTANT = added('Column("more", Integer, nullable=False, server_default="1")')
VOLATILE = added('Column("more", Uuid, nullable=False, server_default=text("gen_random_uuid()"))')

CASES = (
    Case("nothing, for the noise"),
    Case("index", (INDEX,)),
    Case("unique", (('"email", String(50)', '"email", String(50), unique=True'),)),
    Case("foreign key", (FOREIGN_KEY,)),
    Case("check", (CHECK,)),
    Case("index, foreign key and check", (INDEX, FOREIGN_KEY, CHECK)),
    Case("SET NOT NULL", (REQUIRED,)),
    Case("new NOT NULL column, constant default", (CONSTANT,)),
    Case("new NOT NULL column, volatile default", (VOLATILE,)),
    Case("value of an enum", (('"open", "closed"', '"open", "closed", "late"'),)),
    Case("varchar(50) to varchar(100)", (('"name", String(50)', '"name", String(100)'),)),
    Case("new table that refers to it", (("visit = ", f"{REFERRING}\nvisit = "),)),
    Case("table dropped that refers to it", ((f"visit = {VISIT}", ""),)),
    Case("column dropped, unused", (('    Column("unused", String(50)),\n', ""),)),
    Case(
        "integer to bigint",
        (('"balance", Integer', '"balance", BigInteger'),),
        without="every row is written anew",
    ),
    Case(
        "integer to bigint, expanded",
        (('"balance", Integer', '"balance", BigInteger, info={"expand": True}'),),
    ),
    Case("key from integer to bigint, expanded", (KEY,)),
    Case(
        "column renamed",
        (('"name", String(50)', '"title", String(50), info={"renamed_from": "name"}'),),
        without="the running release uses the old name",
    ),
    Case(
        "column renamed, expanded",
        (('"name", String(50)', f'"title", String(50), {RENAMED % "name"}'),),
        release=(("name, ", "title, "),),
        first=2,
    ),
    Case(
        "table renamed, expanded",
        (
            ('    "account",\n', '    "customer",\n'),
            (LAST, f"{LAST}    {RENAMED % 'account'},\n"),
            ('ForeignKey("account.id")', 'ForeignKey("customer.id")'),
        ),
        release=(("account", "customer"),),
    ),
)
