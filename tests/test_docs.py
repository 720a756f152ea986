"""The documents tell the truth: their commands are run, their tables compared with the code."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from sqlalchemy import make_url

from project.app import make_app
from project.database import ROOT
from project.pool import Connections
from project.revisions import read_history
from project.schema.command import parser
from project.settings import Settings

from .transcript import Terminal

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("document", ["README.md", "docs/tutorial.md"])
def test_the_commands_of_a_document_print_what_it_says(terminal: Terminal, document: str) -> None:
    terminal.follow((ROOT / document).read_text())
    assert "alembic" in " ".join(terminal.commands)
    left = terminal.run("git status --short --untracked-files=no")
    assert left == ""  # the tutorial undoes what it did


@pytest.mark.parametrize("document", ["README.md", "docs/reference/schema.md"])
def test_the_tests_that_are_quoted_are_the_projects_own(document: str) -> None:
    own = (ROOT / "tests" / "test_migrations.py").read_text().partition('"""\n\n')[2]
    assert f"```python\n{own}```" in (ROOT / document).read_text()


def test_every_setting_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "settings.md").read_text()
    rows = [line for line in reference.splitlines() if line.startswith("| `")]
    expected = []
    for field in fields(Settings):
        meaning = get_args(get_type_hints(Settings, include_extras=True)[field.name])[-1]
        default = "" if field.default is None else f"`{field.default}`"
        expected.append(f"| `{field.name.upper()}` | {default} | {meaning} |")
    assert rows == expected


def test_every_route_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "http.md").read_text()
    nowhere = Connections(make_url("postgresql://nowhere/nothing"), Settings())
    app = make_app(Settings(), nowhere, read_history())
    [routes] = [rule.target.rules for rule in app.default_router.rules[:1]]
    for route in routes:
        path = route.matcher.regex.pattern.rstrip("$").replace("/([^/]+)", "/{key}")
        path = path.replace(r"(\w+)", "{table}")
        # What the models declare is described once for all.
        path = re.sub(r"^/api/\w+", "/api/{table}", path)
        assert f"`GET {path}`" in reference


def test_every_option_of_check_and_roundtrip_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "schema.md").read_text()
    verbs = next(action for action in parser()._actions if action.dest == "verb")  # noqa: SLF001
    assert isinstance(verbs.choices, dict)
    for verb in verbs.choices.values():
        for action in verb._actions:  # noqa: SLF001
            if action.option_strings and action.dest != "help":
                found = [word for word in action.option_strings if f"`{word}" in reference]
                spelled = re.findall(r"(?<=roundtrip )--\w+|(?<=check )--\w+", reference)
                assert found or set(action.option_strings) & set(spelled), action.option_strings


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_script_is_in_the_readme_or_in_contributing() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    for script in (ROOT / "scripts").iterdir():
        assert f"scripts/{script.name}" in text
