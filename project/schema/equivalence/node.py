"""A stored expression as a tree of tuples."""

import re
from typing import Any

from project.schema.equivalence.knowledge import Knowledge

#: A part of a tree: a word, or a node with its parts, the label first. A list's label is "(".
Node = str | tuple["Node", ...]

PART = re.compile(r"[{}()]|(?:\\.|[^\s{}()\\])+", re.DOTALL)

#: What may be another thing each time, or stands for something else.
UNSTEADY = {"SUBLINK", "CASETESTEXPR", "NEXTVALUEEXPR"}


def read(stored: str) -> Node:
    """Read a tree as the server prints it."""
    open_: list[list[Node]] = [[]]
    for match in PART.finditer(stored):
        part = match[0]
        if part == "{":
            open_.append([])
        elif part == "(":
            open_.append(["("])
        elif part in "})":
            closed = tuple(open_.pop())
            open_[-1].append(closed)
        else:
            open_[-1].append(part)
    return tuple(open_[0])


def fields(node: tuple[Node, ...], name: str, without: Any) -> Any:  # noqa: ANN401
    """Return what stands after a name up to the next, mostly one part, as a tuple."""
    if name not in node:
        return without
    first = node.index(name) + 1
    last = first + 1
    while last < len(node) and not (isinstance(node[last], str) and node[last][0] == ":"):
        last += 1
    return node[first:last]


def field(node: tuple[Node, ...], name: str) -> Any:  # noqa: ANN401
    """Return the first part after a name; nothing, if there is no such name."""
    return fields(node, name, ("",))[0]


def steady(node: Node, known: Knowledge) -> bool:
    """Tell whether it does not matter how often a part is evaluated."""
    if isinstance(node, str):
        return True
    called = [part for name in (":funcid", ":opfuncid") for part in fields(node, name, ())]
    called += node[1:2] if node[:1] == ("CALL",) else []
    if not all(number in known.steady for number in called):
        return False
    return node[:1] not in [(label,) for label in UNSTEADY] and all(steady(p, known) for p in node)
