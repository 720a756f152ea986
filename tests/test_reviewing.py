"""docs/reviewing.md shows what the cases prove: each code, badly and well."""

import re
import tomllib
from pathlib import Path
from typing import Any

from project.database import ROOT
from project.schema.hazards import CODES

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


def codes(case: dict[str, Any]) -> set[str]:
    return {code for key in ("sure", "maybe", "notes") for code in case.get(key, ())}


def test_every_code_is_documented_and_no_other() -> None:
    assert list(ENTRIES) == list(CODES)


def test_there_are_many_cases_and_no_two_of_a_name() -> None:
    harmless = [case for case in CASES if not case.get("sure") and not case.get("maybe")]
    assert len(CASES) >= 150
    assert len(harmless) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)
    said = {code for case in CASES for code in (*case.get("sure", ()), *case.get("maybe", ()))}
    assert said == {code.name for code in CODES.values() if code.level != "note"}
