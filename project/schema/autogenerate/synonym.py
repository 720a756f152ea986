"""A table renamed in two revisions: under both names, until the running release is gone.

Asked for by ``info={"renamed_from": "old", "expand": True}`` on the table. The first revision
renames it and leaves a view in its place, in one transaction. A view that only names columns can be
written to as a table can (PostgreSQL, "CREATE VIEW", Updatable Views), so the release that knows
the old names goes on. The second revision drops the view.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path as File

from project.schema import rows
from project.schema.autogenerate import questions, rank
from project.schema.autogenerate.change import Path, RefusedError
from project.schema.autogenerate.hints import Declared, to_do
from project.schema.autogenerate.migration import Migration, proved
from project.schema.autogenerate.proposal import propose
from project.schema.autogenerate.renames import Rename
from project.schema.autogenerate.step import Step, execute
from project.schema.autogenerate.text import dotted, quoted, shown, string
from project.schema.autogenerate.workbench import Side, Workbench
from project.schema.snapshot import Key


def wanted(bench: Workbench, declared: Declared) -> Rename | None:
    """Tell which table is to be renamed so.

    Raises:
        RefusedError: its new name is in use, or nothing tells whether it has it already.

    """
    pending, _ = to_do(declared.renames, bench.before.catalog, bench.after.catalog)
    asked = [r for r in pending if r.kind == "table" and r.new in declared.expand]
    for rename in asked:
        if Key("table", rename.new) in bench.before.catalog.items:
            raise RefusedError(
                f"{shown(rename.new)} cannot be expanded: a table of this name is there as well."
            )
    return asked[0] if asked else None


def sequence(
    bench: Workbench, declared: Declared, rename: Rename, folder: File
) -> tuple[Migration, ...]:
    """Plan both revisions, and prove each of them.

    Args:
        bench: The databases.
        declared: What the models say in ``info``.
        rename: Of the table.
        folder: Where files may be written; `migration.py` is what was proved last, or was not.

    Raises:
        RefusedError: there is no operation for something, or it does not fit into one transaction.
        UnprovedError: one does not do what it should.
        SourceError: the worker ended.

    """
    granted = _granted(rename)
    asked = questions.is_rename, questions.value
    with _beside(rename, bench, _old_names(rename, bench, declared)) as middle:
        stage = replace(bench, after=middle)
        proposal = propose(stage, declared, folder, *asked)
        if any(step.alone for step in (*proposal.upgrade, *proposal.downgrade)):
            raise RefusedError(
                f"{shown(rename.new)} is to leave a view under its old name, in one transaction,"
                " and what else is changed takes several: do that in a migration of its own."
            )
        proposal = replace(proposal, upgrade=(*proposal.upgrade, granted))
        first = proved(stage, declared, proposal, folder)
        rows.clear(bench.trying, {(name[0], name[1]) for name in bench.leave_out})
    stage = replace(bench, before=middle)
    done = replace(declared, renames=())
    proposal = propose(stage, done, folder, *asked)
    proposal = replace(proposal, downgrade=(*proposal.downgrade, granted))
    second = proved(stage, done, proposal, folder)
    first = replace(first, message=f"rename {shown(rename.old)} to {shown(rename.new)}")
    return first, replace(second, message=f"drop the old name {shown(rename.old)}")


def _old_names(rename: Rename, bench: Workbench, declared: Declared) -> Mapping[str, str]:
    """Return each column of the table, as it is called after, by the name that it has before.

    Raises:
        RefusedError: one goes, or becomes something else.

    """
    before, after = bench.before.catalog, bench.after.catalog
    pending, _ = to_do(declared.renames, before, after)
    own = (r for r in pending if r.kind == "column" and r.new[:2] == rename.new)
    named = {r.old[-1]: r.new[-1] for r in own}
    found = {}
    for item in before.of_kind("column"):
        if item.key.name[:2] != rename.old:
            continue
        name = item.key.name[-1]
        becomes = after.items.get(Key("column", (*rename.new, named.get(name, name))))
        if becomes is None or becomes.attributes["type"] != item.attributes["type"]:
            raise RefusedError(
                f"{shown(rename.new)} is to leave a view under its old name, which needs"
                f" {name} as it is: change it in a migration of its own."
            )
        found[name] = becomes.key.name[-1]
    return found


@contextmanager
def _beside(rename: Rename, bench: Workbench, names: Mapping[str, str]) -> Iterator[Side]:
    """Have the view in the models' database for a while; yield what that is like."""
    listed = ", ".join(
        quoted(new) if new == old else f"{quoted(new)} AS {quoted(old)}"
        for old, new in names.items()
    )
    # Who may use the table is asked of who uses the view; row security is, too.
    view = f"CREATE VIEW {_full(rename.old)} WITH (security_invoker = true) AS"
    statements = [f"{view} SELECT {listed} FROM {_full(rename.new)}"]
    after = [f"DROP VIEW {_full(rename.old)}"]
    if Key("schema", rename.old[:1]) not in bench.after.catalog.items and rename.old[0] != "public":
        statements.insert(0, f"CREATE SCHEMA {quoted(rename.old[0])}")
        after.append(f"DROP SCHEMA {quoted(rename.old[0])}")
    for statement in statements:
        bench.models.execute(statement.encode())
    yield Side.of(bench.models, bench.leave_out)
    for statement in after:
        bench.models.execute(statement.encode())


def _full(path: Path) -> str:
    return ".".join(map(quoted, path))


def _granted(rename: Rename) -> Step:
    """Let whoever may use the table use the view."""
    grant = f"GRANT %s ON {dotted(rename.old).replace('%', '%%')} TO %s"
    return execute(
        f"""\
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT privilege_type AS what,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS whom
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = {string(dotted(rename.new))}::regclass
            AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format({string(grant)}, given.what, given.whom);
    END LOOP;
END $$""",
        rank.COMMENT,
        why="Whoever may use the table may use it under its old name.",
    )
