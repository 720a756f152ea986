"""How large production's tables are, as far as somebody says so."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from project.schema.configuration import UsageError
from project.schema.reviewing.observation import Relation, Work

#: Reads what :func:`load` reads; of the catalog only, so it costs nothing.
QUERY = """
    SELECT nspname || '.' || relname AS table, greatest(reltuples, 0)::bigint AS rows,
        pg_total_relation_size(class.oid) AS bytes
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    ORDER BY 1
"""

#: With fewer rows, all work is done in an instant.
FEW = 10_000

#: Rows a second, on the slow side; what counts is the order of magnitude.
SPEED = {
    "rewrite": 200_000,
    "build": 500_000,
    "scan": 2_000_000,
    "update": 50_000,
    "delete": 50_000,
}

CLASSES = ((1, "under a second"), (60, "seconds"), (3600, "minutes"), (24 * 3600, "hours"))


@dataclass(frozen=True)
class Sizes:
    """Rows and bytes of tables by ``schema.table``; empty where nothing is known."""

    tables: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    few: int = FEW

    def matters(self, table: Relation) -> bool:
        """Whether work on a table can take long; without sizes, whatever is there may be large."""
        if not self.tables:
            return True
        rows, _ = self.tables.get(f"{table.schema}.{table.name}", (0, 0))
        return rows >= self.few

    def rows(self, table: Relation) -> str:
        """Say how many rows a table has, in parentheses; "" where it is not known."""
        known = self.tables.get(f"{table.schema}.{table.name}")
        return f" ({human(known[0])} rows, {human(known[1])}B in production)" if known else ""

    def how_long(self, work: tuple[Work, ...]) -> str:
        """Say the order of magnitude of some work; "" where nothing is known."""
        seconds = 0.0
        for each in work:
            rows, _ = self.tables.get(f"{each.table.schema}.{each.table.name}", (0, 0))
            seconds += rows / SPEED.get(each.kind, SPEED["scan"])
        if not seconds:
            return ""
        return f", for {next((name for end, name in CLASSES if seconds < end), 'days')}"


def human(number: int) -> str:
    """Write a number in three digits: ``120 M``."""
    value, unit = float(number), ""
    for unit in ("", " k", " M", " G", " T"):  # noqa: B007
        if value < 1000:  # noqa: PLR2004
            break
        value /= 1000
    return f"{value:.3g}{unit}"


def load(path: Path) -> Sizes:
    """Read a file of sizes: CSV with a header, or JSON.

    Args:
        path: ``table,rows,bytes`` with the schema in the table's name, as ``scripts/sizes`` makes
            it; or a list of objects with those members.

    Raises:
        UsageError: it cannot be read.

    """
    try:
        text = path.read_text()
        told = (
            json.loads(text)
            if text.lstrip()[:1] == "["
            else list(csv.DictReader(text.splitlines()))
        )
        return Sizes({each["table"]: (int(each["rows"]), int(each["bytes"])) for each in told})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"The sizes in {path} cannot be read ({type(error).__name__}: {error}); expected CSV"
            " with the columns table, rows and bytes, as scripts/sizes prints it."
        ) from None


def ask(connection: "psycopg.Connection[tuple[str, int, int]]") -> Sizes:
    """Read the sizes from a live database's catalog; nothing else of it is touched."""
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        rows = connection.execute(QUERY).fetchall()
    return Sizes({table: (count, size) for table, count, size in rows})
