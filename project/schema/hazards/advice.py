"""What to do about findings that no recipe of ``rewrites`` answers."""

from project.schema.autogenerate.step import executed
from project.schema.hazards.actions import actions
from project.schema.hazards.rewrites.catalogs import alone
from project.schema.hazards.rewrites.rows import PARAMETER
from project.schema.reviewing.observation import Statement

#: What keeps the wait for a strong lock short.
TIMEOUT = """\
op.execute("SET lock_timeout = '5s'")  # at the beginning of upgrade(), or in env.py:
# connect_args={"options": "-c lock_timeout=5s"}"""


def split(first: Statement, then: Statement) -> str:
    """Say how a lock is let go before another statement works."""
    if first.revision != then.revision:
        return (
            "# in env.py, so that each revision commits:\n"
            "context.configure(…, transaction_per_migration=True)"
        )
    why = f"# commits first, so that the lock of line {first.line} is gone:\n"
    if PARAMETER.search(then.sql):
        return why + alone(f"…  # line {then.line}")
    return why + alone(*(executed(action.sql) for action in actions(then.sql)))
