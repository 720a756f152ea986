"""Is data lost? Rows before and after are compared; tables and columns are known by identity.

A table that is renamed keeps its oid and a column its number, so neither a rename nor a move is
taken for a loss, and a column that is dropped and made again under its name is one.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from project.schema.connections import Connection
from project.schema.finding import Finding
from project.schema.hazards import casts
from project.schema.hazards.codes import CODES
from project.schema.hazards.fitting import rounded
from project.schema.rows import Contents, Loss, Rows, losses, read

Name = tuple[str, str]

#: What a column is called that was not there before.
NEW = "{} (new)"

TABLES = """
    SELECT class.oid::int8, nspname, relname, relispartition,
        array(
            SELECT json_build_array(attnum, attname, format_type(atttypid, atttypmod))
            FROM pg_attribute WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
            ORDER BY attnum
        )
    FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
"""


@dataclass(frozen=True)
class Table:
    """A table's identity and its columns': number → name and type."""

    oid: int
    name: Name
    is_partition: bool
    columns: Mapping[int, tuple[str, str]]


@dataclass(frozen=True)
class Picture:
    """The tables of a database at one time, and the rows of those that matter."""

    tables: Mapping[int, Table]
    contents: Contents


def picture(
    connection: Connection, wanted: Collection[Name | int] | None, leave_out: Collection[Name]
) -> Picture:
    """Take a picture.

    Args:
        connection: In no transaction.
        wanted: Name or oid of the tables whose rows matter, with those that are new under such a
            name; None for all.
        leave_out: Tables that are not the user's.

    """
    tables = {
        oid: Table(oid, (schema, name), part, {c[0]: (c[1], c[2]) for c in columns})
        for oid, schema, name, part, columns in connection.execute(TABLES)
    }
    without = {
        table.name
        for table in tables.values()
        if wanted is not None and table.oid not in wanted and table.name not in wanted
    }
    return Picture(tables, read(connection, [*leave_out, *without]))


def lost(
    before: Picture, after: Picture, connection: Connection, deleted: Collection[int]
) -> Iterator[Finding]:
    """Compare two pictures.

    Args:
        before: Before the migration.
        after: After it.
        connection: To the database as it is after it; casts values back.
        deleted: Oids of the tables from which rows were seen to be deleted.

    """
    kept = {table.name for oid, table in after.tables.items() if oid not in deleted}
    as_before = _under_old_names(before, after)
    types = _types(before, after)
    detached = {
        before.tables[table.oid].name
        for table in after.tables.values()
        if table.oid in before.tables
        and before.tables[table.oid].is_partition
        and not table.is_partition
    }
    told: set[tuple[str, str]] = set()  # rows without a key may be compared in several ways
    for loss in losses(before.contents, as_before):
        name = (loss.schema, loss.table)
        if loss.column is None and detached and name in as_before:
            continue  # the rows are in a table of their own now
        if loss.column is None and name in kept and _as_many(before, as_before, name):
            yield _renumbered(loss)
            continue
        for finding in _finding(loss, before, as_before, types, connection):
            if (finding.code, finding.object) not in told:
                told.add((finding.code, finding.object))
                yield finding
    for (schema, table, column), changed in types.items():
        about = f"{schema}.{table}.{column}".removeprefix("public.")
        example = rounded(*changed)
        if (
            example
            and before.contents.get((schema, table))
            and ("cast-loses-data", f"column {about}") not in told
        ):
            yield _cast(about, changed, example)


def _as_many(before: Picture, after: Mapping[Name, Rows], name: Name) -> bool:
    return name in after and len(after[name].rows) >= len(before.contents[name].rows)


def _renumbered(loss: Loss) -> Finding:
    table = f"{loss.schema}.{loss.table}".removeprefix("public.")
    message = f"{loss.count} rows of {table} get another key."
    return _about("values-overwritten", message, f"table {table}", loss)


def _under_old_names(before: Picture, after: Picture) -> dict[Name, Rows]:
    """Give the rows of after the names of before, by oid and by number of the column."""
    found: dict[Name, Rows] = {}
    new_names = {table.name for table in after.tables.values()}
    for oid, old in before.tables.items():
        new = after.tables.get(oid)
        if new is None:
            if old.name in new_names and old.name in after.contents:
                found[old.name] = after.contents[old.name]  # copied and swapped
            continue
        if new.is_partition and not old.is_partition and old.name in before.contents:
            found[old.name] = before.contents[old.name]  # its rows are read with the others now
            continue
        rows = after.contents.get(new.name)
        if rows is not None:
            names = {
                name: old.columns[number][0]
                for number, (name, _) in new.columns.items()
                if number in old.columns
            }
            columns = tuple(names.get(column, NEW.format(column)) for column in rows.columns)
            found[old.name] = Rows(columns, rows.key, rows.rows)
    return found


def _types(before: Picture, after: Picture) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return the types of columns before and after, of those whose type changed."""
    return {
        (*old.name, old.columns[number][0]): (old.columns[number][1], type_)
        for oid, old in before.tables.items()
        if oid in after.tables
        for number, (_, type_) in after.tables[oid].columns.items()
        if number in old.columns and old.columns[number][1] != type_
    }


def _finding(
    loss: Loss,
    before: Picture,
    after: Mapping[Name, Rows],
    types: Mapping[tuple[str, str, str], tuple[str, str]],
    connection: Connection,
) -> Iterator[Finding]:
    name = (loss.schema, loss.table)
    table = loss.table if loss.schema == "public" else f"{loss.schema}.{loss.table}"
    if loss.column is None:
        gone = name not in after
        code = "table-lost" if gone else "rows-deleted"
        what = f"The table {table} is dropped" if gone else f"Rows of {table} are deleted"
        yield _about(
            code, f"{what}: {loss.count} of {loss.count} rows seen.", f"table {table}", loss
        )
        return
    about = f"column {table}.{loss.column}"
    if loss.column not in after[name].columns:
        if _is_kept(loss.column, before.contents[name], after[name], connection):
            return
        yield _about("column-lost", f"The column {table}.{loss.column} is dropped.", about, loss)
    elif changed := types.get((*name, loss.column)):
        if example := casts.not_cast_back(
            loss.column, before.contents[name], after[name], changed, connection
        ):
            yield _cast(f"{table}.{loss.column}", changed, example)
    elif _is_value(loss):
        message = f"{loss.count} values of {table}.{loss.column} are replaced."
        yield _about("values-overwritten", message, about, loss)


def _is_kept(column: str, old: Rows, new: Rows, connection: Connection) -> bool:
    """Whether all values of a column that is gone are in another one that is new."""
    if len(old.rows) != len(new.rows):
        return False
    values = [row[old.columns.index(column)] for row in old.rows]
    for place, name in enumerate(new.columns):
        # That two columns hold one value everywhere says nothing, unless they have one name.
        alike = name == NEW.format(column) or len(set(values) - {None}) > 1
        if name in old.columns or not alike or not any(values):
            continue
        pairs = zip(values, (row[place] for row in new.rows), strict=True)
        if all(casts.is_same(one, other, connection) for one, other in pairs):
            return True
    return False


def _cast(column: str, types: tuple[str, str], example: str) -> Finding:
    return Finding(
        "cast-loses-data",
        f"As {types[1]}, {column} does not hold all that {types[0]} does.",
        object=f"column {column}",
        found=example,
    )


def _is_value(loss: Loss) -> bool:
    """Tell a value that was there from a NULL that is filled in."""
    return ": NULL →" not in loss.example


def _about(code: str, message: str, about: str, loss: Loss) -> Finding:
    remedy = {
        "table-lost": "# a release that does without it first; rename it, and drop it when nobody"
        " has asked for it",
        "column-lost": "# a release that does without it first: deferred or removed in the model;"
        " drop it in a later one",
        "rows-deleted": "# copy what may be asked for again into a table of its own before",
    }
    return Finding(
        code,
        message,
        level=CODES[code].level,
        object=about,
        found=loss.example,
        remedy=remedy.get(code, ""),
    )
