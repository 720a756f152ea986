"""Which recipe a statement wants."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from project.schema.autogenerate.step import executed
from project.schema.autogenerate.text import dotted
from project.schema.hazards.actions import Action, actions
from project.schema.hazards.rewrites import columns, constraints, rows
from project.schema.hazards.rewrites.catalogs import Catalogs, alone, folded, path, required
from project.schema.reviewing.observation import Statement, Work

COMPACT = "# not in a migration: pg_repack does it while the table is in use"

NO_WAY = (
    "# there is no way to do this while the table is in use: make a new table, copy in batches,\n"
    "# keep both in step with a trigger, and swap the names; or plan a downtime"
)


@dataclass(frozen=True)
class Asked:
    """What a recipe may need beside the action: what its statement was seen to do, the catalogs."""

    action: Action
    work: tuple[Work, ...]
    catalogs: Catalogs


def rewrite(
    statement: Statement,
    work: tuple[Work, ...],
    catalogs: Catalogs,
    beside: Iterable[Statement] = (),
) -> str:
    """Write the safe way to what a statement does, or "" where there is none to write.

    Args:
        statement: Which.
        work: What it was seen to do.
        catalogs: Before and after.
        beside: Others that the same line sends before it, such as for a column with an index.

    """
    done = actions(statement.sql)
    texts = [_of(Asked(action, work, catalogs)) for action in done]
    if not any(texts):
        return ""
    parts = (text or executed(action.sql) for action, text in zip(done, texts, strict=True))
    return folded("\n".join(dict.fromkeys((*_columns(done, beside, catalogs), *parts))))


def _of(asked: Asked) -> str:
    recipe = _RECIPES.get(asked.action.kind)
    return recipe(asked) if recipe else ""


def _columns(
    done: Sequence[Action], beside: Iterable[Statement], catalogs: Catalogs
) -> Iterator[str]:
    """Add the columns that are added by the same line, for what is made of them."""
    named = {(action.table, part.strip()) for action in done for part in action.column.split(",")}
    for statement in beside:
        for action in actions(statement.sql):
            item = catalogs.column(path(action.table), action.column)
            if action.kind == "add column" and item and (action.table, action.column) in named:
                yield columns.whole(item, catalogs)


def _index(asked: Asked) -> str:
    built = next((each.index for each in asked.work if each.kind == "build"), "")
    return constraints.indexed(asked.action, asked.catalogs, built)


def _reindex(asked: Asked) -> str:
    what = f"{asked.action.text.upper()} CONCURRENTLY {asked.action.name}"
    return alone(executed(f"REINDEX {what.strip()}"))


def _refresh(asked: Asked) -> str:
    table = path(asked.action.table)
    unique = any(
        item.attributes["unique"] and " WHERE " not in str(item.attributes["definition"])
        for item in asked.catalogs.parts("index", table)
    )
    first = "" if unique else "# with a unique index on columns of it, which it has not yet:\n"
    return first + executed(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {dotted(table)}")


_RECIPES: dict[str, Callable[[Asked], str]] = {
    "set not null": lambda a: required(path(a.action.table), a.action.column),
    "check": lambda a: constraints.checked(a.action, a.catalogs),
    "foreign key": lambda a: constraints.checked(a.action, a.catalogs),
    "unique": lambda a: constraints.keyed(a.action, a.catalogs),
    "primary key": lambda a: constraints.keyed(a.action, a.catalogs),
    "unique index": lambda a: constraints.from_index(a.action, a.catalogs),
    "exclude": lambda _: NO_WAY,
    "index": _index,
    "reindex": _reindex,
    "type": lambda a: columns.retyped(a.action, a.work, a.catalogs),
    "add column": lambda a: columns.added(a.action, a.catalogs),
    "attach": lambda a: rows.attached(a.action, a.catalogs),
    "partition": lambda a: rows.attached(a.action, a.catalogs),
    "refresh": _refresh,
    "update": lambda a: rows.in_parts(a.action, a.catalogs),
    "delete": lambda a: rows.in_parts(a.action, a.catalogs),
    "domain": lambda a: rows.of_domain(a.action, a.catalogs),
    "vacuum full": lambda _: COMPACT,
    "cluster": lambda _: COMPACT,
    "persistence": lambda _: NO_WAY,
    "access method": lambda _: NO_WAY,
}
