"""What would fail on other rows than were there, with the query that counts such rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from project.schema.autogenerate.definitions import bare
from project.schema.finding import Finding, Level
from project.schema.hazards.actions import Action, actions
from project.schema.hazards.codes import CODES
from project.schema.hazards.counting import query
from project.schema.hazards.fitting import fits, is_unlimited, is_unsized
from project.schema.hazards.rewrites import Catalogs
from project.schema.reviewing.observation import Observation, Statement
from project.schema.snapshot import Item, Key, Snapshot

#: A constraint that says nothing of the rows there are.
UNCHECKED = re.compile(r"\bNOT\s+(?:VALID|ENFORCED)\b", re.IGNORECASE)

#: Expressions that take any value.
TAKES_ANY = re.compile(
    r"\s*\(?\s*(?:to_jsonb?|convert_to|quote_literal|left|substr|substring)\s*\(", re.IGNORECASE
)

#: What refuses some values: a cast, division, a function of somebody's.
REFUSES = re.compile(r"::|\bCAST\b|/|\w\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class Conditions:
    """Finds what would fail on other rows."""

    before: Snapshot
    after: Snapshot
    nulls: frozenset[tuple[str, str]]  # table and column that held a NULL when it succeeded

    def findings(self, observation: Observation) -> Iterator[Finding]:
        """Go through the statements that succeeded."""
        seen: set[tuple[str, str, str]] = set()
        for statement in observation.own:
            if statement.error:
                continue
            for action in actions(statement.sql):
                for code in self._codes(action, statement):
                    identity = (code, action.table, action.column or action.name)
                    if identity not in seen:
                        seen.add(identity)
                        yield _conditional(code, self._as_counted(code, action), statement)
            if actions(statement.sql)[0].kind == "validate":
                told, found = _validation(statement, self.after)
                if not told.column or self._all_known(told):
                    yield found

    def _codes(self, action: Action, statement: Statement) -> Iterator[str]:
        if action.kind == "domain":
            required = re.fullmatch(r"SET\s+NOT\s+NULL", action.text, re.IGNORECASE)
            code = "may-fail-null" if required else "may-fail-check"
            yield from [code] if statement.scans else []
        elif self._has_table(action.table):
            yield from self._of_constraint(action, statement)
            yield from self._of_partition(action, statement)
            if action.kind == "add column" and statement.scans:
                yield from _of_new_column(action)
            if action.kind == "type" and statement.rewrites and self._may_not_fit(action):
                yield "may-fail-cast"

    def _of_constraint(self, action: Action, statement: Statement) -> Iterator[str]:
        unchecked = UNCHECKED.search(action.text) is not None
        if action.kind == "set not null":
            yield from self._nulls(action, statement)
        elif action.kind == "check" and not unchecked:
            known = self._is_of_new_columns(action) or self._allows_more(action)
            yield from [] if known else ["may-fail-check"]
        elif action.kind == "foreign key" and not unchecked and self._all_known(action):
            yield from [] if self._referred(action) else ["may-fail-orphans"]
        elif action.kind in ("unique", "primary key", "index"):
            yield from self._duplicates(action)
            yield from self._too_long(action, statement)
            if action.kind == "primary key":
                yield from self._nulls_of_key(action, statement)
        elif action.kind == "exclude":
            yield "may-fail-duplicates"

    def _of_partition(self, action: Action, statement: Statement) -> Iterator[str]:
        if action.kind in ("attach", "partition"):
            yield from ["may-fail-check"] if statement.scans else []
            if self._has_table(action.other) and self._is_kept_apart_anew(action):
                yield "may-fail-duplicates"

    def _as_counted(self, code: str, action: Action) -> Action:
        """Say of a partition what its rows are counted by, which the statement does not name."""
        if action.kind not in ("attach", "partition"):
            return action
        if code == "may-fail-duplicates":
            columns = next(self._uniques(action.table), set[str]())
            return replace(action, kind="unique", table=action.other, column=", ".join(columns))
        parent = self.before.items[Key("table", self._name(action.table))]
        key = re.fullmatch(r"(?:RANGE|LIST) \((\w+)\)", str(parent.attributes["partitioned by"]))
        return replace(action, column=key[1] if key else "")

    def _nulls(self, action: Action, statement: Statement) -> Iterator[str]:
        known = self._column(action.table, action.column)
        if known is None or not known.attributes["nullable"]:
            return
        # Without a scan a valid check proves it; and where a NULL was, the migration filled it.
        if statement.work and (action.table, action.column) not in self.nulls:
            yield "may-fail-null"

    def _nulls_of_key(self, action: Action, statement: Statement) -> Iterator[str]:
        columns = (part.strip() for part in action.column.split(","))
        parts = (replace(action, column=column) for column in columns)
        if any(list(self._nulls(part, statement)) for part in parts):
            yield "may-fail-null"

    def _duplicates(self, action: Action) -> Iterator[str]:
        plain_index = action.kind == "index" and not action.text
        if not plain_index and self._all_known(action) and not self._was_unique(action):
            yield "may-fail-duplicates"

    def _is_kept_apart_anew(self, action: Action) -> bool:
        """Whether the parent keeps rows apart that nothing kept apart in a table to attach."""
        child = replace(action, table=action.other)
        return any(
            not self._was_unique(replace(child, column=", ".join(columns)))
            for columns in self._uniques(action.table)
        )

    def _too_long(self, action: Action, statement: Statement) -> Iterator[str]:
        """Tell of columns that hold more than an entry of a b-tree."""
        using = re.search(r"\bUSING\s+(\w+)", statement.sql, re.IGNORECASE)
        if using and using[1].lower() not in ("btree", "index"):
            return
        for part in action.column.split(","):
            known = self._column(action.table, part.strip().split(" ")[0].strip('"'))
            if known and is_unlimited(str(known.attributes["type"])):
                yield "may-fail-too-long"
                return

    def _name(self, table: str) -> tuple[str, str]:
        schema, _, name = table.rpartition(".")
        return schema or "public", name

    def _has_table(self, table: str) -> bool:
        return Key("table", self._name(table)) in self.before.items

    def _column(self, table: str, column: str) -> Item | None:
        return self.before.items.get(Key("column", (*self._name(table), column)))

    def _all_known(self, action: Action) -> bool:
        """Whether all columns were there before; a new one holds what the migration gave it."""
        names = [re.split(r"\s", part.strip())[0] for part in action.column.split(",")]
        plain = [name.strip('"') for name in names if re.fullmatch(r'"?\w+"?', name)]
        return all(self._column(action.table, name) is not None for name in plain)

    def _is_of_new_columns(self, action: Action) -> bool:
        """Whether a check is only of columns that hold what the migration gave them."""
        words = set(re.findall(r"\w+", action.text))
        table = self._name(action.table)
        named = {
            item.key.name[-1]
            for item in self.after.of_kind("column")
            if item.key.name[:2] == table and item.key.name[-1] in words
        }
        return bool(named) and not any(self._column(action.table, name) for name in named)

    def _allows_more(self, action: Action) -> bool:
        """Whether a check lists all the values of one that was there, and others."""
        new = Catalogs(self.before, self.after).made(
            "constraint", self._name(action.table), action.name, "CHECK"
        )
        return new is not None and any(
            _lists_more(str(old.attributes["definition"]), str(new.attributes["definition"]))
            for old in self.before.of_kind("constraint")
            if old.key.name[:2] == new.key.name[:2]
            and UNCHECKED.search(str(old.attributes["definition"])) is None
            and old.attributes["validated"]
        )

    def _was_unique(self, action: Action) -> bool:
        """Whether a part of the columns was unique already."""
        columns = {part.strip().split()[0] for part in action.column.split(",") if part.strip()}
        if any(named <= columns for named in self._uniques(action.table)):
            return True
        new = self.after.items.get(Key("index", (*self._name(action.table), action.name)))
        return new is not None and any(
            _covers(old, new)
            for old in self.before.of_kind("index")
            if old.key.name[:2] == self._name(action.table) and old.attributes["unique"]
        )

    def _uniques(self, table: str) -> Iterator[set[str]]:
        """Yield the columns that were unique, each set of them."""
        for item in self.before.items.values():
            if item.key.name[:2] != self._name(table):
                continue
            definition = str(item.attributes.get("definition", ""))
            unique = item.key.kind == "index" and item.attributes.get("unique")
            constraint = item.key.kind == "constraint" and definition.startswith(
                ("UNIQUE", "PRIMARY KEY")
            )
            inside = re.search(r"\(([^()]*)\)", definition)
            if (unique or constraint) and inside is not None and " WHERE " not in definition:
                yield {part.strip() for part in inside[1].split(",")}

    def _referred(self, action: Action) -> bool:
        """Whether a valid foreign key had the columns refer there already."""
        plain = action.column.replace(" ", "")
        for item in self.before.of_kind("constraint"):
            definition = str(item.attributes["definition"])
            found = re.match(r"FOREIGN KEY \((.*?)\) REFERENCES (\S+?)\(", definition)
            if (
                item.key.name[:2] == self._name(action.table)
                and found
                and UNCHECKED.search(definition) is None
                and found[1].replace(" ", "") == plain
                and self._name(found[2]) == self._name(action.other)
            ):
                return True
        return False

    def _may_not_fit(self, action: Action) -> bool:
        old, new = self._column(action.table, action.column), self._after(action)
        if old is None or new is None:
            return False
        using = re.search(r"\bUSING\b(.*)", action.text, re.IGNORECASE | re.DOTALL)
        if using and _takes_any(using[1], str(new.attributes["type"])):
            return False
        return not fits(str(old.attributes["type"]), str(new.attributes["type"]))

    def _after(self, action: Action) -> Item | None:
        return self.after.items.get(Key("column", (*self._name(action.table), action.column)))


LITERAL = re.compile(r"'(?:[^']|'')*'(?:::[\w ]+)?")


def _lists_more(old: str, new: str) -> bool:
    """Whether two checks differ only in the values that they list, and the new one lists more."""
    shapes = [re.sub(r"\?(?:, \?)*", "?", LITERAL.sub("?", text)) for text in (old, new)]
    values = [set(LITERAL.findall(text)) for text in (old, new)]
    return shapes[0] == shapes[1] and "= ANY (" in old and values[0] <= values[1]


def _covers(old: Item, new: Item) -> bool:
    """Whether a unique index keeps apart all that a new one does, being of no fewer rows."""
    (was, where), (is_now, only) = map(_parts, (old, new))
    return was == is_now and where <= only


def _parts(item: Item) -> tuple[str, set[str]]:
    """Return the columns of an index, and what must hold for its rows."""
    columns, _, condition = str(item.attributes["definition"]).partition(" WHERE ")
    return columns, set(re.split(r"\s+AND\s+", bare(condition))) - {""}


def _takes_any(expression: str, type_: str) -> bool:
    """Whether an expression refuses no value: it cuts, wraps or compares."""
    if TAKES_ANY.match(expression):
        return True
    return REFUSES.search(expression) is None and is_unsized(type_)


#: A new column whose values in the rows there are may refer to nothing, or fail its check.
_REFERS = re.compile(r"(?is)\bREFERENCES\b.*\bDEFAULT\b|\bDEFAULT\b.*\bREFERENCES\b")
_COMPUTED = re.compile(r"(?is)\bGENERATED\b.*\bCHECK\b")


def _of_new_column(action: Action) -> Iterator[str]:
    if _REFERS.search(action.text):
        yield "may-fail-orphans"
    if _COMPUTED.search(action.text):
        yield "may-fail-check"


def _conditional(
    code: str, action: Action, statement: Statement, level: Level | None = None
) -> Finding:
    about, title = action.column or action.name or action.other, CODES[code].title
    return Finding(
        code,
        f"{action.table}{f' ({about})' if about else ''}: {title[:1].lower()}{title[1:]}"
        " Count such rows first.",
        level=level or CODES[code].level,
        object=f"table {action.table}",
        found=statement.sql[:300],
        remedy=query(code, action, statement),
        path=statement.file,
        line=statement.line,
    )


def _validation(statement: Statement, after: Snapshot) -> tuple[Action, Finding]:
    found = re.search(
        r'TABLE\s+(?:ONLY\s+)?([\w."]+)\s.*CONSTRAINT\s+([\w"]+)',
        statement.sql,
        re.IGNORECASE | re.DOTALL,
    )
    action = Action(
        "validate", *(part.replace('"', "") for part in found.groups()) if found else ()
    )
    action = replace(action, name=action.column, column="")
    for item in after.items.values():
        if item.key.kind == "constraint" and item.key.name[-1] == action.name:
            definition = str(item.attributes["definition"])
            if definition.startswith("CHECK"):
                action = replace(
                    action, kind="check", text=definition.removeprefix("CHECK").strip()
                )
            elif parts := re.match(r"FOREIGN KEY \((.*?)\) REFERENCES (\S+?)\((.*?)\)", definition):
                action = replace(
                    action,
                    kind="foreign key",
                    column=parts[1],
                    other=parts[2],
                    text=f"({parts[3]})",
                )
    code = "may-fail-orphans" if action.kind == "foreign key" else "may-fail-check"
    return action, _conditional(code, action, statement, level="note")
