"""The states between the first and the last of an expansion, as statements that make them."""

from collections.abc import Iterator

from psycopg import sql

from project.schema.autogenerate.expansion import Expansion
from project.schema.autogenerate.text import dotted, quoted
from project.schema.autogenerate.workbench import Workbench
from project.schema.snapshot import Key


def expanded(expansion: Expansion, bench: Workbench) -> Iterator[str]:
    """Make the new column, and the trigger that gives each row its value."""
    table = dotted(expansion.column.name[:2])
    new = bench.after.catalog.items[expansion.becomes].attributes
    name = quoted(expansion.new.name[-1])
    collation = f" COLLATE {new['collation']}" if new.get("collation") else ""
    yield f"ALTER TABLE {table} ADD COLUMN {name} {new['type']}{collation}"
    yield (
        f"CREATE FUNCTION {expansion.program}() RETURNS trigger LANGUAGE plpgsql AS $expand$\n"
        f"BEGIN\n"
        f"{_both_ways(expansion) if expansion.renamed else _one_way(expansion)}"
        f"    RETURN NEW;\n"
        f"END $expand$"
    )
    yield (
        f"CREATE TRIGGER {expansion.trigger} BEFORE INSERT OR UPDATE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {expansion.program}()"
    )


def _one_way(expansion: Expansion) -> str:
    """Nobody writes the new column before it has the name."""
    name = quoted(expansion.new.name[-1])
    return f"    NEW.{name} := (SELECT {expansion.forth} FROM (SELECT NEW.*) AS row);\n"


def _both_ways(expansion: Expansion) -> str:
    """Each release writes the name that it knows. As texts: json is not compared otherwise."""
    old, new = quoted(expansion.column.name[-1]), quoted(expansion.new.name[-1])
    return (
        f"    IF TG_OP = 'INSERT' THEN\n"
        f"        NEW.{new} := coalesce(NEW.{new}, NEW.{old});\n"
        f"        NEW.{old} := NEW.{new};\n"
        f"    ELSIF NEW.{new}::text IS DISTINCT FROM OLD.{new}::text THEN\n"
        f"        NEW.{old} := NEW.{new};\n"
        f"    ELSE\n"
        f"        NEW.{new} := NEW.{old};\n"
        f"    END IF;\n"
    )


def filled(expansion: Expansion, bench: Workbench) -> Iterator[str]:
    """Promise of the new column what the models say, and build on it what they do."""
    table = dotted(expansion.column.name[:2])
    if not bench.after.catalog.items[expansion.becomes].attributes["nullable"]:
        yield f"ALTER TABLE {table} ALTER COLUMN {quoted(expansion.new.name[-1])} SET NOT NULL"
    # The server itself writes the definitions, of the models' table with the other names.
    with bench.models.transaction(force_rollback=True):
        for key in (expansion.becomes, *expansion.parts):
            if expansion.interim(key) != key:
                bench.models.execute(_renaming(key, expansion.interim(key)).encode())
        definitions = [*_definitions(expansion, bench)]
    yield from definitions


def _renaming(key: Key, new: Key) -> str:
    table, old, name = dotted(key.name[:2]), quoted(key.name[-1]), quoted(new.name[-1])
    if key.kind == "index":
        return f"ALTER INDEX {dotted((key.name[0], key.name[-1]))} RENAME TO {name}"
    kind = "COLUMN" if key.kind == "column" else "CONSTRAINT"
    return f"ALTER TABLE {table} RENAME {kind} {old} TO {name}"


def _definitions(expansion: Expansion, bench: Workbench) -> Iterator[str]:
    for key in expansion.parts:
        schema, table, name = expansion.interim(key).name
        # A table has one primary key: until the names change over, this one is its index only.
        if key.kind == "index" or key == expansion.primary:
            query = sql.SQL("SELECT pg_get_indexdef({}::regclass)")
            row = bench.models.execute(query.format(dotted((schema, name)))).fetchone()
            yield str(row and row[0])
        else:
            query = sql.SQL(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE conrelid = {}::regclass AND conname = {}"
            )
            relation = dotted((schema, table))
            row = bench.models.execute(query.format(relation, name)).fetchone()
            yield f"ALTER TABLE {relation} ADD CONSTRAINT {quoted(name)} {row and row[0]}"
