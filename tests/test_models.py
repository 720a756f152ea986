"""What the models promise, the database keeps, whoever writes to it."""

import hashlib

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from project.models import AccessToken, Account, Action, AuditEntry, Base, MyTable, Role

from .conftest import execute


@pytest.fixture
def engine(database: sa.URL) -> sa.Engine:
    return sa.create_engine(database, poolclass=sa.NullPool)


def account(email: str = "ann@example.org") -> Account:
    return Account(email=email, role=Role.editor)


def test_an_email_is_unique_regardless_of_case(engine: sa.Engine, database: sa.URL) -> None:
    with Session(engine) as session:
        session.add(account("Ann@Example.org"))
        session.commit()
        found = session.scalars(sa.select(Account).where(Account.email == "ANN@example.ORG")).one()
        assert found.email == "ann@example.org"
        session.add(account("aNN@example.org"))
        with pytest.raises(IntegrityError):
            session.commit()
    with pytest.raises(IntegrityError):  # past the model, too
        execute(database, "INSERT INTO account (email, role) VALUES ('ANN@example.org', 'reader')")


def test_a_role_is_one_of_three(database: sa.URL) -> None:
    labels = execute(database, "SELECT unnest(enum_range(NULL::account_role))::text")
    assert [label for (label,) in labels] == [role.value for role in Role]
    with pytest.raises(DBAPIError):
        execute(database, "INSERT INTO account (email, role) VALUES ('a@b', 'owner')")


def test_a_change_that_was_overtaken_is_refused(engine: sa.Engine) -> None:
    with Session(engine) as session:
        session.add(account())
        session.commit()
    with Session(engine) as one, Session(engine) as other:
        mine, theirs = (
            one.scalars(sa.select(Account)).one(),
            other.scalars(sa.select(Account)).one(),
        )
        assert mine.version == 1
        theirs.role = Role.admin
        other.commit()
        assert theirs.version == 2
        mine.role = Role.reader
        with pytest.raises(StaleDataError):
            one.commit()


def test_moments_have_a_time_zone_and_changes_are_dated(engine: sa.Engine) -> None:
    with Session(engine) as session:
        changed = account()
        session.add(changed)
        session.commit()
        created = changed.created_at
        assert created.tzinfo is not None
        assert changed.updated_at == created
        changed.role = Role.admin
        session.commit()
        assert changed.created_at == created
        assert changed.updated_at > created


def test_a_token_is_a_hash_and_goes_with_its_account(engine: sa.Engine) -> None:
    with Session(engine) as session:
        owner = account()
        session.add(owner)
        session.flush()
        digest = hashlib.sha256(b"token").digest()
        session.add(AccessToken(account_id=owner.id, token_hash=digest, label="laptop"))
        session.commit()
        session.delete(owner)
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(AccessToken)) == 0


def test_a_token_itself_cannot_be_stored(engine: sa.Engine) -> None:
    with Session(engine) as session:
        owner = account()
        session.add(owner)
        session.flush()
        session.add(AccessToken(account_id=owner.id, token_hash=b"the token itself", label="oops"))
        with pytest.raises(IntegrityError, match="token_hash_is_sha256"):
            session.commit()


def test_live_tokens_have_an_index_of_their_own(database: sa.URL) -> None:
    execute(
        database,
        "INSERT INTO account (email, role) SELECT n || '@b', 'reader' FROM generate_series(1, 9) n",
        "INSERT INTO access_token (account_id, token_hash, label)"
        " SELECT id, sha256((id || ' ' || n)::bytea), 'x' FROM account, generate_series(1, 999) n",
        "ANALYZE access_token",
    )
    of_one = "EXPLAIN SELECT id FROM access_token WHERE account_id = 5 AND revoked_at IS NULL"
    assert "ix_access_token_account_id_live" in str(execute(database, of_one))


def entry(**values: object) -> AuditEntry:
    return AuditEntry(
        **{
            "action": Action.update,
            "table_name": "my_table",
            "row_key": {"id": 1},
            "before": {"name": "Ann"},
            "after": {"name": "Bob"},
            **values,
        }
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_entry SET table_name = 'x'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "UPDATE audit_entry SET table_name = table_name WHERE false",
    ],
)
def test_the_audit_is_append_only(engine: sa.Engine, database: sa.URL, change: str) -> None:
    with Session(engine) as session:
        session.add(entry())
        session.commit()
    with pytest.raises(DBAPIError) as raised:
        execute(database, change)
    assert isinstance(raised.value.orig, psycopg.errors.RestrictViolation)
    assert execute(database, "SELECT count(*) FROM audit_entry") == [(1,)]


@pytest.mark.parametrize(
    "values",
    [
        {"action": Action.insert},
        {"action": Action.delete},
        {"before": None},
        {"after": None},
    ],
)
def test_an_audit_entry_has_the_sides_of_its_action(
    engine: sa.Engine, values: dict[str, object]
) -> None:
    with Session(engine) as session:
        session.add(entry(**values))
        with pytest.raises(IntegrityError, match="sides_match_action"):
            session.commit()


def test_an_audit_entry_of_each_action(engine: sa.Engine) -> None:
    with Session(engine) as session:
        session.add_all(
            [
                entry(action=Action.insert, before=None),
                entry(),
                entry(action=Action.delete, after=None),
            ]
        )
        session.commit()
        entries = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [(e.before, e.after) for e in entries] == [
            (None, {"name": "Bob"}),
            ({"name": "Ann"}, {"name": "Bob"}),
            ({"name": "Ann"}, None),
        ]


def test_everything_is_commented_and_named_by_the_convention() -> None:
    names: set[str] = set()
    for table in Base.metadata.tables.values():
        assert table.comment, table.name
        for column in table.columns:
            assert column.comment, column
        parts = [str(part.name) for part in table.constraints]
        parts += [str(part.name) for part in table.indexes]
        assert "None" not in parts
        assert not names.intersection(parts)
        names.update(parts)
    assert MyTable.__tablename__ == "my_table"


def test_names_of_constraints_that_begin_alike_do_not_collide() -> None:
    metadata = sa.MetaData(naming_convention=Base.metadata.naming_convention)
    table = sa.Table(
        "pair",
        metadata,
        sa.Column("a", sa.Integer),
        sa.Column("b", sa.Integer),
        sa.Column("c", sa.Integer),
        sa.UniqueConstraint("a", "b"),
        sa.UniqueConstraint("a", "c"),
        sa.UniqueConstraint("a"),
    )
    names = sorted(str(part.name) for part in table.constraints)
    assert names == ["pk_pair", "uq_pair_a", "uq_pair_a_b", "uq_pair_a_c"]
