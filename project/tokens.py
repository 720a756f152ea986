"""``python -m project.tokens``: make, list and revoke the tokens by which accounts sign in."""

import argparse
import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.orm import Session

from project import database, settings
from project.follower import CHANNEL
from project.models import AccessToken, Account, Action, AuditEntry, Role
from project.models.access_token import new_token, token_hash
from project.settings import Settings, SettingsError

#: Whose the token is that is made at the first start.
FIRST = "admin@localhost"


class TokenError(Exception):
    """What was asked for cannot be; the message says why and what to do."""


def make(session: Session, email: str, role: Role | None, label: str, days: int | None) -> str:
    """Make a token, and the account if there is none; return the token, which is not stored.

    Raises:
        TokenError: there is no such account, and no role to make one with; or it has another role.

    """
    account = session.scalar(sa.select(Account).where(Account.email == email))
    if account is None:
        if role is None:
            raise TokenError(f"There is no account {email}; say --role to make it.")
        account = Account(email=email, role=role)
        session.add(account)
        session.flush()
        _note(session, account)
    elif role not in {None, account.role}:
        raise TokenError(f"{email} is {account.role}, not {role}; leave --role out.")
    token = new_token()
    made = AccessToken(account_id=account.id, token_hash=token_hash(token), label=label)
    if days is not None:
        made.expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    session.add(made)
    session.flush()
    _note(session, made)
    return token


def revoke(session: Session, number: int) -> None:
    """Take a token back.

    Raises:
        TokenError: there is none of that number.

    """
    token = session.get(AccessToken, number)
    if token is None:
        raise TokenError(f"There is no token {number}; list shows them.")
    if token.revoked_at is None:
        before = _shown(session, token)
        token.revoked_at = dt.datetime.now(dt.UTC)
        session.flush()
        _note(session, token, before)


def lines(session: Session) -> list[str]:
    """Return a line for each token."""
    found = session.execute(
        sa.select(AccessToken, Account).join(Account).order_by(AccessToken.id)
    ).all()
    return [
        f"{token.id:4}  {account.email:30} {account.role:7} {_state(token):22} {token.label}"
        for token, account in found
    ]


def first(configured: Settings) -> str | None:
    """Make an administrator's token on a database that has no account; None if it has."""
    try:
        with _session(configured) as session:
            if session.scalar(sa.select(sa.func.count()).select_from(Account)):
                return None
            return make(session, FIRST, Role.admin, "made at the first start", None)
    except ProgrammingError:  # not migrated as this code is; /readyz says so
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command; return the exit code, 2 if it could not be."""
    asked = _parser().parse_args(arguments)
    try:
        with _session(settings.load()) as session:
            said = _carry_out(session, asked)
    except DBAPIError as error:
        print(f"The database does not fit: {str(error.orig).splitlines()[0]}.", file=sys.stderr)  # noqa: T201
        return 2
    except (SettingsError, database.DatabaseError, TokenError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    print(*said, sep="\n")  # noqa: T201
    return 0


@contextmanager
def _session(configured: Settings) -> Iterator[Session]:
    """Work on the database in one transaction."""
    with (
        database.migrating(configured, exclusive=False) as connection,
        Session(connection) as session,
        session.begin(),
    ):
        yield session


def _carry_out(session: Session, asked: argparse.Namespace) -> list[str]:
    match asked.command:
        case "make":
            role = Role(asked.role) if asked.role else None
            return [make(session, asked.email, role, asked.label, asked.days)]
        case "revoke":
            revoke(session, asked.number)
            return [f"Token {asked.number} is revoked."]
        case _:
            return lines(session)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/token", description="Tokens of accounts.")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("make", help="make a token and print it; it is shown this once")
    made.add_argument("email", help="whose it is")
    made.add_argument("--role", choices=list(Role), help="makes the account, if there is none")
    made.add_argument("--label", default="made by scripts/token", help="what its owner calls it")
    made.add_argument("--days", type=int, help="after which it ends; never, if left out")
    commands.add_parser("list", help="list all tokens; the tokens themselves are not known")
    revoked = commands.add_parser("revoke", help="take a token back")
    revoked.add_argument("number", type=int)
    return parser


def _state(token: AccessToken) -> str:
    if token.revoked_at is not None:
        return f"revoked {token.revoked_at:%Y-%m-%d}"
    if token.expires_at is None:
        return "live"
    ended = token.expires_at <= dt.datetime.now(dt.UTC)
    return f"{'ended' if ended else 'live until'} {token.expires_at:%Y-%m-%d}"


def _note(
    session: Session, row: Account | AccessToken, before: dict[str, Any] | None = None
) -> None:
    """Leave an entry in the audit, by nobody: whoever runs this has the database itself."""
    session.add(
        AuditEntry(
            action=Action.insert if before is None else Action.update,
            table_name=row.__tablename__,
            row_key={"id": row.id},
            before=before,
            after=_shown(session, row),
        )
    )
    session.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


def _shown(session: Session, row: Account | AccessToken) -> dict[str, Any]:
    """Return the row as the audit has it: as JSON of PostgreSQL's, and nothing hidden in it."""
    table = cast("sa.Table", row.__table__)
    found = sa.select(sa.func.to_jsonb(table.table_valued())).where(table.c.id == row.id)
    document: dict[str, Any] = session.scalars(found).one()
    hidden = row.__resource__.hidden
    return {name: value for name, value in document.items() if name not in hidden}


if __name__ == "__main__":
    sys.exit(main())
