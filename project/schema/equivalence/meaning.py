"""What an expression means: its tree as the server stores it, without what is only a choice.

``a > 5`` and ``5 < a``, ``c IN ('x', 'y')`` and ``c = 'y' OR c = 'x'``, ``char_length(c)`` and
``length(c)``, ``n > 1.5`` and ``n > 1.50`` are trees that differ and mean the same. Each is written
here in one form. What makes them the same is no rule about names: the server's own catalog says so,
by which its planner lives, too.

- Two functions of the server's with the same code, arguments and result are one; an operator is a
  call of its function (``pg_proc``, ``pg_aggregate``).
- An operator and its commutator, and a comparison and its negator (``pg_operator``).
- Comparisons of one family of B-trees order alike, whatever the types, and casts between those that
  the parser adds by itself do not change the order (``pg_amop``, ``pg_cast``). So a cast, or the
  places after the point, mean nothing right beside a comparison. Elsewhere they do: in a default,
  1.50 shows as it is written.
- What is joined by AND or OR stands in no order; and a condition is what it tells in every case
  (`conditions`).

Source: PostgreSQL, "Expression Evaluation Rules"; of the catalog, see `knowledge`.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from project.schema.equivalence.conditions import told
from project.schema.equivalence.knowledge import COMMUTED, NEGATED, Knowledge
from project.schema.equivalence.node import Node, field, fields, read, steady

INTEGERS = {"20", "21", "23"}
NUMERIC = "1700"


def meaning(stored: str, known: Knowledge) -> Node:
    """Write a tree as the server prints it in one form for all that mean the same."""
    return told(_settled(read(stored), known), known)


def _settled(node: Node, known: Knowledge) -> Node:
    if isinstance(node, str) or not node:
        return node
    spread = SPREAD.get(str(node[0]))
    node = spread(node, known) if spread else node
    parts = tuple(_settled(part, known) for part in node)
    settle = SETTLED.get(str(parts[0]))
    return settle(parts, known) if settle else parts


def _with(node: Node, old: str, new: Node) -> Node:
    """Put a node for each one with a label."""
    if isinstance(node, str) or not node:
        return node
    return new if node[0] == old else tuple(_with(part, old, new) for part in node)


def _spread_case(node: tuple[Node, ...], known: Knowledge) -> tuple[Node, ...]:
    """``CASE a WHEN 1 …`` compares `a` with each."""
    subject = field(node, ":arg")
    if isinstance(subject, str) or not steady(subject, known):
        return node
    cases = field(node, ":args")
    whens = tuple(_with(part, "CASETESTEXPR", subject) for part in cases)
    return tuple(whens if part is cases else "<>" if part is subject else part for part in node)


def _spread_list(node: tuple[Node, ...], known: Knowledge) -> tuple[Node, ...]:
    """``a IN (1, 2)`` is ``a = 1 OR a = 2``, and ``NOT IN`` its contrary."""
    _, subject, array = field(node, ":args")
    each: Node = "value"
    if array[0] == "ARRAYCOERCEEXPR":
        each, array = field(array, ":elemexpr"), field(array, ":arg")
    if array[0] != "ARRAYEXPR" or field(array, ":multidims") != "false":
        return node
    if not steady(subject, known):
        return node
    values = field(array, ":elements")[1:]
    if each != "value":
        values = tuple(_with(each, "CASETESTEXPR", value) for value in values)
    head = (":opfuncid", field(node, ":opfuncid"), ":opresulttype", "16")
    collation = (":inputcollid", field(node, ":inputcollid"))
    compared = (("OPEXPR", *head, *collation, ":args", ("(", subject, v)) for v in values)
    word = "or" if field(node, ":useOr") == "true" else "and"
    return ("BOOLEXPR", ":boolop", word, ":args", ("(", *compared))


def _settled_call(node: tuple[Node, ...], known: Knowledge) -> Node:
    function = str(field(node, ":funcid") or field(node, ":opfuncid"))
    function = known.functions.get(function, function)
    result = field(node, ":funcresulttype") or field(node, ":opresulttype")
    listed = field(node, ":args")
    arguments = () if isinstance(listed, str) else tuple(map(_bare, listed[1:]))
    how: tuple[Node, ...] = (field(node, ":inputcollid"), field(node, ":funcvariadic") or "false")
    if function in known.comparisons:
        return _comparison(function, how, arguments, known)
    other = known.commutators.get(function, "")
    if other == function:
        arguments = tuple(sorted(arguments, key=repr))
    elif other and int(other) < int(function):
        function, arguments = other, arguments[::-1]
    return ("CALL", function, result, *how, ("(", *arguments))


def _comparison(
    function: str, how: tuple[Node, ...], arguments: tuple[Node, ...], known: Knowledge
) -> Node:
    family, kind, of_one_type = known.comparisons[function]
    one, other = _without_cast(arguments, family, known) if of_one_type else arguments
    one, other = _compared(one, family, known), _compared(other, family, known)
    if repr(one) > repr(other):
        one, other, kind = other, one, COMMUTED[kind]
    return ("COMPARISON", family, str(kind), *how, one, other)


def _without_cast(arguments: tuple[Node, ...], family: str, known: Knowledge) -> tuple[Node, ...]:
    """Take away the cast of one side that a comparison with the other side's type does by itself.

    Of both it must not be: two times that a clock does not show, or shows twice, may become one
    moment.
    """
    cast = [n[0] == "CALL" and (str(n[1]), family) in known.stable_casts for n in arguments]
    if all(cast):
        return arguments
    return tuple(
        node[-1][1] if is_cast else node for node, is_cast in zip(arguments, cast, strict=True)
    )


def _compared(node: Node, family: str, known: Knowledge) -> Node:
    """Write what is compared without what does not matter for that."""
    if isinstance(node, str) or field(node, ":constisnull") == "true":
        return node
    if node[0] == "CALL" and (str(node[1]), family) in known.casts:
        return _compared(node[-1][1], family, known)
    if node[0] == "CONST" and field(node, ":consttype") in INTEGERS:
        return ("CONST", "integer", *fields(node, ":constvalue", ())[1:])
    if node[0] == "CONST" and field(node, ":consttype") == NUMERIC:
        return _without_scale(node)
    if node[0] in {"COALESCEEXPR", "MINMAXEXPR"}:
        values = field(node, ":args")
        settled = tuple(_compared(value, family, known) for value in values)
        return tuple(settled if part is values else part for part in node)
    return node


def _without_scale(node: tuple[Node, ...]) -> Node:
    """Write a number without how many places of it are shown.

    They stand in seven bits of the first word after the length, of which the upper two tell that it
    is a number of the usual size. The bytes are in the order of all machines that a scratch server
    runs on; in the other one, numbers that differ in scale would stay different or nearly so.
    """
    length, opened, *octets = fields(node, ":constvalue", ())
    if len(octets) < 7:  # noqa: PLR2004  # nothing is there
        return node
    low, high = int(octets[4]) & 0xFF, int(octets[5]) & 0xFF
    if high & 0xC0 != 0x80:  # noqa: PLR2004
        return node
    octets[4:6] = str(low & 0x7F), str(high & 0xE0)
    return ("CONST", "numeric", length, opened, *octets)


def _bare(node: Node) -> Node:
    """Write a literal without the limit of its type, to which it has been cut."""
    if isinstance(node, str) or node[0] != "CONST":
        return node
    place = node.index(":consttypmod") + 1
    return (*node[:place], "-1", *node[place + 1 :])


def _settled_relabel(node: tuple[Node, ...], _: Knowledge) -> Node:
    """A literal of another type with the same bits is a literal of that."""
    value = field(node, ":arg")
    if isinstance(value, str) or value[0] != "CONST":
        return node
    new = {
        ":consttype": field(node, ":resulttype"),
        ":consttypmod": field(node, ":resulttypmod"),
        ":constcollid": field(node, ":resultcollid"),
    }
    return (value[0], *(new.get(str(a), b) for a, b in pairwise(value)))


def _settled_boolean(node: tuple[Node, ...], _: Knowledge) -> Node:
    word, parts = field(node, ":boolop"), field(node, ":args")[1:]
    if word == "not":
        return _negated(parts[0])
    return _joined(word, parts)


def _joined(word: str, parts: Iterable[Node]) -> Node:
    flat: list[Node] = []
    for part in parts:
        flat += part[2:] if part[:2] == ("JOINED", word) else [part]
    return ("JOINED", word, *sorted(flat, key=repr)) if len(flat) > 1 else flat[0]


def _negated(node: Node) -> Node:
    if node[0] == "COMPARISON":
        return (*node[:2], str(NEGATED[int(str(node[2]))]), *node[3:])
    if node[0] == "JOINED":
        return _joined("and" if node[1] == "or" else "or", map(_negated, node[2:]))
    return ("NOT", node)


def _settled_distinct(node: tuple[Node, ...], known: Knowledge) -> Node:
    compared = _settled_call(("OPEXPR", *node[1:]), known)
    return ("DISTINCT", compared)


def _settled_rows(node: tuple[Node, ...], _: Knowledge) -> Node:
    """Write a comparison of rows by what the families of B-trees make of it."""
    kind = int(field(node, ":cmptype") or field(node, ":rctype"))
    one, other = field(node, ":largs"), field(node, ":rargs")
    if repr(one) > repr(other):
        one, other, kind = other, one, COMMUTED[kind]
    how: tuple[Node, ...] = (field(node, ":opfamilies"), field(node, ":inputcollids"))
    return ("ROWS", str(kind), *how, one, other)


def _settled_aggregate(node: tuple[Node, ...], known: Knowledge) -> Node:
    names = {":aggfnoid", ":winfnoid"}
    pairs = pairwise(("", *node))
    return tuple(
        known.functions.get(str(part), part) if before in names else part for before, part in pairs
    )


#: What is written at length before its parts are.
SPREAD: Mapping[str, Callable[[tuple[Node, ...], Knowledge], tuple[Node, ...]]] = {
    "CASEEXPR": _spread_case,
    "SCALARARRAYOPEXPR": _spread_list,
}

#: What is written in one form after its parts have been.
SETTLED: Mapping[str, Callable[[tuple[Node, ...], Knowledge], Node]] = {
    "FUNCEXPR": _settled_call,
    "OPEXPR": _settled_call,
    "DISTINCTEXPR": _settled_distinct,
    "BOOLEXPR": _settled_boolean,
    "ROWCOMPAREEXPR": _settled_rows,
    "RELABELTYPE": _settled_relabel,
    "AGGREF": _settled_aggregate,
    "WINDOWFUNC": _settled_aggregate,
}
