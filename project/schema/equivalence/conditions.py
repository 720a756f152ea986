"""Conditions: what each tells in every case that there is.

``a > 0`` and ``a > 0 AND a > 0``, ``b IS TRUE`` and ``b IS NOT DISTINCT FROM true`` are true, false
or NULL in the same cases. So a condition is written here as a decision diagram, which is the same
for all that tell the same. What it asks: whether an operand is NULL, how two of them stand in the
order of their B-trees, what anything else yields. Of how these hang together nothing is known
(``a > 1`` and ``a > 2``), but that a comparison with NULL is NULL.

NULL is a third answer also where it counts as false, as after WHERE, or as true, as in CHECK: who
writes ``OR a IS NULL`` says something. CASE stays as it is, for it says what must not be evaluated;
and so does what is not the same each time.

Source: PostgreSQL, "Logical Operators", "Comparison Functions and Operators".
"""

import operator
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce

from project.schema.equivalence.diagrams import Diagrams, Question, TooLargeError, Value
from project.schema.equivalence.knowledge import EQUAL, UNEQUAL, Knowledge
from project.schema.equivalence.node import Node, field, fields, steady

#: What yields a boolean, whatever it is made of.
CONDITIONS = {"JOINED", "NOT", "COMPARISON", "DISTINCT", "BOOLEANTEST", "NULLTEST"}

#: Where the type stands of what may yield one.
TYPES = {"VAR": ":vartype", "CONST": ":consttype", "COALESCEEXPR": ":coalescetype"}

BOOLEAN = "16"

#: The B-trees of booleans.
BOOLEANS = "424"

#: What the comparisons tell of two values; they are numbered as B-trees do.
COMPARISONS: dict[int, Callable[..., bool]] = {
    1: operator.lt,
    2: operator.le,
    EQUAL: operator.eq,
    4: operator.ge,
    5: operator.gt,
    UNEQUAL: operator.ne,
}

#: ``IS TRUE``, ``IS NOT TRUE``, ``IS FALSE``, ``IS NOT FALSE``, ``IS UNKNOWN``, ``IS NOT UNKNOWN``.
TESTS: tuple[Callable[[Value], Value], ...] = (
    lambda value: value is True,
    lambda value: value is not True,
    lambda value: value is False,
    lambda value: value is not False,
    lambda value: value is None,
    lambda value: value is not None,
)
IS_NULL = TESTS[4]


class _UnsteadyError(Exception):
    """What is asked may have another answer each time."""


def told(node: Node, known: Knowledge) -> Node:
    """Write the conditions in a tree as what they tell.

    Args:
        node: In one form for what needs no cases to be the same.
        known: What the server says of its functions.

    """
    if isinstance(node, str) or not node:
        return node
    if _is_condition(node):
        with suppress(_UnsteadyError, TooLargeError):
            diagrams = Diagrams()
            diagram = _Reading(diagrams, known).condition(node)
            return ("DIAGRAM", *diagrams.written(diagram))
    return tuple(told(part, known) for part in node)


def _is_condition(node: Node) -> bool:
    if isinstance(node, str) or not node:
        return False
    label = str(node[0])
    if label == "CALL":
        return node[2] == BOOLEAN
    return label in CONDITIONS or (label in TYPES and field(node, TYPES[label]) == BOOLEAN)


@dataclass(frozen=True)
class _Reading:
    """Conditions read as diagrams."""

    diagrams: Diagrams
    known: Knowledge

    def condition(self, node: tuple[Node, ...]) -> int:
        combined = self.diagrams.combined
        match node[0]:
            case "JOINED":
                function = _both if node[1] == "and" else _either
                return reduce(partial(combined, function), map(self.condition, node[2:]))  # type: ignore[arg-type]
            case "NOT":
                return combined(_not, self.condition(node[1]))  # type: ignore[arg-type]
            case "BOOLEANTEST":
                test = TESTS[int(field(node, ":booltesttype"))]
                return combined(test, self.condition(field(node, ":arg")))
            case "NULLTEST" if field(node, ":argisrow") == "false":
                null = self.null(field(node, ":arg"))
                return combined(_not, null) if field(node, ":nulltesttype") == "1" else null
            case "CONST":
                isnull, value = field(node, ":constisnull"), fields(node, ":constvalue", ())
                return self.diagrams.constant(None if isnull == "true" else value[2] != "0")
            case "COMPARISON":
                return self.comparison(node)
            case "DISTINCT" if node[1][0] == "COMPARISON":
                return self.distinct(node[1])  # type: ignore[arg-type]
            case "COALESCEEXPR" if all(part[0] == "CONST" for part in field(node, ":args")[2:]):
                values = field(node, ":args")[1:]
                return reduce(partial(combined, _first), map(self.condition, values))
        return self.asked(node, "yields", (False, True, None))

    def null(self, node: tuple[Node, ...]) -> int:
        """Read whether an operand is NULL."""
        if _is_condition(node):
            return self.diagrams.combined(IS_NULL, self.condition(node))
        if node[0] == "CONST":
            return self.diagrams.constant(field(node, ":constisnull") == "true")
        return self.asked(node, "NULL", (False, True))

    def comparison(self, node: tuple[Node, ...]) -> int:
        if node[1] == BOOLEANS:
            return self.diagrams.combined(
                _COMPARED[int(str(node[2]))],
                *map(self.condition, node[-2:]),  # type: ignore[arg-type]
            )
        null = self.diagrams.combined(_either, *map(self.null, node[-2:]))  # type: ignore[arg-type]
        return self.diagrams.combined(_unless, null, self.order(node))

    def distinct(self, node: tuple[Node, ...]) -> int:
        if node[1] == BOOLEANS:
            return self.diagrams.combined(operator.ne, *map(self.condition, node[-2:]))  # type: ignore[arg-type]
        nulls = map(self.null, node[-2:])  # type: ignore[arg-type]
        return self.diagrams.combined(_differ, *nulls, self.order(node))

    def order(self, node: tuple[Node, ...]) -> int:
        """Read what two operands that are not NULL tell by their order."""
        operands = [repr(told(operand, self.known)) for operand in node[-2:]]
        self.require_steady(node)
        question = Question(max(operands), f"order {node[1]} {node[3:-2]} {operands}", (-1, 0, 1))
        compare = COMPARISONS[int(str(node[2]))]
        return self.diagrams.answered(question, lambda order: compare(order, 0))

    def asked(self, node: tuple[Node, ...], what: str, answers: tuple[Value, ...]) -> int:
        self.require_steady(node)
        written = tuple(told(part, self.known) for part in node)
        return self.diagrams.answered(Question(repr(written), what, answers), lambda answer: answer)  # type: ignore[return-value,arg-type]

    def require_steady(self, node: Node) -> None:
        if not steady(node, self.known):
            raise _UnsteadyError


def _both(one: Value, other: Value) -> Value:
    return False if False in {one, other} else None if None in {one, other} else True


def _either(one: Value, other: Value) -> Value:
    return True if True in {one, other} else None if None in {one, other} else False


def _not(value: Value) -> Value:
    return None if value is None else not value


def _first(value: Value, otherwise: Value) -> Value:
    return otherwise if value is None else value


def _unless(null: Value, value: Value) -> Value:
    return None if null else value


def _differ(null: Value, other_null: Value, equal: Value) -> Value:
    return null != other_null if null or other_null else not equal


def _of_booleans(compare: Callable[..., bool], one: Value, other: Value) -> Value:
    return None if None in {one, other} else compare(one, other)


_COMPARED = {kind: partial(_of_booleans, compare) for kind, compare in COMPARISONS.items()}
