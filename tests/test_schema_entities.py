"""What a project declares beside its metadata is part of what it declares."""

from pathlib import Path

import sqlalchemy as sa

from project.schema.catalog import read
from project.schema.connections import connected

from .conftest import Databases
from .foreign import MODELS as TWO_SCHEMAS
from .foreign import project

#: A view of each library and of SQLAlchemy itself, and what has to be made in the right order.
MODELS = """
import sqlalchemy as sa
from alembic_utils.pg_extension import PGExtension
from alembic_utils.pg_function import PGFunction
from alembic_utils.pg_policy import PGPolicy
from alembic_utils.pg_trigger import PGTrigger
from alembic_utils.pg_view import PGView
from alembic_utils.replaceable_entity import register_entities
from sqlalchemy_declarative_extensions import (
    Function, Functions, Procedures, Roles, Schemas, Triggers, View, Views, declare_database,
)
from sqlalchemy_declarative_extensions.dialects.postgresql import Trigger
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)

sa.event.listen(Base.metadata, "after_create", sa.DDL("CREATE VIEW listened AS SELECT 1 AS one"))
sa.CreateView(sa.select(Account.id), "own_view", metadata=Base.metadata)

register_entities([
    # The view needs the function, which comes later.
    PGView("public", "utils_view", "SELECT public.one() AS one, id FROM public.account"),
    PGFunction("public", "one()", "RETURNS int LANGUAGE sql AS $$SELECT 1$$"),
    PGFunction("other", "touch()", "RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$"),
    PGTrigger("public", "touched", "BEFORE INSERT ON public.account FOR EACH ROW"
              " EXECUTE FUNCTION other.touch()", on_entity="public.account"),
    PGPolicy("public", "mine", "USING (id > 0)", on_entity="public.account"),
    PGExtension("pg_catalog", "plpgsql"),
])
declare_database(
    Base.metadata,
    schemas=Schemas().are("declared"),
    functions=Functions().are(
        Function("stamp", "BEGIN RETURN NEW; END", language="plpgsql", returns="trigger"),
    ),
    views=Views().are(View("declared_view", "SELECT id FROM account")),
    triggers=Triggers().are(
        Trigger.before("insert", on="account", execute="stamp").named("stamped").for_each_row(),
    ),
)
"""

DECLARED = {
    "schema other",
    "schema declared",
    "view public.own_view",
    "view public.listened",
    "view public.utils_view",
    "view public.declared_view",
    "function public.one()",
    "function other.touch()",
    "function public.stamp()",
    "trigger public.account.touched",
    "trigger public.account.stamped",
    "policy public.account.mine",
}


def test_what_is_declared_beside_the_metadata_is_made_with_it(
    tmp_path: Path, databases: Databases
) -> None:
    scratch: sa.URL = databases.make()
    with project(tmp_path, scratch) as foreign, connected(scratch) as connection:
        foreign.write("models.py", MODELS)
        foreign.open().create_all(scratch)
        made = {str(key) for key in read(connection).items}
    assert made >= DECLARED


def test_an_event_of_the_models_may_make_one_of_their_schemas(
    tmp_path: Path, databases: Databases
) -> None:
    scratch: sa.URL = databases.make()
    event = 'sa.event.listen(Base.metadata, "before_create", sa.schema.CreateSchema("shop"))\n'
    with project(tmp_path, scratch) as foreign, connected(scratch) as connection:
        foreign.write("models.py", TWO_SCHEMAS + event)
        foreign.open().create_all(scratch)
        made = {str(key) for key in read(connection).items}
    assert made >= {"schema shop", "schema types", "table shop.item"}
