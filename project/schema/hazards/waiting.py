"""Time that passes under a strong lock, and is no work on any table.

It does not grow with a table, and is as long for whoever waits: a request to another service, a
sleep, a thousand statements where one would do.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from project.schema.finding import Finding
from project.schema.reviewing.observation import Lock, Observation, Statement

#: Milliseconds that pass with small tables for no reason that grows with them.
LONG = 400

#: So many statements of one line are a conversation.
MANY = 100

#: Statements that may wait for something else than a table: pg_sleep(), a function of any language.
ASKING = ("SELECT", "DO ", "CALL")


def findings(
    observation: Observation, blocking: Callable[[Statement], Mapping[str, Lock]]
) -> Iterator[Finding]:
    """Find such time.

    Args:
        observation: Of an upgrade.
        blocking: Tells the locks after a statement that make others wait, by table.

    """
    held: Mapping[str, Lock] = {}
    transaction: str | None = None
    sent: Counter[int] = Counter()
    for statement in observation.own:
        if statement.transaction != transaction:
            held, transaction = {}, statement.transaction
            sent.clear()
        if held:
            sent[statement.line] += 1
            yield from (_finding(held, what, statement) for what in _passing(statement, sent))
        held = blocking(statement)


def _passing(statement: Statement, sent: Mapping[int, int]) -> Iterator[str]:
    asks = statement.sql.lstrip()[:6].upper().startswith(ASKING)
    if statement.idle >= LONG:
        yield f"Python works for {statement.idle / 1000:.1f} s"
    if asks and not statement.work and statement.milliseconds >= LONG:
        yield f"this waits for {statement.milliseconds / 1000:.1f} s"
    if sent[statement.line] == MANY:
        yield f"line {statement.line} sends {MANY} statements and more"


def _finding(held: Mapping[str, Lock], what: str, statement: Statement) -> Finding:
    table, lock = next(iter(held.items()))
    return Finding(
        "lock-held-during-work",
        f"{table} is locked ({lock.name}) while {what}: {lock.who_waits} wait.",
        object=f"table {table}",
        found=f"{lock.name} on {table}",
        remedy="# do it before the lock is taken, or in a revision of its own",
        path=statement.file,
        line=statement.line,
    )
