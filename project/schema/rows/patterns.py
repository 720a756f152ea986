"""Texts for a regular expression, such as a CHECK has: classes, groups, alternatives, counts.

What else a pattern may hold (looking ahead, back references) is skipped, and the text then may not
match; whoever asked finds out by trying it.
"""

import re
import string
from dataclasses import dataclass
from random import Random

LETTERS, DIGITS = string.ascii_lowercase, string.digits
WORD = LETTERS + string.ascii_uppercase + DIGITS

CLASSES = {
    "d": DIGITS, "w": WORD + "_", "s": " ", "D": LETTERS, "W": "-.", "S": WORD,
    "[:alpha:]": LETTERS, "[:digit:]": DIGITS, "[:alnum:]": LETTERS + DIGITS, "[:space:]": " ",
    "[:upper:]": string.ascii_uppercase, "[:lower:]": LETTERS, "[:xdigit:]": DIGITS + "abcdef",
    "[:punct:]": ".-",
}  # fmt: skip

#: Escapes that stand between letters and for none.
PLACES = set("AZmMyYbB")

#: How many are enough where a pattern sets no end: "+" gives 1 to 4.
MORE = 3


@dataclass
class _Reader:
    """A pattern and how far it was read."""

    text: str
    at: int = 0

    def take(self, pattern: str) -> str | None:
        found = re.compile(pattern).match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]


def matching(pattern: str, random: Random) -> str:
    """Return a text that the pattern matches, as far as it is understood."""
    return _alternatives(_Reader(pattern), random)


def _alternatives(reader: _Reader, random: Random) -> str:
    found = [_sequence(reader, random)]
    while reader.take(r"\|"):
        found.append(_sequence(reader, random))
    return random.choice(found)


def _sequence(reader: _Reader, random: Random) -> str:
    text = ""
    while reader.at < len(reader.text) and reader.text[reader.at] not in "|)":
        start = reader.at
        part = _part(reader, random)
        end = reader.at
        # Each repetition reads the part anew, and so draws another text.
        count = _count(reader, random)
        after = reader.at
        for turn in range(count):
            if turn:
                reader.at = start
                part = _part(reader, random)
            text += part
        reader.at = max(after, end)
    return text


def _part(reader: _Reader, random: Random) -> str:
    if reader.take(r"[\^$]"):
        return ""
    if group := reader.take(r"\((\?[:=!]|\?<[=!])?"):
        text = _alternatives(reader, random)
        reader.take(r"\)")
        return "" if "=" in group or "!" in group else text
    if found := reader.take(r"\[\^?\]?(\[:\w+:\]|\\.|[^\]])*\]"):
        return random.choice(_class(found[1:-1]) or WORD)
    if found := reader.take(r"\\."):
        sign = found[1]
        return "" if sign in PLACES else random.choice(CLASSES.get(sign, sign))
    if reader.take(r"\."):
        return random.choice(LETTERS)
    return reader.take(r"(?s:.)") or ""


def _class(inside: str) -> str:
    members = ""
    for part in re.findall(r"\[:\w+:\]|\\.|.-[^\]]|(?s:.)", inside.removeprefix("^")):
        if part in CLASSES:
            members += CLASSES[part]
        elif part[0] == "\\":
            members += CLASSES.get(part[1], part[1])
        elif len(part) > 1:
            members += "".join(map(chr, range(ord(part[0]), min(ord(part[2]), 0xFFF) + 1)))
        else:
            members += part
    if inside.startswith("^"):
        return "".join(letter for letter in WORD if letter not in members)
    return members


def _count(reader: _Reader, random: Random) -> int:
    if found := reader.take(r"\{\d+(,\d*)?\}"):
        least, comma, most = found[1:-1].partition(",")
        end = int(most) if most else int(least) + (MORE if comma else 0)
        count = random.randint(int(least), max(int(least), end))
    elif found := reader.take(r"[*+?]"):
        count = random.randint(found == "+", 1 if found == "?" else 1 + MORE)
    else:
        return 1
    reader.take(r"\?")  # as few as possible: any number of them matches
    return min(count, 200)
