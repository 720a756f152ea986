"""What became of sequences, which only shows once somebody takes a number."""

import re
from collections.abc import Iterator, Mapping, Sequence

from project.schema.connections import Connection
from project.schema.finding import Finding
from project.schema.reviewing.consequences import MAY, noted
from project.schema.reviewing.observation import Relation
from project.schema.snapshot import MISSING, Difference, Snapshot

#: A sequence by its identity, and the table whose column owns it.
SEQUENCES = """
    SELECT class.oid::int8, nspname, class.relname, owner.refobjid IS NOT NULL
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    LEFT JOIN pg_depend AS owner ON owner.classid = 'pg_class'::regclass
        AND owner.objid = class.oid AND owner.refobjsubid > 0 AND owner.deptype IN ('a', 'i')
    WHERE relkind = 'S'
"""


def renamed_or_gone(
    before: Mapping[int, Relation], catalog: Snapshot, after: Snapshot, connection: Connection
) -> Iterator[Finding]:
    """Find sequences that a column owned, and that are called otherwise now or are gone."""
    now = {oid: (schema, name, owned) for oid, schema, name, owned in connection.execute(SEQUENCES)}
    names = {(schema, name) for schema, name, _ in now.values()}
    gone = {
        item.key.name[:2]
        for item in catalog.of_kind("column")
        if item.key not in after.items
        or (item.attributes["identity"] and not after.items[item.key].attributes["identity"])
    }
    for oid, old in before.items():
        if old.kind != "S":
            continue
        _, name, owned = now.get(oid, ("", "", False))
        table = before.get(old.parent)
        if owned and old.name != name:
            yield noted(
                MAY,
                f"The sequence {old} is called {name} now; who names it in nextval(), currval() or"
                " setval() fails.",
                f"sequence {old}",
                f"# take its name from pg_get_serial_sequence() first, or keep {old.name}",
            )
        elif oid not in now and table and (old.schema, old.name) not in names:
            if (table.schema, table.name) in gone:
                continue  # with its column or its identity, which is told
            yield noted(
                MAY,
                f"The sequence {old} is gone; who names it in nextval(), currval() or setval()"
                " fails.",
                f"sequence {old}",
                "# drop it a release after the last caller",
            )


def of_catalog(differing: Sequence[Difference]) -> Iterator[Finding]:
    """Find sequences that are gone, or end earlier."""
    for difference in differing:
        name = ".".join(difference.key.name).removeprefix("public.")
        told = difference.expected, difference.found
        if difference.key.kind == "column" and difference.attribute == "numbered by":
            yield from _exhausted(f"of {name}", *map(_last, told))
        elif difference.key.kind == "sequence" and difference.attribute == "maximum":
            yield from _exhausted(name, *told)
        elif difference.key.kind == "sequence" and difference.found is MISSING:
            yield noted(
                MAY,
                f"The sequence {name} is gone; whoever calls it fails.",
                f"sequence {name}",
                "# drop it a release after the last caller",
            )


#: A sequence that ends there or later is taken for one that was given its end on purpose.
MANY = 1_000_000


def _last(counting: object) -> object:
    """Return the last number of a sequence that belongs to a column."""
    found = re.search(r" within \S+ (\S+)", str(counting))
    return int(found[1]) if found else None


def _exhausted(sequence: str, old: object, new: object) -> Iterator[Finding]:
    if isinstance(old, int) and isinstance(new, int) and new < old and new < MANY:
        yield noted(
            MAY,
            f"The sequence {sequence} ends at {new} now, and at {old} before: who takes a number"
            " after that fails, or gets one a second time.",
            f"sequence {sequence.removeprefix('of ')}",
            "SELECT last_value FROM pg_sequences  -- first; leave room for years",
        )
