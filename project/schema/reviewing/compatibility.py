"""Does the release that is still running break?

Its statements are executed before and after; what worked and now fails is a finding. *Breaks* is
what any release sends; *may break* is what it may send, for it was legal.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from project.schema.finding import Finding
from project.schema.hazards.codes import CODES
from project.schema.reviewing.probe import Probe, Relation
from project.schema.reviewing.probing import Outcome
from project.schema.snapshot import Item, Key, Snapshot

#: Classes of errors that speak of the value: another one would have passed.
OF_VALUES = ("22", "23")

#: The same of a column in a list, in a condition, and to the left of an assignment.
NO_COLUMN = re.compile(r'^column (?:\w+\.)*"?(\w+)"?(?: of relation "[^"]*")? does not exist$')

NOT_NULL, UNIQUE, BAD_TEXT, DENIED = "23502", "23505", "22P02", "42501"
OUT_OF_RANGE, CHECKED = "22003", "23514"


@dataclass(frozen=True)
class Change:
    """How a probe that worked before ends now."""

    probe: Probe
    before: Outcome
    after: Outcome
    partly: bool = False  # others of its kind still work on that table
    found: bool = False  # the row that it speaks of is there as before

    @property
    def swallowed(self) -> bool:
        """Whether it succeeds and writes nothing, as a rule or a trigger can have it."""
        wrote, writes = self.before.rows > 0, self.after.rows > 0
        if self.after.sqlstate or writes or not wrote:
            return False
        return self.probe.kind == "INSERT" or (
            self.probe.kind in ("UPDATE", "DELETE") and self.found
        )


def changes(
    asked: Sequence[Probe], before: Sequence[Outcome], after: Sequence[Outcome]
) -> list[Change]:
    """Return what worked before and ends differently now."""
    served = {
        (str(probe.relation), probe.kind)
        for probe, new in zip(asked, after, strict=True)
        if not new.sqlstate
    }
    looked = {
        (str(probe.relation), *probe.columns): old.rows == new.rows
        for probe, old, new in zip(asked, before, after, strict=True)
        if probe.kind == "WHERE" and not new.sqlstate
    }

    def found(relation: Relation) -> bool:
        """Whether the values of the key that writing goes by are found as before."""
        return bool(relation.key) and all(looked.get((str(relation), c)) for c in relation.key)

    return [
        Change(probe, old, new, (str(probe.relation), probe.kind) in served, found(probe.relation))
        for probe, old, new in zip(asked, before, after, strict=True)
        if not old.sqlstate and (new.sqlstate or new.rows < old.rows or _drifted(old, new))
    ]


def over(tables: set[str], before: Snapshot, after: Snapshot) -> set[str]:
    """Name the views that show rows of tables, as they did before: they show what is left."""
    found: set[str] = set()
    views = [item for item in before.of_kind("view") if item == after.items.get(item.key)]
    words = {
        item.key: set(re.findall(r"\w+", str(item.attributes["definition"]))) for item in views
    }
    while True:
        names = {name.rpartition(".")[2] for name in tables | found}
        more = {".".join(v.key.name).removeprefix("public.") for v in views if words[v.key] & names}
        if more <= found:
            return found
        found |= more


def _drifted(old: Outcome, new: Outcome) -> list[tuple[str, str]]:
    """Return what Python got and gets now, where that differs."""
    pairs = zip(old.kinds, new.kinds, strict=False)
    return [(one, other) for one, other in pairs if one and other and one != other]


def broken(
    found: Sequence[Change],
    before: Snapshot,
    after: Snapshot,
    lost: set[str],
    unused: set[str],
) -> Iterator[Finding]:
    """Tell what breaks and what may break, each table and cause once.

    Args:
        found: What ended differently.
        before: The catalog as the release knows it.
        after: The catalog as it is now.
        lost: Tables whose rows the migration deletes, which is told elsewhere.
        unused: Tables on which what the release's models send still works, and ``table.column``
            of those that the models have not.

    """
    groups: dict[tuple[str, str, str], list[Change]] = {}
    for change in found:
        code = _code(change, before, after, lost)
        if code:
            cause = _cause(change)
            if _speaks_of_schema(change, code) and _is_unused(change, cause, unused):
                code, cause = MAY, f"{cause}. {BY_HAND}"
            groups.setdefault((code, str(change.probe.relation), cause), []).append(change)
    certain = {(table, cause) for code, table, cause in groups if code == "old-release-breaks"}
    for (code, table, cause), group in groups.items():
        if code == "old-release-may-break" and (table, cause) in certain:
            continue
        yield _finding(code, table, cause, group)


def _is_unused(change: Change, cause: str, unused: set[str]) -> bool:
    """Tell that the models of the release do without the table, or the column that is gone."""
    table = str(change.probe.relation)
    column = re.fullmatch('column "(.*)" does not exist', cause)
    return table in unused or bool(column and f"{table}.{column[1]}" in unused)


def _speaks_of_schema(change: Change, code: str) -> bool:
    """Tell that the statement fails for what it names, whatever the values are."""
    values = change.after.sqlstate.startswith(OF_VALUES)
    return code == "old-release-breaks" or (code == MAY and not values)


def _finding(code: str, table: str, cause: str, group: Sequence[Change]) -> Finding:
    kinds = list(dict.fromkeys(change.probe.kind for change in group))
    shown = next((change for change in group if change.probe.by_models), group[0])
    if code == "old-release-loses-rows":
        message = f"SELECT on {table} finds fewer rows than before."
    elif code == "old-release-reads-new-values":
        message = f"SELECT on {table} gives {cause}."
    elif shown.swallowed:
        message = f"{', '.join(kinds)} on {table} writes nothing any more, without an error."
    else:
        message = f"{', '.join(kinds)} on {table} {'fail' if len(kinds) > 1 else 'fails'}: {cause}."
    return Finding(
        code,
        message,
        level=CODES[code].level,
        object=f"table {table}",
        found=shown.probe.statement[:500],
        remedy=_advice(code, cause),
    )


ADVICE = {
    "old-release-breaks": "# expand, deploy, contract: add the new beside the old and keep both in"
    " step;\n# release code that does without the old; only then, in a later release, take it away",
    "old-release-loses-rows": "# release code that reads the rows where they will be, before they"
    " move",
    "old-release-may-break": "# release code first that writes no such rows; then add the rule",
}


#: A release whose models do without it may have SQL beside them.
BY_HAND = "The release's models send nothing that fails; SQL written by hand may"


def _advice(code: str, cause: str) -> str:
    if BY_HAND in cause:
        return _SEARCH
    return _CONFLICT if "ON CONFLICT specification" in cause else ADVICE.get(code, "")


_CONFLICT = "# release code first that says ON CONFLICT of other columns; then drop the key"

_SEARCH = "# look for it in SQL that is written by hand, in reports and in other services"


def _code(change: Change, before: Snapshot, after: Snapshot, lost: set[str]) -> str:
    probe, ended = change.probe, change.after
    if not ended.sqlstate:
        return _of_success(change, lost)
    if ended.sqlstate == OUT_OF_RANGE and probe.kind == "WHERE":
        return ""  # it is the greatest number of all that is compared
    if ended.sqlstate == DENIED and _is_exception(change, before):
        return MAY
    if ended.sqlstate == BAD_TEXT and "enum" in ended.message:
        return "old-release-breaks"
    others = ended.constraint and ended.sqlstate != CHECKED and not _numbered_anew(change)
    if others and _is_old(change, before, after):
        return ""  # other rows are there: a consequence of what is told elsewhere
    if ended.sqlstate == NOT_NULL:
        return "old-release-breaks" if probe.usual and _left_out(change, before) else MAY
    if ended.sqlstate == UNIQUE:
        return "old-release-breaks" if _numbered_anew(change) else MAY
    if ended.sqlstate.startswith(OF_VALUES) or not probe.usual:
        return MAY
    return "old-release-breaks"


def _of_success(change: Change, lost: set[str]) -> str:
    probe, after = change.probe, change.after
    if after.rows >= change.before.rows:
        return "old-release-reads-new-values" if _drifted(change.before, after) else ""
    if change.swallowed:
        return "old-release-breaks"
    # One value that is not found any more may have been overwritten.
    whole = probe.kind == "SELECT"
    return "old-release-loses-rows" if whole and str(probe.relation) not in lost else ""


def _is_exception(change: Change, before: Snapshot) -> bool:
    """Tell a right that is missed where the release need not use it, or not for all rows.

    On what is new, such as a sequence, nobody has granted anything; its owner needs no grant.
    """
    said = change.after.message
    if "row-level security" in said:
        return change.partly
    denied = re.search(r"permission denied for [a-z ]+ (\S+)", said)
    names = {item.key.name[-1].partition("(")[0] for item in before.items.values()}
    return denied is not None and denied[1] not in names


MAY = "old-release-may-break"


def _left_out(change: Change, before: Snapshot) -> bool:
    """Tell a column that the release does not know, or whose default it counted on."""
    relation, name = change.probe.relation, change.after.column
    if not name or name in change.probe.columns:
        return False
    column = before.items.get(Key("column", (relation.schema, relation.name, name)))
    return column is None or not column.attributes["nullable"]


def _is_old(change: Change, before: Snapshot, after: Snapshot) -> bool:
    """Whether the rule that refuses was there before, as it is now."""
    name = change.after.constraint
    return any(
        item.key.kind in ("constraint", "index")
        and item.key.name[-1] == name
        and _said(item) == _said(after.items.get(item.key, item))
        for item in before.items.values()
    )


def _said(item: Item) -> str:
    return str(item.attributes["definition"]).removesuffix(" NOT VALID")


def _numbered_anew(change: Change) -> bool:
    """Tell that the server gives a number that is taken: the release leaves numbers to it."""
    key = change.probe.relation.key
    return (
        change.probe.kind == "INSERT"
        and bool(key)
        and not set(key) & set(change.probe.columns)
        and "_pk" in change.after.constraint
    )


def _cause(change: Change) -> str:
    if change.swallowed:
        return "nothing is written"
    if not change.after.sqlstate:
        drifted = _drifted(change.before, change.after)
        return ", ".join(dict.fromkeys(f"{new} instead of {old}" for old, new in drifted))
    message = re.sub(r"^.*?ERROR:\s*", "", change.after.message)
    message = NO_COLUMN.sub(r'column "\1" does not exist', message)
    if change.after.sqlstate.startswith("22"):
        message = re.sub(r': ".*', "", message)  # which value it is does not matter
    return re.sub(r': "x{20,}.*', "", message).rstrip(".")
