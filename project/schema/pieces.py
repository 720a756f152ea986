"""SQL taken to pieces, as far as commas, parentheses and semicolons go."""

import re

#: What holds no end of a statement: quoted, named, commented, between dollars; and what is one.
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1|(?P<end>;)|.", re.DOTALL
)


#: What looks whether something was done, around what does it.
_GUARDED = re.compile(
    r"\s*DO \$\$\s+BEGIN\s+IF (?:NOT )?EXISTS \(.*?\) THEN\s+(.*?);\s+END IF;\s+END \$\$",
    re.DOTALL,
)


def unguarded(statement: str) -> str:
    """Return what a block does that first looks whether it was done; any other statement as is."""
    return _GUARDED.sub(r"\1", statement)


def statements(text: str) -> list[str]:
    """Split what is sent at once into its statements, which end in a semicolon."""
    found, start = [], 0
    for token in _TOKEN.finditer(text):
        if token["end"]:
            found.append(text[start : token.start()])
            start = token.end()
    return [each.strip() for each in (*found, text[start:]) if each.strip()]


def without_comments(text: str) -> str:
    """Leave out comments, not what looks like them in a literal."""
    return "".join(
        " " if token[0].startswith(("--", "/*")) else token[0] for token in _TOKEN.finditer(text)
    ).strip()


def on_one_line(text: str) -> str:
    """Write a statement without line breaks, but for those within a literal or a name."""
    found, gap = "", False
    for token in _TOKEN.finditer(text):
        if token[0].isspace():
            gap = True
            continue
        found += f"{' ' if gap and found else ''}{token[0]}"
        gap = False
    return found


def split(text: str) -> list[str]:
    """Split a list at its commas, not at those within parentheses, brackets or quotes."""
    parts: list[str] = []
    depth, start, inside = 0, 0, ""
    for place, character in enumerate(text):
        if inside:
            inside = "" if character == inside else inside
        elif character in "'\"":
            inside = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and not depth:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()] if text.strip() else []


def parenthesized(text: str) -> tuple[str, str]:
    """Split a text that begins with a parenthesis: what is inside, and what comes after it.

    ``(a > 0) NOT VALID`` is ``a > 0`` and ``NOT VALID``.
    """
    depth, inside = 0, ""
    for place, character in enumerate(text):
        if inside:
            inside = "" if character == inside else inside
        elif character in "'\"":
            inside = character
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if not depth:
                return text[1:place].strip(), text[place + 1 :].strip()
    raise AssertionError(text)


def abridged(text: str, length: int) -> str:
    """Write a text on one line, cut to so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
