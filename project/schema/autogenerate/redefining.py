"""A constraint that says something else afterwards, under the same name."""

from collections.abc import Iterator

from project.schema.autogenerate import rank
from project.schema.autogenerate.change import Change, differing
from project.schema.autogenerate.constraints import (
    drop,
    refuse_orphans,
    through_an_index,
    validated_later,
)
from project.schema.autogenerate.definitions import Constraint, parse
from project.schema.autogenerate.indexes import set_up
from project.schema.autogenerate.parameters import options
from project.schema.autogenerate.step import Step, alter_table, execute
from project.schema.autogenerate.text import cut, dotted, quoted
from project.schema.clause import clause
from project.schema.snapshot import Item, Key

#: What a constraint demands of rows, and when.
MEANING = {"definition", "deferrable", "enforced", "validated"}


def altered(before: Item, after: Item, change: Change) -> Iterator[Step] | None:
    """Change a constraint in place; None where it must be made anew."""
    names = differing(before, after)
    if names & {"inherited", "tablespace", "triggers"}:
        return None
    if after.attributes.get("inherited"):
        names -= MEANING  # it changes with the parent's
    steps: list[Step] = []
    if names & MEANING:
        found = _redefined(before, after, change)
        if found is None:
            return None
        steps += found
    if len(steps) > 1:  # it is another one of the same name
        return iter([*steps, *set_up(after)])
    if "storage parameters" in names:
        old, new = (item.attributes.get("storage parameters") for item in (before, after))
        index = dotted((after.key.name[0], after.key.name[-1]))
        steps.append(execute(f"ALTER INDEX {index} {options(old, new)}", rank.ALTER_TABLE))
    return iter([*steps, *set_up(after, names)])


def _redefined(before: Item, after: Item, change: Change) -> list[Step] | None:
    names = differing(before, after) & MEANING
    was, becomes = parse(before), parse(after)
    name = quoted(after.key.name[-1])
    if names == {"validated"} and after.attributes["validated"]:
        return [alter_table(after.key, f"VALIDATE CONSTRAINT {name}", rank.VALIDATE, alone=True)]
    if names <= {"deferrable", "enforced"} and clause(after).startswith("FOREIGN KEY"):
        deferrable = str(after.attributes["deferrable"])
        words = "NOT DEFERRABLE" if deferrable == "no" else f"DEFERRABLE {deferrable.upper()}"
        words += " ENFORCED" if after.attributes["enforced"] else " NOT ENFORCED"
        words = words if "enforced" in names else words.removesuffix(" ENFORCED")
        return [alter_table(after.key, f"ALTER CONSTRAINT {name} {words}", rank.ADD_CONSTRAINT)]
    if was is None or becomes is None or was.kind != becomes.kind or was.kind == "exclude":
        return None
    needed = any(before.key in built for built in change.built_before.values())
    safe = change.online if becomes.kind == "check" else change.concurrent
    if not safe(after.key.name[:2]) or needed or not after.attributes["validated"]:
        return None
    if becomes.kind == "foreign":
        refuse_orphans(after, becomes, change)
    return list(_replaced(after, becomes, change))


def _replaced(after: Item, constraint: Constraint, change: Change) -> Iterator[Step]:
    """Let the new constraint hold before the old one goes, so that there always is one."""
    *table, name = after.key.name
    other = cut(f"{name}_new")
    if constraint.kind in {"primary", "unique"}:
        yield from through_an_index(after, constraint, other, change)
        return
    yield from validated_later(after, constraint, Key("constraint", (*table, other)), change)
    yield Step(
        drop(after.key, constraint.kind),
        rank.REQUIRE,
        again=drop(after.key, constraint.kind, if_exists=True),
    )
    yield alter_table(
        after.key, f"RENAME CONSTRAINT {quoted(other)} TO {quoted(name)}", rank.REQUIRE
    )
