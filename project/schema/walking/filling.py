"""The rows that a revision is proved on."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from project.schema import rows
from project.schema.walking.walk import Walk

#: What a revision's text has in it that changes rows.
WRITES = re.compile(r"\b(?:update|insert|merge|session)\b|_update_", re.IGNORECASE)

#: What is written to, in SQL or in Python: ``SET a = …``, ``row.a = …``, ``{"a": …}``.
WRITTEN = re.compile(r"(\w+)[\"'\])]*\s*[=:]")

#: Where the next operation begins.
OPERATION = re.compile(r"\bop\.|\bbatch\w*\.|\bexecute\(")

#: What only makes rules for rows of a table that has none.
NEW_TABLE = re.compile(r"^(?!.*\balter\b).*create[ _]table", re.IGNORECASE | re.DOTALL)

#: What an upgrade does not run.
DOWNGRADE = re.compile(r"^def downgrade.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)

#: What a revision's text has in it that makes a new rule for rows.
RULES = re.compile(
    r"constraint|unique|check|references|foreign|set not null|\bnullable=False", re.IGNORECASE
)


def fill(walk: Walk, done: int) -> Mapping[tuple[str, str], str]:
    """Fill the tables, and the columns that came later than their rows.

    A column that a migration to come writes to, or makes a rule for, is left alone. It was added in
    one release to be filled and bound in the next, and until then it holds what is expected of it.

    Returns:
        The tables that no row could be made for, with the reason.

    """
    if not walk.rows_per_table:
        return {}
    refused = walk.fill(walk.rows())
    to_come = [_written_to(revision.path) for revision in walk.source.revisions[done:]]
    if rows.complete(
        walk.connection,
        walk.rows(),
        seed=walk.seed,
        values=walk.project.values,
        spare=lambda column: any(column in words for words in to_come),
    ):
        walk.holds = False
    return refused


@lru_cache(maxsize=4096)
def _written_to(path: Path) -> frozenset[str]:
    """Return words, among which are the columns that a revision writes to or makes rules for."""
    text = DOWNGRADE.sub("", path.read_text())
    operations = [each for each in OPERATION.split(text) if not NEW_TABLE.search(each)]
    ruling = " ".join(filter(RULES.search, operations))
    written = WRITTEN.findall(text) if WRITES.search(text) else ()
    return frozenset([*re.findall(r"\w+", ruling), *written])
