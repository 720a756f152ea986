"""The verbs of the command line, for programs."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy as sa

from project import schema
from project.database import ROOT
from project.schema import (
    Project,
    Selection,
    models_against_migrations,
    render,
    review,
    roundtrip,
)

from .foreign import AGREEING, Foreign, project

FOLDER = ROOT / "project" / "schema"


@pytest.fixture
def foreign(tmp_path: Path, scratch_server: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, scratch_server) as made:
        made.write("models.py", AGREEING)
        yield made


def test_a_program_asks_what_the_command_line_asks(
    foreign: Foreign, scratch_server: sa.URL
) -> None:
    asked = Project.load(foreign.ini)
    assert models_against_migrations(asked, scratch_server).agrees
    assert roundtrip(asked, scratch_server).agrees
    assert review(asked, scratch_server, Selection(["head"])).agrees
    foreign.write("models.py", AGREEING.replace("sa.Integer", "sa.BigInteger"))
    report = models_against_migrations(asked, scratch_server)
    assert {finding.code for finding in report.findings} == {"column-differs"}
    assert "bigint" in render(report, "text")


def test_every_name_of_the_library_is_what_its_home_defines() -> None:
    assert sorted(schema.HOMES) == sorted(schema.__all__)
    for name, home in schema.HOMES.items():
        assert getattr(schema, name) is getattr(import_module(f"project.schema.{home}"), name)
        # A module of the same name would take its place as soon as it is imported.
        assert not (FOLDER / name).exists()
        assert not (FOLDER / f"{name}.py").exists()


def test_what_is_not_asked_for_is_not_imported() -> None:
    code = "import sys, project.schema; assert 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
