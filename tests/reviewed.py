"""The corpus of reviews: each case as revisions of one project."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from psycopg.pq import TransactionStatus
from sqlalchemy.dialects import postgresql

from project.schema import scratch
from project.schema.connections import connected
from project.schema.finding import Finding
from project.schema.reviewing.bench import Bench, Plan
from project.schema.reviewing.review import Review, examine
from project.schema.reviewing.sizes import Sizes
from project.schema.source import Source

from .foreign import BESIDE

FILE = tomllib.loads((Path(__file__).parent / "cases" / "review.toml").read_text())
CASES: list[dict[str, Any]] = FILE["case"]

ENV = """
from alembic import context
from sqlalchemy import create_engine

separate = context.config.get_main_option("separate") == "yes"
with create_engine("postgresql://nobody@127.0.0.1:1/nowhere").connect() as connection:
    context.configure(connection=connection, transaction_per_migration=separate)
    with context.begin_transaction():
        context.run_migrations()
"""

INI = f"""{BESIDE}separate = no

[separate]
script_location = %(here)s
path_separator = os
separate = yes
"""

REVISION = """
from alembic import op
import sqlalchemy as sa

revision = "{name}"
down_revision = {down!r}

def upgrade():
{up}

def downgrade():
    raise NotImplementedError("Not needed here.")
"""


@dataclass
class Reviewed:
    """All cases as revisions of one project, and a database that stands where they begin."""

    folder: Path
    server: sa.URL
    base: sa.URL
    sources: dict[bool, Source]

    def review(self, number: int, sizes: Sizes | None = None) -> Review:
        case = CASES[number]
        source = self.sources[bool(case.get("separate"))]
        begin = f"setup{number}" if "setup" in case else "start"
        names = [f"up{number}", *(f"more{number}_{n}" for n in range(len(case.get("more", ()))))]
        with scratch.database(self.server, template=str(self.base.database)) as base:
            if "setup" in case:
                source.upgrade(base, begin)
            bench = Bench(
                self.server, base, source, Plan.of(source, names), [("public", "alembic_version")]
            )
            return examine(bench, sizes or Sizes())

    def rewritten(self, number: int, review: Review, finding: Finding) -> None:
        """Run what a finding advises, after what comes before the line that it is about."""
        case, own = CASES[number], review.trial.observation.own
        places = [place for place, s in enumerate(own) if (s.file, s.line) == finding_at(finding)]
        before = own[: places[0]] if places and finding.code not in AFTERWARDS else own
        with scratch.database(self.server, template=str(self.base.database)) as base:
            if "setup" in case:
                self.sources[False].upgrade(base, f"setup{number}")
            with connected(base) as connection:
                for transaction, together in groupby(before, lambda s: s.transaction):
                    with begun(connection) if transaction else nullcontext():
                        for statement in together:
                            with failing(connection) if statement.error else nullcontext():
                                connection.execute(statement.sql.encode())
            carried_out(base, finding.remedy)

    def run_before(self, number: int, queries: Iterable[str]) -> None:
        """Run queries where the migration begins."""
        case = CASES[number]
        with scratch.database(self.server, template=str(self.base.database)) as base:
            if "setup" in case:
                self.sources[False].upgrade(base, f"setup{number}")
            with connected(base) as connection:
                for query in queries:
                    connection.execute(query.encode())


#: What is said of the end, not of a line.
AFTERWARDS = {"reference-without-index", "invalid-index"}

#: Values that are sent beside a statement; without them it cannot be sent again.
PARAMETER = re.compile(r"%\(\w+\)s")


@contextmanager
def begun(connection: psycopg.Connection) -> Iterator[None]:
    """Hold a transaction in which a statement may be COMMIT or ROLLBACK."""
    connection.execute("BEGIN")
    yield
    connection.execute("COMMIT")


@contextmanager
def failing(connection: psycopg.Connection) -> Iterator[None]:
    """Let a statement fail as it did; of what is in no transaction something may stay."""
    point = nullcontext() if is_idle(connection) else connection.transaction()
    with suppress(psycopg.Error), point:
        yield


def is_idle(connection: psycopg.Connection) -> bool:
    return connection.info.transaction_status == TransactionStatus.IDLE


def finding_at(finding: Finding) -> tuple[str, int]:
    return finding.path, finding.line or 0


def is_code(text: str) -> bool:
    """Whether there is something to run, and nothing in it that only a person can fill in."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return "…" not in text and any(line.startswith(("op.", "with ", "bind ")) for line in lines)


def carried_out(database: sa.URL, code: str) -> None:
    """Run the body of an upgrade, as Alembic would."""
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        with context.begin_transaction(), Operations.context(context) as op:
            exec(code, {"op": op, "sa": sa, "postgresql": postgresql})
        connection.commit()


@contextmanager
def reviewed(folder: Path, server: sa.URL) -> Iterator[Reviewed]:
    (folder / "alembic.ini").write_text(INI)
    (folder / "env.py").write_text(ENV)
    (folder / "versions").mkdir()

    def write(name: str, down: str | None, up: str) -> None:
        text = REVISION.format(name=name, down=down, up=indent(dedent(up).strip("\n"), "    "))
        (folder / "versions" / f"{name}.py").write_text(text)

    write("start", None, f"op.execute({FILE['base']!r})")
    for number, case in enumerate(CASES):
        down = "start"
        if "setup" in case:
            write(f"setup{number}", down, f"op.execute({case['setup']!r})")
            down = f"setup{number}"
        write(f"up{number}", down, case["up"])
        down = f"up{number}"
        for place, more in enumerate(case.get("more", ())):
            write(f"more{number}_{place}", down, more)
            down = f"more{number}_{place}"
    with ExitStack() as stack:
        base = stack.enter_context(scratch.database(server))
        sources = {
            separate: stack.enter_context(
                Source.open(folder / "alembic.ini", scratch=base, section=section)
            )
            for separate, section in ((False, "alembic"), (True, "separate"))
        }
        sources[False].upgrade(base, "start")
        yield Reviewed(folder, server, base, sources)
