"""In which order tables can be filled: parents first, and circles together."""

from collections.abc import Callable, Collection, Iterable

from project.schema.rows.tables import Name


def components(
    names: Collection[Name], parents: Callable[[Name], Iterable[Name]]
) -> list[list[Name]]:
    """Group tables so that each group refers to itself and to groups before it only.

    Tarjan's algorithm: a group is found when the search leaves the table by which it came in.

    Args:
        names: The tables; others that they refer to do not count.
        parents: Tells to which tables a table refers.

    """
    entered: dict[Name, int] = {}
    earliest: dict[Name, int] = {}  # the table entered first that is reachable and still open
    opened: list[Name] = []
    result: list[list[Name]] = []

    def visit(name: Name) -> None:
        entered[name] = earliest[name] = len(entered)
        opened.append(name)
        for parent in parents(name):
            if parent not in names:
                continue
            if parent not in entered:
                visit(parent)
            if parent in opened:
                earliest[name] = min(earliest[name], earliest[parent])
        if earliest[name] == entered[name]:
            place = opened.index(name)
            result.append(sorted(opened[place:]))
            del opened[place:]

    for name in sorted(names):
        if name not in entered:
            visit(name)
    return result
