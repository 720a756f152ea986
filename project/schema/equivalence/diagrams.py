"""Decision diagrams: what is true, false or NULL, by the answers to questions in a fixed order.

One that tells the same in all cases is the same, whatever it was made of: of two questions the one
that comes first is asked first, and one whose answer does not matter is not asked.

Source: Bryant, "Graph-Based Algorithms for Boolean Function Manipulation".
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

#: What a diagram yields, and how a question may be answered.
Value = bool | None
Answer = Value | int


class Question(NamedTuple):
    """What is asked; questions come in the order of these texts."""

    about: str
    what: str
    answers: tuple[Answer, ...]


#: A question, a diagram for each answer to it, and nothing; or no question, and what is yielded.
_Node = tuple[Question | None, tuple[int, ...], Value]

#: How many nodes the diagrams of one condition may have: a few milliseconds' worth.
ROOM = 2000


class TooLargeError(Exception):
    """A diagram has no room."""


class Diagrams:
    """Diagrams by number; those that tell the same have the same one."""

    def __init__(self) -> None:
        self._nodes: list[_Node] = []
        self._numbers: dict[_Node, int] = {}
        self._combined: dict[tuple[object, ...], int] = {}

    def constant(self, value: Value) -> int:
        """Return what always yields one value."""
        return self._numbered((None, (), value))

    def answered(self, question: Question, told: Callable[[Answer], Value]) -> int:
        """Return what yields something for each answer to one question."""
        return self._branched(question, (self.constant(told(a)) for a in question.answers))

    def combined(self, function: Callable[..., Value], *diagrams: int) -> int:
        """Return what yields `function` of what each of some yields.

        Raises:
            TooLargeError: it has more than `ROOM` nodes.

        """
        key = (function, *diagrams)
        if key not in self._combined:
            self._combined[key] = self._made(function, *diagrams)
        return self._combined[key]

    def _made(self, function: Callable[..., Value], *diagrams: int) -> int:
        nodes = [self._nodes[number] for number in diagrams]
        questions = [question for question, _, _ in nodes if question is not None]
        if not questions:
            return self.constant(function(*(value for _, _, value in nodes)))
        first = min(questions, key=lambda question: question[:2])
        parts = [
            below if question == first else (number,) * len(first.answers)
            for number, (question, below, _) in zip(diagrams, nodes, strict=True)
        ]
        return self._branched(first, (self.combined(function, *each) for each in zip(*parts)))  # noqa: B905

    def _branched(self, question: Question, branches: Iterator[int]) -> int:
        below = tuple(branches)
        return below[0] if len(set(below)) == 1 else self._numbered((question, below, None))

    def _numbered(self, node: _Node) -> int:
        if node not in self._numbers:
            if len(self._nodes) == ROOM:
                raise TooLargeError
            self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
        return self._numbers[node]

    def written(self, diagram: int) -> tuple[str, ...]:
        """Write a diagram, alike for all that are the same, here and elsewhere."""
        numbers: dict[int, int] = {}
        lines: list[str] = []

        def write(number: int) -> int:
            if number not in numbers:
                question, below, value = self._nodes[number]
                parts = [write(each) for each in below]
                asked = question and f"{question.about} {question.what} {parts}"
                lines.append(asked or str(value))
                numbers[number] = len(numbers)
            return numbers[number]

        write(diagram)
        return tuple(lines)
