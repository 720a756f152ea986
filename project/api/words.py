"""The small grammar that the parameters of a query share: words, lists, quotes, brackets."""

from collections.abc import Iterator

#: Brackets in brackets; deeper is no question that a person or a program has.
DEPTH = 10

BRACKETS = {"(": ")", "{": "}"}


class GrammarError(ValueError):
    """A text that does not follow the grammar; the message ends a sentence."""


def parts(text: str) -> Iterator[str]:
    """Split at the commas that are in no quotes and no brackets.

    Raises:
        GrammarError: a bracket or a quote is not closed.

    """
    open_brackets: list[str] = []
    begin = position = 0
    while position < len(text):
        character = text[position]
        if character == '"':
            position = _closing_quote(text, position)
        elif character in BRACKETS:
            open_brackets.append(BRACKETS[character])
            if len(open_brackets) > DEPTH:
                raise GrammarError(f"its brackets are nested more than {DEPTH} deep")
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
        elif character == "," and not open_brackets:
            yield text[begin:position]
            begin = position + 1
        position += 1
    if open_brackets:
        raise GrammarError(f"a bracket is not closed with {open_brackets[-1]}")
    yield text[begin:]


def bracketed(text: str) -> list[str]:
    """Return the parts of a text in round brackets.

    Raises:
        GrammarError: it has no such brackets.

    """
    if not (text.startswith("(") and text.endswith(")")):
        raise GrammarError("it must be in round brackets: (…)")
    return list(parts(text[1:-1]))


def unquoted(text: str) -> str:
    r"""Return a word as it is meant: within double quotes, a backslash lets any character be."""
    if len(text) < 2 or text[0] != '"' or _closing_quote(text, 0) != len(text) - 1:  # noqa: PLR2004
        return text
    meant, escaped = "", False
    for character in text[1:-1]:
        if character == "\\" and not escaped:
            escaped = True
        else:
            meant, escaped = meant + character, False
    return meant


def _closing_quote(text: str, position: int) -> int:
    position += 1
    while position < len(text) and text[position] != '"':
        position += 2 if text[position] == "\\" else 1
    if position >= len(text):
        raise GrammarError('a quote is not closed with "')
    return position
