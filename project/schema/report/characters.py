"""Characters that would do something instead of being seen."""

import re

#: Controls (but tab and line feed), what ends a line for some programs only, what turns the writing
#: direction, and what is no character at all. No program that reads a report needs them, a terminal
#: obeys some of them, and XML 1.0 and UTF-8 refuse others.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

_BREAKS = re.compile("[\t\n]")


def visible(value: str) -> str:
    r"""Write characters that cannot be seen as Python would: ``\x1b``. Lines and tabs stay."""
    return _UNSEEN.sub(_written, value)


def on_one_line(value: str) -> str:
    r"""Write lines and tabs like that, too: ``one\ntwo``."""
    return _BREAKS.sub(_written, visible(value))


def _written(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]
