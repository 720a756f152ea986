"""What recipes look up: what was there, what a migration makes, and how to write it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import indent

from project.schema.autogenerate.definitions import parse
from project.schema.autogenerate.step import call, executed
from project.schema.autogenerate.text import cut, dotted, in_schema, literal, quoted
from project.schema.snapshot import Item, Key, Snapshot

Path = tuple[str, ...]


@dataclass(frozen=True)
class Catalogs:
    """The catalogs before a migration and after it."""

    before: Snapshot
    after: Snapshot

    def column(self, table: Path, name: str, *, was: bool = False) -> Item | None:
        """Find a column."""
        items = (self.before if was else self.after).items
        return items.get(Key("column", (*table, name)))

    def made(self, kind: str, table: Path, name: str = "", begins: str = "") -> Item | None:
        """Find what a migration made of a table; the first one where it has no name."""
        for item in self.after.of_kind(kind):
            *path, own = item.key.name
            old = self.before.items.get(item.key)
            changed = old is None or old.attributes["definition"] != item.attributes["definition"]
            starts = str(item.attributes["definition"]).startswith(begins)
            if tuple(path) == table and changed and starts and name in ("", own):
                return item
        return None

    def parts(self, kind: str, table: Path) -> Iterator[Item]:
        """Yield what a table had."""
        return (item for item in self.before.of_kind(kind) if item.key.name[:2] == table)

    def is_partitioned(self, table: Path) -> bool:
        """Whether rows are in partitions, each with indexes of its own."""
        item = self.before.items.get(Key("table", table))
        return bool(item and item.attributes["partitioned by"])

    def partitions(self, table: Path) -> list[Path]:
        """Return the partitions of a table."""
        names = (".".join(table), dotted(table), ".".join(map(quoted, table)))
        return [
            item.key.name
            for item in self.before.of_kind("table")
            if item.attributes["partition of"] in names
        ]

    def key(self, table: Path) -> list[str]:
        """Return the columns of a table's primary key."""
        for item in self.parts("constraint", table):
            found = parse(item)
            if found is not None and found.kind == "primary":
                return list(found.columns)
        return []


def path(name: str) -> Path:
    """Return schema and name of what a statement names."""
    schema, _, table = name.rpartition(".")
    return schema or "public", table


def alone(*lines: str) -> str:
    """Put operations where each commits by itself, after what is above them."""
    return "with op.get_context().autocommit_block():\n" + indent("\n".join(lines), "    ")


#: Characters that fit beside each other on a page.
WIDTH = 88


def folded(code: str) -> str:
    """Put the arguments of calls that are too long for a line on lines of their own."""
    return "\n".join(_folded(line) if len(line) > WIDTH else line for line in code.split("\n"))


def _folded(line: str) -> str:
    begin = line[: len(line) - len(line.lstrip())]
    try:
        (statement,) = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):  # one of several lines, or a comment
        return line
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or len(call.args) + len(call.keywords) < 2:  # noqa: PLR2004
        return line
    parts = [ast.get_source_segment(line.strip(), each) for each in (*call.args, *call.keywords)]
    function = ast.get_source_segment(line.strip(), call.func)
    return "\n".join(
        (f"{begin}{function}(", *(f"{begin}    {part}," for part in parts), f"{begin})")
    )


def alter(table: Path, words: str) -> str:
    """Write an ALTER TABLE."""
    return executed(f"ALTER TABLE {dotted(table)} {words}")


def validate(table: Path, name: str) -> str:
    """Write what looks at the rows while they are read and written, without the lock above."""
    return alone(alter(table, f"VALIDATE CONSTRAINT {quoted(name)}"))


def alter_column(table: Path, column: str, **named: object) -> str:
    """Write an ``op.alter_column``."""
    return call(
        "op.alter_column", literal(table[1]), literal(column), **named, schema=in_schema(table)
    )


def drop_constraint(table: Path, name: str) -> str:
    """Write an ``op.drop_constraint``."""
    return call("op.drop_constraint", literal(name), literal(table[1]), schema=in_schema(table))


def required(table: Path, column: str) -> str:
    """Make a column NOT NULL: with a valid check, PostgreSQL need not look at the rows."""
    name = cut(f"{table[1]}_{column}_not_null_check")
    return "\n".join(
        (
            alter(
                table,
                f"ADD CONSTRAINT {quoted(name)} CHECK ({quoted(column)} IS NOT NULL) NOT VALID",
            ),
            validate(table, name),
            alter_column(table, column, nullable=False),
            drop_constraint(table, name),
        )
    )
