"""docs/reviewing.md shows what the cases prove: each code, badly and well."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from project.database import ROOT
from project.schema.hazards import CODES, Code

CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "cases" / "review.toml").read_text()
)["case"]

PAGE = (ROOT / "docs" / "reviewing.md").read_text()

ENTRY = re.compile(
    r"### `(?P<code>[\w-]+)`\n\n(?P<text>.+)\n\nNot, at level \*(?P<level>\w+)\*:\n\n"
    r"```python\n(?P<bad>[^`]+)\n```\n\n> (?P<says>.+)\n\nBut:\n\n"
    r"```python\n(?P<good>[^`]+)\n```\n"
)

ENTRIES = {found["code"]: found for found in ENTRY.finditer(PAGE)}


def written(case: dict[str, Any]) -> str:
    """A case as the page shows it, with what it presupposes."""
    setup = " ".join(case.get("setup", "").split())
    lines = [f"# production has run: {setup}"] if setup else []
    if case.get("separate"):
        lines.append("# with transaction_per_migration=True in env.py")
    parts = [part.strip() for part in (case["up"], *case.get("more", ()))]
    return "\n".join([*lines, "\n# the next revision\n".join(parts)])


def plain(code: str) -> str:
    """Code without its layout, which is the formatter's."""
    return re.sub(r",(?=[)\]])", "", re.sub(r"\s+", "", code))


def codes(case: dict[str, Any]) -> set[str]:
    return {code for key in ("sure", "maybe", "notes") for code in case.get(key, ())}


def test_every_code_is_documented_and_no_other() -> None:
    assert list(ENTRIES) == list(CODES)


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_an_entry_says_what_its_cases_prove(code: Code) -> None:
    entry = ENTRIES[code.name]
    assert entry["text"] == f"{code.title} {code.why}"
    assert entry["level"] == code.level
    bad, good = (
        [case for case in CASES if plain(written(case)) == plain(entry[side])]
        for side in ("bad", "good")
    )
    assert any(entry["says"] in case.get("says", ()) for case in bad)
    assert good
    if code.level != "note":
        assert any(code.name in codes(case) for case in bad)
        assert not any(code.name in codes(case) for case in good)


def test_there_are_many_cases_and_no_two_of_a_name() -> None:
    harmless = [case for case in CASES if not case.get("sure") and not case.get("maybe")]
    assert len(CASES) >= 150
    assert len(harmless) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)
    said = {code for case in CASES for code in (*case.get("sure", ()), *case.get("maybe", ()))}
    assert said == {code.name for code in CODES.values() if code.level != "note"}
