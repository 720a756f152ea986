"""An Alembic project, and how it wants to be asked."""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from project.schema.finding import Finding, Report
from project.schema.source import Source

#: An Alembic project that has nothing but models, for those who use no Alembic.
MODELS_ONLY = """
from alembic import context
from {module} import {name}
from sqlalchemy import create_engine

with create_engine("postgresql+psycopg://").connect() as connection:
    context.configure(connection=connection, target_metadata={name})
    with context.begin_transaction():
        context.run_migrations()
"""


class UsageError(Exception):
    """The question cannot be asked as it was put; the message says why."""


@dataclass(frozen=True)
class Ignore:
    """Differences that are meant: a pattern of :class:`~project.schema.snapshot.Key` and why."""

    pattern: str  # "trigger public.account.*", as fnmatch has it
    reason: str


@dataclass(frozen=True)
class Project:
    """An Alembic project: where it is, and what its pyproject.toml says for this package."""

    ini: Path
    section: str = "alembic"
    url_env: str | None = None  # the variable from which its env.py takes the URL
    ignore: tuple[Ignore, ...] = ()
    levels: Mapping[str, str] = field(default_factory=dict)  # of a review's codes: "off", "error"

    @classmethod
    def load(
        cls, ini: str | Path, *, section: str = "alembic", url_env: str | None = None
    ) -> "Project":
        """Take what is not given from ``[tool.project.schema]`` of the pyproject.toml beside it.

        Raises:
            UsageError: there is no such file, or an ``ignore`` lacks its pattern or its reason.

        """
        path = Path(ini).resolve()
        if not path.is_file():
            raise UsageError(f"There is no {ini}; name the project's alembic.ini with -c.")
        table = _table(path.parent / "pyproject.toml")
        ignore = tuple(_ignored(table.get("ignore", [])))
        levels = table.get("review", {}).get("levels", {})
        return cls(path, section, url_env or table.get("url_env"), ignore, levels)

    def open(self, database: sa.URL) -> Source:
        """Start a process of the project's own on a scratch database."""
        return Source.open(self.ini, scratch=database, section=self.section, url_env=self.url_env)

    def relative(self, report: Report) -> Report:
        """Name files as seen from the project's folder, where they are in it."""
        folder = self.ini.parent
        findings = tuple(_relative(finding, folder) for finding in report.findings)
        return replace(report, findings=findings)


@contextmanager
def models_only(reference: str, folder: Path) -> Iterator[Project]:
    """Yield a project that has models and no history.

    Args:
        reference: ``package.module:name`` of a MetaData.
        folder: From where the module can be imported.

    Raises:
        UsageError: the reference is not of that form.

    """
    module, colon, name = reference.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), name)):
        raise UsageError(f"{reference!r} names no metadata; expected package.module:name.")
    with TemporaryDirectory() as made:
        script = Path(made)
        (script / "versions").mkdir()
        (script / "env.py").write_text(MODELS_ONLY.format(module=module, name=name))
        path = str(folder).replace("%", "%%")
        ini = f"[alembic]\nscript_location = %(here)s\nprepend_sys_path = {path}\n"
        (script / "alembic.ini").write_text(ini + "path_separator = newline\n")
        yield Project(script / "alembic.ini")


def _table(pyproject: Path) -> dict[str, Any]:
    if not pyproject.is_file():
        return {}
    try:
        tool = tomllib.loads(pyproject.read_text()).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{pyproject} cannot be read: {error}.") from None
    table: dict[str, Any] = tool.get("project", {}).get("schema", {})
    return table


def _ignored(entries: list[dict[str, str]]) -> Iterator[Ignore]:
    for entry in entries:
        if not entry.get("pattern") or not entry.get("reason"):
            raise UsageError(
                "Every entry of [tool.project.schema] ignore in pyproject.toml has a pattern and a"
                f" reason; this one is {entry}."
            )
        yield Ignore(entry["pattern"], entry["reason"])


def _relative(finding: Finding, folder: Path) -> Finding:
    path = Path(finding.path)
    if not finding.path or not path.is_relative_to(folder):
        return finding
    return replace(finding, path=path.relative_to(folder).as_posix())
