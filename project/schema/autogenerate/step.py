"""One step of a migration: an operation of Alembic as text, and how it wants to be run."""

from dataclasses import dataclass

from project.schema.autogenerate.text import literal, sql_text


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
    again: str = ""  # the form that may be run twice, where that is another one

    def written(self, *, again: bool) -> str:
        """Return the lines, with the comment."""
        code = self.again if again and self.again else self.code
        comment = "".join(f"# {line}\n" for line in self.why.splitlines())
        return comment + code


def execute(sql: str, rank: int, *, alone: bool = False, why: str = "", again: str = "") -> Step:
    """Make a step of a statement that Alembic has no operation for."""
    return Step(
        f"op.execute({sql_text(sql)})",
        rank,
        alone=alone,
        why=why,
        again=f"op.execute({sql_text(again)})" if again else "",
    )


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
