"""Can it fail? What failed here, and what it leaves behind where it half succeeded."""

import re
from collections.abc import Iterator, Sequence

from project.schema.autogenerate.step import call, executed
from project.schema.autogenerate.text import dotted, in_schema, literal, quoted
from project.schema.finding import Finding
from project.schema.hazards.actions import Action, actions
from project.schema.hazards.codes import CODES
from project.schema.hazards.counting import query
from project.schema.hazards.rewrites.catalogs import Catalogs, alone, path, required
from project.schema.hazards.rewrites.columns import filled
from project.schema.reviewing.observation import Observation, Statement
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

#: What to do about failures of which the server's words say too little.
ADVICE = {
    "55P04": "# a label of an enum can be used after COMMIT only: add it in a revision before,\n"
    "# or within autocommit_block()",
    "2BP01": "# drop what depends on it first, and make it again afterwards",
    "0A000": "# drop the view or the rule first, and make it again afterwards",
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
    if code in ("may-fail-check", "fails-with-rows") and done.kind == "type" and with_rows:
        code = "may-fail-cast"  # to a domain, or of a value such as NaN
    level = CODES[code].level
    if code == "may-fail-cast" and done.kind in ("query", "update"):
        level = "note"  # it reckons with the greatest of numbers, which nobody may have
    remedy = _otherwise(statement, done) if state in SENT_OTHERWISE else ADVICE.get(state, "")
    if code == "fails-with-rows" and state == "23502":
        remedy = _fill_first(done, Catalogs(before, before))
    elif code.startswith("may-"):
        remedy = query(code, done, statement)
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


#: It needs to be by itself; it needs to be told how a value becomes one of the new type.
SENT_OTHERWISE = NOT_IN_A_TRANSACTION, CANNOT_CAST = "25001", "42804"


def _otherwise(statement: Statement, done: Action) -> str:
    sql = statement.sql.strip().rstrip(";")
    if statement.error["sqlstate"] == NOT_IN_A_TRANSACTION:
        return "" if sql[:3].upper() == "DO " else alone(executed(sql))
    if done.kind != "type":
        return ""
    type_, column = done.text, quoted(done.column)
    how = executed(f"{sql} USING {column}::{type_}")
    return f"{how}\n# that writes the table anew: where it is large, make a column beside it"


def _fill_first(action: Action, catalogs: Catalogs) -> str:
    """Add a column that is required in an order that rows allow; only a person knows the value."""
    table, type_ = path(action.table or "…"), re.sub(r"\s+NOT\s+NULL\b", "", action.text)
    key = Key("column", (*table, action.column or "…"))
    return "\n".join(
        (
            executed(f"ALTER TABLE {dotted(table)} ADD COLUMN {quoted(key.name[-1])} {type_}"),
            "# … is what rows get that are there: only you know. Or a constant server_default.",
            filled(key, "…", catalogs),
            "# once no release is running that leaves it out:",
            required(table, key.name[-1]),
        )
    )


def invalid_indexes(
    before: Snapshot, after: Snapshot, statements: Sequence[Statement]
) -> Iterator[Finding]:
    """Find indexes that are left invalid, as a concurrent build that failed leaves them.

    One that was invalid already counts where a statement makes it if it is not there: it is.
    """
    for item in after.of_kind("index"):
        table = after.items.get(Key("table", item.key.name[:2]))
        if item.attributes["valid"] or (table and table.attributes["partitioned by"]):
            continue  # one ON ONLY a partitioned table waits for those of the partitions
        old = before.items.get(item.key)
        name = item.key.name[-1]
        if old is None or old.attributes["valid"] or any(_takes(s, name) for s in statements):
            yield Finding(
                "invalid-index",
                f"The index {name} is there afterwards and is not valid.",
                object=str(item.key),
                remedy=_rid_of(item),
            )


def _rid_of(index: Item) -> str:
    """Build it again; a unique one once no two rows are alike, and until then do without."""
    schema, table, name = index.key.name
    if not index.attributes["unique"]:
        return alone(executed(f"REINDEX INDEX CONCURRENTLY {dotted((schema, name))}"))
    drop = call(
        "op.drop_index",
        literal(name),
        table_name=table,
        postgresql_concurrently=True,
        schema=in_schema((schema,)),
    )
    return alone(drop)


def _takes(statement: Statement, index: str) -> bool:
    """Whether a statement is content with an index that is there already."""
    made = re.search(r"INDEX\s+(?:CONCURRENTLY\s+)?IF\s+NOT\s+EXISTS", statement.sql, re.IGNORECASE)
    return made is not None and index in re.findall(r"\w+", statement.sql)
