"""Can it fail? What failed here, and what depends on rows that only production has.

A failure that depends on data comes with the query that counts the rows which would cause it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from project.schema.finding import Finding, Level
from project.schema.hazards.actions import Action, actions
from project.schema.hazards.codes import CODES
from project.schema.hazards.fitting import fits
from project.schema.observe import Observation, Statement
from project.schema.snapshot import Item, Key, Snapshot

#: SQLSTATE of a refusal that depends on rows → its code.
OF_ROWS = {
    "23502": "may-fail-null",
    "23503": "may-fail-orphans",
    "23505": "may-fail-duplicates",
    "23514": "may-fail-check",
    "23P01": "may-fail-duplicates",
}

#: How a project says what its columns hold.
VALUES = """\
# in pyproject.toml:
[tool.project.schema.values]
"public.TABLE.COLUMN" = ["…"]"""

#: A constraint that says nothing of the rows there are.
UNCHECKED = re.compile(r"\bNOT\s+(?:VALID|ENFORCED)\b", re.IGNORECASE)

#: What to do about failures of which the server's words say too little.
ADVICE = {
    "25001": "with op.get_context().autocommit_block():\n    …  # CONCURRENTLY needs it",
    "55P04": "# a label of an enum can be used after COMMIT only: add it in a revision before,\n"
    "# or within autocommit_block()",
    "2BP01": "# drop what depends on it first, and make it again afterwards",
    "0A000": "# drop the view or the rule first, and make it again afterwards",
    "42804": 'op.alter_column(…, postgresql_using="…")',
}


def failed(observation: Observation, before: Snapshot, *, with_rows: bool) -> Finding | None:
    """Tell why a migration failed; None if it did not."""
    if observation.failure is None:
        return None
    statement = next((s for s in reversed(observation.own) if s.error), None)
    if statement is None and with_rows:
        return Finding(
            "fails-with-rows",
            f"It fails with rows in the tables: {observation.failure} They hold what the types"
            " allow; what they hold in production, the catalog does not say.",
            level="warning",
            remedy=VALUES,
            path=observation.last_file,
            line=observation.last_line,
        )
    if statement is None:
        return Finding("fails", str(observation.failure))
    state, said = statement.error.get("sqlstate", ""), statement.error.get("message", "")
    code = "fails-with-rows" if with_rows else "fails"
    if with_rows and (state in OF_ROWS or state.startswith("22")):
        code = OF_ROWS.get(state, "may-fail-cast")
        if state == "23502" and not _existed(statement, before):
            code = "fails-with-rows"
    done = actions(statement.sql)[0]
    if code == "may-fail-check" and done.kind == "type":
        code = "may-fail-cast"  # to a domain
    level = CODES[code].level
    if code == "may-fail-cast" and done.kind in ("query", "update"):
        level = "note"  # it reckons with the greatest of numbers, which nobody may have
    remedy = ADVICE.get(state, "")
    if code == "fails-with-rows" and state == "23502":
        remedy = _fill_first(done)
    elif code.startswith("may-"):
        remedy = _probe(done, statement) or _counting(code, done)
    return Finding(
        code,
        f"It fails{' with rows in the tables' if with_rows else ''}: {said}.",
        level=level,
        object=f"revision {statement.revision}",
        found=statement.sql[:300],
        remedy=remedy,
        path=statement.file,
        line=statement.line,
    )


def _existed(statement: Statement, before: Snapshot) -> bool:
    told = statement.error
    name = (told.get("schema_name", ""), told.get("table_name", ""), told.get("column_name", ""))
    return Key("column", name) in before.items


def _fill_first(action: Action) -> str:
    table, column = action.table or "…", action.column or "…"
    return (
        f'op.add_column("{table}", sa.Column("{column}", …, nullable=True))  # or a constant'
        " server_default\n"
        f'op.execute("UPDATE {table} SET {column} = … WHERE {column} IS NULL AND …")'
        "  # in batches\n"
        f'op.execute("ALTER TABLE {table} ADD CONSTRAINT {column}_not_null'
        f' CHECK ({column} IS NOT NULL) NOT VALID")\n'
        "# then VALIDATE CONSTRAINT in a revision of its own, and SET NOT NULL in a third"
    )


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
                        yield _conditional(code, action, statement)
            if actions(statement.sql)[0].kind == "validate":
                yield _validation(statement, self.after)

    def _codes(self, action: Action, statement: Statement) -> Iterator[str]:
        unchecked = UNCHECKED.search(action.text) is not None
        if action.kind == "domain":
            required = re.fullmatch(r"SET\s+NOT\s+NULL", action.text, re.IGNORECASE)
            code = "may-fail-null" if required else "may-fail-check"
            yield from [code] if statement.scans else []
        elif not self._has_table(action.table):
            return
        elif action.kind == "set not null":
            yield from self._nulls(action, statement)
        elif action.kind == "check" and not unchecked:
            yield "may-fail-check"
        elif action.kind == "foreign key" and not unchecked and self._all_known(action):
            yield from [] if self._referred(action) else ["may-fail-orphans"]
        elif action.kind in ("unique", "primary key", "index"):
            yield from self._duplicates(action)
        elif action.kind == "exclude":
            yield "may-fail-duplicates"
        elif action.kind in ("attach", "partition") and statement.scans:
            yield "may-fail-check"
        elif action.kind == "type" and statement.rewrites and self._may_not_fit(action):
            yield "may-fail-cast"

    def _nulls(self, action: Action, statement: Statement) -> Iterator[str]:
        known = self._column(action.table, action.column)
        if known is None or not known.attributes["nullable"]:
            return
        # Without a scan a valid check proves it; and where a NULL was, the migration filled it.
        if statement.work and (action.table, action.column) not in self.nulls:
            yield "may-fail-null"

    def _duplicates(self, action: Action) -> Iterator[str]:
        plain_index = action.kind == "index" and not action.text
        if not plain_index and self._all_known(action) and not self._was_unique(action):
            yield "may-fail-duplicates"

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

    def _was_unique(self, action: Action) -> bool:
        """Whether a part of the columns was unique already."""
        columns = {part.strip().split()[0] for part in action.column.split(",") if part.strip()}
        for item in self.before.items.values():
            if item.key.name[:2] != self._name(action.table):
                continue
            definition = str(item.attributes.get("definition", ""))
            unique = item.key.kind == "index" and item.attributes.get("unique")
            constraint = item.key.kind == "constraint" and definition.startswith(
                ("UNIQUE", "PRIMARY KEY")
            )
            inside = re.search(r"\(([^()]*)\)", definition)
            whole = inside is not None and " WHERE " not in definition
            named = {part.strip() for part in inside[1].split(",")} if inside and whole else set()
            if (unique or constraint) and named and named <= columns:
                return True
        return False

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
        return not fits(str(old.attributes["type"]), str(new.attributes["type"]))

    def _after(self, action: Action) -> Item | None:
        return self.after.items.get(Key("column", (*self._name(action.table), action.column)))


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
        remedy=_probe(action, statement) or _counting(code, action),
        path=statement.file,
        line=statement.line,
    )


def _validation(statement: Statement, after: Snapshot) -> Finding:
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
    return _conditional(code, action, statement, level="note")


def _probe(action: Action, statement: Statement) -> str:
    """Write the query that counts the rows which make it fail; "" where none can be written."""
    table, column = action.table, action.column
    if action.kind == "set not null":
        return f"SELECT count(*) FROM {table} WHERE {column} IS NULL;"
    if action.kind == "check":
        condition = re.sub(r"\s+NOT\s+VALID\s*$", "", action.text, flags=re.IGNORECASE)
        return f"SELECT count(*) FROM {table} WHERE NOT {condition};"
    if action.kind == "foreign key":
        mine = [part.strip() for part in column.split(",")]
        listed = re.match(r"\(([^)]*)\)", action.text)
        theirs = [part.strip() for part in listed[1].split(",")] if listed else ["id"]
        pairs = " AND ".join(f"o.{b} = t.{a}" for a, b in zip(mine, theirs, strict=False))
        present = " AND ".join(f"t.{a} IS NOT NULL" for a in mine)
        return (
            f"SELECT count(*) FROM {table} AS t WHERE {present}"
            f" AND NOT EXISTS (SELECT FROM {action.other} AS o WHERE {pairs});"
        )
    if action.kind in ("unique", "primary key", "index"):
        where = re.search(r"\bWHERE\b(.*)$", statement.sql, re.IGNORECASE | re.DOTALL)
        only = f" WHERE{where[1]}" if where and action.kind == "index" else ""
        return (
            f"SELECT {column}, count(*) FROM {table}{only} GROUP BY {column} HAVING count(*) > 1;"
        )
    if action.kind == "type":
        target, *using = re.split(r"\s+(?:USING|COLLATE)\s", action.text, flags=re.IGNORECASE)
        if using and not re.fullmatch(rf"\W*{re.escape(column)}\W*::.*", using[0]):
            return ""  # an expression of its own
        if size := re.fullmatch(
            r"(?:VARCHAR|CHARACTER VARYING|CHAR)\s*\((\d+)\)", target, re.IGNORECASE
        ):
            return f"SELECT count(*) FROM {table} WHERE length({column}::text) > {size[1]};"
        return (
            f"SELECT {column} FROM {table} WHERE NOT pg_input_is_valid({column}::text, '{target}')"
            " LIMIT 10;  -- from PostgreSQL 16 on"
        )
    return ""


def _counting(code: str, action: Action) -> str:
    if code == "may-fail-null" and action.table:
        return f"SELECT count(*) FROM {action.table} WHERE {action.column or '…'} IS NULL;"
    return ""


def invalid_indexes(before: Snapshot, after: Snapshot) -> Iterator[Finding]:
    """Find indexes that are left invalid, as a concurrent build that failed leaves them."""
    for item in after.of_kind("index"):
        table = after.items.get(Key("table", item.key.name[:2]))
        if item.attributes["valid"] or (table and table.attributes["partitioned by"]):
            continue  # one ON ONLY a partitioned table waits for those of the partitions
        old = before.items.get(item.key)
        if old is None or old.attributes["valid"]:
            name = item.key.name[-1]
            yield Finding(
                "invalid-index",
                f"The index {name} is there afterwards and is not valid.",
                object=str(item.key),
                remedy=f'op.execute("REINDEX INDEX CONCURRENTLY {name}")',
            )
