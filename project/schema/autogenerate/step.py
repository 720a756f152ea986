"""One step of a migration: an operation of Alembic as text, and how it wants to be run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import indent, wrap

from project.schema.autogenerate.text import dotted, in_schema, literal, quoted, sql_text
from project.schema.snapshot import Key

#: Of a comment's text; it stands within two blocks at the most.
WIDTH = 88


@dataclass(frozen=True)
class Once:
    """Statements that may be run twice, though PostgreSQL has no IF EXISTS for them.

    Attributes:
        condition: A query that finds something while they are still to be done.
        statements: What is to be done then.

    """

    condition: str
    statements: tuple[str, ...]

    @property
    def code(self) -> str:
        """Write ``op.execute``."""
        done = "".join(f"{_indented(statement)};\n" for statement in self.statements)
        return executed(
            f"DO $$\nBEGIN\n    IF EXISTS (\n{_indented(self.condition)}\n    ) THEN\n{done}"
            "    END IF;\nEND $$"
        )


def _indented(sql: str) -> str:
    """Indent lines, but not what a literal has after its first."""
    literal_ends = any(line.count("'") % 2 for line in sql.splitlines())
    return f"        {sql}" if literal_ends else indent(sql, "        ")


@dataclass(frozen=True)
class Step:
    """An operation.

    A step that is `alone` cannot share a transaction with others, or must not: it builds an index
    beside running requests, or validates a constraint without the lock that adding it took. Before
    it, everything is committed; should it fail, the migration is run again from its beginning. So
    what stands before such a step is written in the form that may be run twice.
    """

    code: str  # Python, of one or more lines
    rank: int  # where it stands among steps that do not depend on each other
    alone: bool = False
    why: str = ""  # what a reader must know, as a comment above it
    again: str | Once = ""  # the form that may be run twice, where that is another one

    def written(self, *, again: bool) -> str:
        """Return the lines, with the comment."""
        code = self.again.code if isinstance(self.again, Once) else self.again
        return self.comment + (code if again and code else self.code)

    @property
    def comment(self) -> str:
        """Return the lines of the comment, if there is one."""
        return "".join(f"# {line}\n" for line in _lines(self.why))


def _lines(why: str) -> Iterator[str]:
    """Break sentences into lines; a query, and what is indented to be copied, stays on one."""
    for line in why.splitlines():
        if line.startswith(("loses:", "assumes:", " ")):
            yield line
        else:
            yield from wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False)


def execute(
    sql: str,
    rank: int,
    *,
    alone: bool = False,
    why: str = "",
    again: str | Sequence[str] | Once = (),
) -> Step:
    """Make a step of a statement that Alembic has no operation for.

    Args:
        sql: The statement.
        rank: Where it stands.
        alone: Whether it wants no transaction.
        why: What a reader must know.
        again: The statement, or those, that may be run twice, where it may not.

    """
    if not isinstance(again, Once):
        statements = [again] if isinstance(again, str) else again
        again = "\n".join(executed(statement) for statement in statements if statement)
    return Step(executed(sql), rank, alone=alone, why=why, again=again)


def executed(sql: str) -> str:
    """Write ``op.execute``."""
    return f"op.execute({sql_text(sql)})"


def call(function: str, /, *arguments: str, **named: object) -> str:
    """Write a call: positional arguments as they are, named ones as literals, None left out.

    A named argument that is already Python (``sa.text(…)``) is given as :class:`Code`.
    """
    given = [*arguments]
    given += [
        f"{key}={value.text if isinstance(value, Code) else literal(value)}"
        for key, value in named.items()
        if value is not None
    ]
    return f"{function}({', '.join(given)})"


@dataclass(frozen=True)
class Code:
    """An argument that is Python already."""

    text: str


def in_sql(text: str) -> Code:
    """Write an argument that is SQL."""
    return Code(f"sa.text({sql_text(text)})")


def alter_column(key: Key, rank: int, why: str = "", **named: object) -> Step:
    """Make a step of ``op.alter_column``."""
    *schema, table, column = key.name
    arguments = (literal(table), literal(column))
    return Step(
        call("op.alter_column", *arguments, **named, schema=in_schema(schema)), rank, why=why
    )


def alter_table(key: Key, words: str, rank: int, *, alone: bool = False, why: str = "") -> Step:
    """Make a step of ``ALTER TABLE`` for the table of what `key` names."""
    return execute(f"ALTER TABLE {dotted(key.name[:2])} {words}", rank, alone=alone, why=why)


def set_column(key: Key, words: str, rank: int, *, why: str = "") -> Step:
    """Make a step of ``ALTER TABLE … ALTER COLUMN``."""
    return alter_table(key, f"ALTER COLUMN {quoted(key.name[-1])} {words}", rank, why=why)
