"""Work under locks that are not seen any more: in a part of a statement that was undone.

A block or a function that catches its own error gives back what it locked since it began. What it
read and wrote was counted all the same, of a table that is not locked any more. Which lock it was,
nothing tells: it is inferred. Who changes the catalog and reads a table from end to end locks the
table; who only reads or writes rows makes nobody wait who does the same.
"""

import re
from collections.abc import Callable, Iterator

from project.schema.finding import Finding
from project.schema.reviewing.observation import Observation, Statement, Work

#: Statements that lock a table so that others wait.
STRONG = re.compile(
    r"\b(?:ALTER\s+(?:TABLE|DOMAIN)|CREATE\s+(?:UNIQUE\s+)?INDEX|LOCK|REINDEX|CLUSTER|REFRESH)\b",
    re.IGNORECASE,
)

#: A block that goes on after any error in it.
CATCHES = re.compile(r"\bEXCEPTION\s+WHEN\b(?!\s+duplicate_\w+\s+THEN)", re.IGNORECASE)

REMEDY = (
    "# ask the catalog first, and send what is to be done as a statement of its own, so that it is"
    " seen:\n"
    "# sa.inspect(op.get_bind()).get_columns(…), or IF NOT EXISTS"
)


def findings(observation: Observation, counts: Callable[[Work], bool]) -> Iterator[Finding]:
    """Find such work.

    Args:
        observation: Of an upgrade.
        counts: Tells whether work takes its time in production.

    """
    for statement in observation.own:
        named = STRONG.search(statement.sql) is not None
        undone = [work for work in statement.work if work.undone and work.table.is_table]
        read = [work for work in undone if work.kind == "scan"]
        if read and (named or statement.alters):
            if any(map(counts, read)):
                yield _finding(statement, read)
        elif named and not undone and CATCHES.search(statement.sql):
            yield Finding(
                "work-out-of-sight",
                "Errors are caught here: in production it may end otherwise than it did on these"
                " rows, and nobody is told.",
                level="note",
                object=f"revision {statement.revision}",
                found=statement.sql[:300],
                remedy=REMEDY,
                path=statement.file,
                line=statement.line,
            )


def _finding(statement: Statement, read: list[Work]) -> Finding:
    tables = " and ".join(dict.fromkeys(str(each.table) for each in read))
    return Finding(
        "work-out-of-sight",
        f"A part of this failed, was caught and undone. In it {tables} was read, under a lock that"
        " is not seen any more: while it is read, others wait.",
        object=f"table {read[0].table}",
        found=statement.sql[:300],
        remedy=REMEDY,
        path=statement.file,
        line=statement.line,
    )
