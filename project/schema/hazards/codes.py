"""The codes of a review: stable names, what each means, and why it matters."""

from dataclasses import dataclass
from typing import Literal

from project.schema.finding import Level

Axis = Literal["availability", "data", "compatibility", "failure", "policy"]


@dataclass(frozen=True)
class Code:
    """One kind of finding.

    An *error* was seen to happen; a *warning* depends on what production holds or the release still
    running does; a *note* is worth knowing and asks for nothing.
    """

    name: str
    axis: Axis
    level: Level
    title: str
    why: str


_ALL = (
    Code(
        "rewrite-under-access-exclusive",
        "availability",
        "error",
        "A table is written anew while nobody can read or write it.",
        "Every row and index is copied under ACCESS EXCLUSIVE: the time grows with the table.",
    ),
    Code(
        "scan-under-access-exclusive",
        "availability",
        "error",
        "A table is read from end to end while nobody can read or write it.",
        "What must hold for the rows there are is checked row by row, and queries wait.",
    ),
    Code(
        "scan-blocks-writes",
        "availability",
        "error",
        "A table is read from end to end while nobody can write it.",
        "INSERT, UPDATE and DELETE wait for a check whose time grows with the table.",
    ),
    Code(
        "index-blocks-writes",
        "availability",
        "error",
        "An index is built while nobody can write the table.",
        "CREATE INDEX and REINDEX hold SHARE; CONCURRENTLY takes longer and blocks nobody.",
    ),
    Code(
        "index-blocks-reads",
        "availability",
        "error",
        "An index is built while nobody can read or write the table.",
        "A constraint's index, and an index that a change of type rebuilds, come under"
        " ACCESS EXCLUSIVE.",
    ),
    Code(
        "lock-held-during-work",
        "availability",
        "error",
        "A lock of an earlier statement is still held while another one takes its time.",
        "Locks last to the end of the transaction, and by default Alembic runs all pending"
        " revisions in one.",
    ),
    Code(
        "rows-locked-in-bulk",
        "availability",
        "error",
        "A large part of a table's rows is changed in one transaction.",
        "Changed rows stay locked to the end, old versions are kept, and replicas fall behind.",
    ),
    Code(
        "work-out-of-sight",
        "availability",
        "error",
        "A statement worked on a table, failed, caught its own error and gave back its locks.",
        "What it locked is not seen any more. Where rows are read and something else than rows is"
        " changed, it is a change of the schema, and others wait.",
    ),
    Code(
        "strong-lock-without-timeout",
        "availability",
        "note",
        "A strong lock is asked for without a lock_timeout.",
        "It is held for an instant only, but behind one long transaction it waits, and behind it"
        " everybody else does.",
    ),
    Code(
        "reference-without-index",
        "availability",
        "note",
        "A foreign key has no index on the side that refers.",
        "To delete a row, or change its key, the whole table that refers to it is read.",
    ),
    Code(
        "table-lost",
        "data",
        "error",
        "A table and its rows are dropped.",
        "No downgrade brings rows back.",
    ),
    Code(
        "column-lost",
        "data",
        "error",
        "A column and its values are dropped.",
        "No downgrade brings values back.",
    ),
    Code(
        "rows-deleted",
        "data",
        "error",
        "Rows are deleted.",
        "No downgrade brings rows back.",
    ),
    Code(
        "cast-loses-data",
        "data",
        "error",
        "A change of type loses part of the values.",
        "What the new type cannot hold is cut or rounded without an error.",
    ),
    Code(
        "values-overwritten",
        "data",
        "note",
        "Values that were there are replaced by others.",
        "A downgrade cannot know what they were.",
    ),
    Code(
        "not-crash-safe",
        "data",
        "error",
        "A table's rows will not survive a crash.",
        "An UNLOGGED table is emptied when the server recovers, and replicas never have its rows.",
    ),
    Code(
        "old-release-breaks",
        "compatibility",
        "error",
        "A statement that the release still running sends fails.",
        "Between the migration and the end of the roll-out, old code works on the new schema.",
    ),
    Code(
        "old-release-loses-rows",
        "compatibility",
        "error",
        "Rows that the release still running reads are not there any more for it.",
        "Its queries succeed and return too little, which nobody notices.",
    ),
    Code(
        "old-release-may-break",
        "compatibility",
        "warning",
        "A statement that was legal before fails now.",
        "If the release still running writes such rows, it breaks.",
    ),
    Code(
        "old-release-reads-new-values",
        "compatibility",
        "warning",
        "Once the new release writes, the one still running reads what it does not know.",
        "An old SQLAlchemy raises LookupError for an unknown enum label, and old code may not"
        " expect a NULL.",
    ),
    Code(
        "prepared-statements",
        "compatibility",
        "note",
        "Statements that are prepared on open connections fail once.",
        'After a change of type PostgreSQL says "cached plan must not change result type".',
    ),
    Code(
        "fails",
        "failure",
        "error",
        "The migration fails, whatever the tables hold.",
        "It was executed, and PostgreSQL or Python refused.",
    ),
    Code(
        "fails-with-rows",
        "failure",
        "error",
        "The migration fails as soon as there is a row.",
        "It was executed on tables with rows.",
    ),
    Code(
        "may-fail-null",
        "failure",
        "warning",
        "It fails if a value is NULL.",
        "The column allowed NULL until now.",
    ),
    Code(
        "may-fail-duplicates",
        "failure",
        "warning",
        "It fails if two rows are alike.",
        "Nothing kept them apart until now.",
    ),
    Code(
        "may-fail-orphans",
        "failure",
        "warning",
        "It fails if a row refers to nothing.",
        "Nothing kept references whole until now.",
    ),
    Code(
        "may-fail-check",
        "failure",
        "warning",
        "It fails if a row does not satisfy the condition.",
        "Nothing kept such rows out until now.",
    ),
    Code(
        "may-fail-cast",
        "failure",
        "warning",
        "It fails if a value does not fit the new type.",
        "The old type allowed it.",
    ),
    Code(
        "may-fail-too-long",
        "failure",
        "note",
        "It fails if a value is too long for an index.",
        "An entry of a b-tree takes 2,704 bytes at most, and the column holds any length; later, to"
        " write such a value fails.",
    ),
    Code(
        "invalid-index",
        "failure",
        "error",
        "An index is left behind that is not valid.",
        "It costs every write and serves no read.",
    ),
)

#: Name → code.
CODES = {code.name: code for code in _ALL}
