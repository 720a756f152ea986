"""Binds the models to a connection: the only place where the two meet."""

import logging
from contextlib import nullcontext

from alembic import context
from alembic.util import CommandError

from project import database, models, settings
from project.schema import autogenerate, patience


def moves_the_database() -> bool:
    """Tell upgrade, downgrade and stamp, which have a destination, from commands that only look."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def run() -> None:
    limits = settings.load()
    given = context.config.attributes.get("connection") or autogenerate.connection()
    if given is not None or context.is_offline_mode():
        connecting = nullcontext(given)
    else:
        connecting = database.migrating(limits, exclusive=moves_the_database())
    with connecting as connection:
        context.configure(
            connection=connection,
            dialect_name="postgresql",
            literal_binds=context.is_offline_mode(),
            target_metadata=models.Base.metadata,
            transaction_per_migration=True,
        )
        patience.run_migrations(
            lock_seconds=limits.migration_lock_seconds, tries=limits.migration_tries
        )


logging.basicConfig(format="%(message)s")
logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
logging.getLogger("alembic.util.messaging").setLevel(logging.CRITICAL)  # it prints what it logs
autogenerate.install()
try:
    run()
except (settings.SettingsError, database.DatabaseError) as error:
    raise CommandError(str(error)) from error
