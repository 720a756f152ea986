"""SQL as text: what can be told of it without a server."""

import re
from collections.abc import Iterator

#: A type, in verbose notation.
TYPE = r"""(?:"(?:[^"]|"")+"|\w+)(?:\.(?:"(?:[^"]|"")+"|\w+))?
    (?:[ ]varying|[ ]precision)?(?:\(\d+(?:,\d+)?\))?(?:[ ]with(?:out)?[ ]time[ ]zone)?(?:\[\])*"""

#: A piece of SQL as the server prints it. Quotes within quotes are doubled; a cast is ``::type``.
TOKEN = re.compile(
    rf"""
    (?P<literal>[eE]?'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")*")
    | (?P<cast>::(?P<type>{TYPE}))
    | (?P<number>\b\d[\d.]*)
    | (?P<word>\w+)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

#: A piece of a function's body in a language that takes all white space for the same.
BODY_TOKEN = re.compile(
    r"""
    (?P<kept>[eE]?'(?:[^'\\]|''|\\.)*' | "(?:[^"]|"")*" | (?P<dollar>\$\w*\$).*?(?P=dollar)
        | --[^\n]*\n? | /\*.*?\*/)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

#: Values of storage parameters that are other words for true and false.
WORDS = {"on": "true", "yes": "true", "off": "false", "no": "false"}


def unquoted(text: str) -> str:
    """Leave out what is quoted: literals and names."""
    return "".join(
        match[0] for match in TOKEN.finditer(text) if match.lastgroup not in {"literal", "name"}
    )


def without_casts(text: str, *, of_literals_only: bool) -> str:
    """Leave out casts: of literals, as the parser adds them, or all."""
    parts: list[str] = []
    after_literal = False
    for match in TOKEN.finditer(text):
        kind, part = match.lastgroup, match[0]
        if match["cast"] is not None:
            if not of_literals_only or after_literal:
                continue
        elif part != ")":
            after_literal = kind in {"literal", "number"} or part == "]"
        parts.append(part)
    return "".join(parts)


def spellings(text: str) -> list[str]:
    """Return what the user may have written where the server prints `text`."""
    written = [
        text,
        without_casts(text, of_literals_only=True),
        without_casts(text, of_literals_only=False),
    ]
    return list(dict.fromkeys([*written, *map(with_lists, written)]))


def with_lists(text: str) -> str:
    """Write ``= ANY (ARRAY[…])`` as ``IN (…)``, of which the server makes it, and ``NOT IN``.

    What stands in a list is of the type that all of it and the left side have in common; what
    stands in an array, of its own.
    """
    literals: list[str] = []

    def masked(match: re.Match[str]) -> str:
        if match.lastgroup != "literal":
            return match[0]
        literals.append(match[0])
        return f"\0{len(literals) - 1}\0"

    written = TOKEN.sub(masked, text)
    for array, word in (("= ANY", "IN"), ("<> ALL", "NOT IN")):
        written = re.sub(rf"{array} \((\()?ARRAY\[([^][]*)\](?(1)\))\)", rf"{word} (\2)", written)
    return re.sub("\0(\\d+)\0", lambda match: literals[int(match[1])], written)


def without_limits(text: str) -> str:
    """Leave out the limit of a literal's type, to which the planner has cut it already."""
    parts: list[str] = []
    for match in TOKEN.finditer(text):
        limited = re.fullmatch(
            r"::(character varying|character|numeric|timestamp|time)\(\d+(?:,\d+)?\)(.*)", match[0]
        )
        if limited and parts and parts[-1][-1] == "'":
            kind = "bpchar" if limited[1] == "character" else limited[1]
            parts.append(f"::{kind}{limited[2]}")
        else:
            parts.append(match[0])
    return "".join(parts)


def casts(text: str) -> Iterator[str]:
    """Yield the types that `text` casts to."""
    for match in TOKEN.finditer(text):
        if match["type"] is not None:
            yield match["type"].removesuffix("[]")


def casts_of_columns(text: str) -> int:
    """Count the casts of anything but literals."""
    return len(list(casts(without_casts(text, of_literals_only=True))))


def functions(text: str) -> set[str]:
    """Collect the functions that are not the server's own, which are printed with their schema."""
    name = r'(?:\w+|"(?:[^"]|"")*")'
    called = rf"{name}\.{name}(?=\()|OPERATOR\([^)]*\)"
    return set(re.findall(called, _names_kept(text)))


def _names_kept(text: str) -> str:
    return "".join(m[0] for m in TOKEN.finditer(text) if m.lastgroup != "literal")


#: A literal, and the type that it is of.
OF_TYPE = re.compile(rf"([eE]?'(?:[^']|'')*')::({TYPE})", re.VERBOSE)

#: A type: its name, without a limit, and whether it is an array's.
NAMED = re.compile(r"([^([]+)(?:\(\d+\))?((?:\[\])*)")
TEXTS = {"text", "character varying"}


def same_text(one: str, other: str, of: str) -> bool:
    """Tell whether two literals are the same for a column of texts, or of arrays of them.

    A literal is printed as its type writes it, and that is what such a column gets of it. So after
    a change of an enum to a text, a default that was left as it was yields what it should.

    Args:
        one: A default, as printed: ``'open'::public.state``.
        other: Likewise: ``'open'::text``.
        of: The type of the column.

    """
    literals = [OF_TYPE.fullmatch(each) for each in (one, other)]
    if literals[0] is None or literals[1] is None or literals[0][1] != literals[1][1]:
        return False
    column = NAMED.fullmatch(of)
    types = [NAMED.fullmatch(literal[2]) for literal in literals if literal]
    # The server's own types are printed without a schema.
    return (column is not None and column[1] in TEXTS) and all(
        each and (each[1] in TEXTS or "." in each[1]) and each[2] == column[2] for each in types
    )


#: Words that the server keeps as they are written, and what they are.
CURRENT = {
    "CURRENT_DATE": "(now())::date",
    "CURRENT_TIMESTAMP": "now()",
    "CURRENT_TIME": "(now())::time{} with time zone",
    "LOCALTIMESTAMP": "(now())::timestamp{} without time zone",
    "LOCALTIME": "(now())::time{} without time zone",
    "CURRENT_ROLE": "CURRENT_USER",
    "USER": "CURRENT_USER",
    "CURRENT_CATALOG": "current_database()",
    "CURRENT_SCHEMA": '"current_schema"()',
}


def one_name_for_now(text: str) -> str:
    """Write ``CURRENT_TIMESTAMP``, ``transaction_timestamp()`` and so on by means of ``now()``.

    Likewise ``USER`` and ``CURRENT_ROLE`` as ``CURRENT_USER``. Sources: PostgreSQL, "Date/Time
    Functions and Operators", "Current Date/Time"; "Session Information Functions".
    """
    parts = [match[0] for match in TOKEN.finditer(text)]
    for position, part in enumerate(parts):
        precision = "".join(parts[position + 1 : position + 4])
        if part == "transaction_timestamp" and precision.startswith("()"):
            parts[position] = "now"
        elif part in CURRENT:
            limited = re.fullmatch(r"\(\d\)", precision)
            if limited:
                parts[position + 1 : position + 4] = ["", "", ""]
            now = "(now())::timestamp{} with time zone" if limited else "now()"
            written = now if part == "CURRENT_TIMESTAMP" else CURRENT[part]
            parts[position] = written.format(precision if limited else "")
    return "".join(parts)


def listed(text: str) -> list[str]:
    """Split at the commas that are in no quotes and no parentheses."""
    parts, depth = [""], 0
    for match in TOKEN.finditer(text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if match[0] == "," and not depth:
            parts.append("")
        else:
            parts[-1] += match[0]
    return [part.strip() for part in parts]


def with_columns_in_order(trigger: str) -> str:
    """Sort the columns of which an update fires a trigger."""
    return re.sub(
        r'(?<= UPDATE OF )(?:"(?:[^"]|"")*"|[^"])*?(?= ON )',
        lambda columns: ", ".join(sorted(listed(columns[0]))),
        trigger,
        count=1,
    )


def same_partition(one: str, other: str) -> bool:
    """Tell whether two bounds of a partition by list have the same values, in whatever order."""
    lists = [re.fullmatch(r"FOR VALUES IN \((.*)\)", bound, re.DOTALL) for bound in (one, other)]
    if lists[0] is None or lists[1] is None:
        return False
    return sorted(listed(lists[0][1])) == sorted(listed(lists[1][1]))


_NAMES = r'\(((?:"(?:[^"]|"")*"|[^()"])*)\)'
REFERENCE = re.compile(rf"FOREIGN KEY {_NAMES} (REFERENCES [^(]*){_NAMES}(.*)", re.DOTALL)


def same_reference(one: str, other: str) -> bool:
    """Tell whether two foreign keys refer by the same pairs of columns, in whatever order."""
    keys = [REFERENCE.fullmatch(definition) for definition in (one, other)]
    if keys[0] is None or keys[1] is None or keys[0].group(2, 4) != keys[1].group(2, 4):
        return False
    pairs = [sorted(zip(listed(key[1]), listed(key[3]), strict=True)) for key in keys if key]
    return pairs[0] == pairs[1]


def same_body(one: str, other: str, language: str) -> bool:
    """Tell whether two bodies of a function differ in white space only.

    Where white space may mean something, what may differ is the indentation of the whole and the
    ends of lines.
    """
    one, other = one.replace("\r\n", "\n"), other.replace("\r\n", "\n")
    if language in {"sql", "plpgsql"}:
        return _words(one) == _words(other)
    return _unindented(one) == _unindented(other)


def _words(body: str) -> list[str]:
    words: list[str] = [""]
    for match in BODY_TOKEN.finditer(body):
        if match["space"] is not None:
            words.append("")
        elif match["kept"] is not None:
            kept = match["kept"]
            words += [kept.rstrip() if kept.startswith("--") else kept, ""]
        else:
            words[-1] += match[0]
    return [word for word in words if word]


def _unindented(body: str) -> list[str]:
    lines = [line.rstrip() for line in body.strip("\n").split("\n")]
    indented = [len(line) - len(line.lstrip()) for line in lines if line]
    width = min(indented, default=0)
    return [line[width:] for line in lines]


def parameter(option: str) -> str:
    """Write a storage parameter in one of its spellings: ``autovacuum_enabled=false``."""
    name, equals, value = option.partition("=")
    return f"{name}{equals}{WORDS.get(value.lower(), value.lower())}"
