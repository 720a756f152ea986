"""What a migration is made by, in one revision or in several: all that takes long to import."""

from pathlib import Path

from project.schema.autogenerate import expanding, expansion, synonym
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.migration import Migration, made
from project.schema.autogenerate.workbench import Workbench

__all__ = ["in_several", "made"]


def in_several(bench: Workbench, declared: Declared, folder: Path) -> tuple[Migration, ...]:
    """Plan the revisions that take the place of one, and prove each of them.

    Args:
        bench: The databases.
        declared: What the models say in ``info``.
        folder: Where files may be written.

    Returns:
        None of them where nothing is to be expanded.

    Raises:
        RefusedError: there is no operation for something.
        UnprovedError: one does not do what it should.
        SourceError: the worker ended.

    """
    if column := expansion.wanted(bench, declared):
        return expanding.sequence(bench, declared, column, folder)
    if table := synonym.wanted(bench, declared):
        return synonym.sequence(bench, declared, table, folder)
    return ()
