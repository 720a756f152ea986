"""An Alembic project, and how it wants to be asked."""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import sqlalchemy as sa

from project.schema.finding import Finding, Report
from project.schema.source import Source, SourceError

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


#: PostgreSQL's codes for a table and for a schema that is not there.
NOT_THERE = {"42P01", "3F000"}

#: What it says of a type, say, that may be an extension's.
EXTENSION_NOT_THERE = re.compile(r"\b(operator class|type|function|operator)\b.*does not exist")


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
    python: str = sys.executable  # the interpreter that has what the project needs
    folder: Path | None = None  # where it is run; None for the folder of its configuration
    arguments: tuple[str, ...] = ()  # what env.py gets from ``context.get_x_argument()``
    prepare: str | None = None  # Python that its process runs before env.py
    before: Path | None = None  # SQL that a database needs before its history begins
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)  # what columns hold
    safe: bool = True  # whether autogenerate writes what requests in flight do not notice
    undeclared: bool = True  # whether to speak of what models cannot say
    levels: Mapping[str, str] = field(default_factory=dict)  # of a review's codes: "off", "error"
    moved: tuple[Path, Path] | None = None  # from where it is installed to where it is

    @classmethod
    def load(  # noqa: PLR0913
        cls,
        ini: str | Path,
        *,
        section: str = "alembic",
        url_env: str | None = None,
        python: str | None = None,
        folder: Path | None = None,
        arguments: Sequence[str] = (),
        prepare: str | None = None,
        before: Path | None = None,
    ) -> "Project":
        """Take what is not given from ``[tool.project.schema]`` of the pyproject.toml beside it.

        Args:
            ini: Its ``alembic.ini`` or ``pyproject.toml``.
            section: As with ``alembic --name``.
            url_env: The variable from which its env.py takes the URL.
            python: The interpreter that has what the project needs; this one, unless given.
            folder: Where it is run; the folder of its configuration, unless given.
            arguments: As with ``alembic -x``.
            prepare: Python that its process runs before env.py: what its own command for
                migrations would do first.
            before: A file of SQL that makes what the history expects to find.

        Raises:
            UsageError: there is no such file or interpreter, or what is said in the table cannot
                be understood.

        """
        path = Path(ini).resolve()
        if not path.is_file():
            raise UsageError(f"There is no {ini}; name the project's alembic.ini with -c.")
        table = _table(path.parent / "pyproject.toml")
        if before is None and "before" in table:
            before = path.parent / table["before"]
        if before is not None and not before.is_file():
            raise UsageError(f"There is no {before}, which is to be run before the history.")
        return cls(
            path,
            section,
            url_env or table.get("url_env"),
            tuple(_ignored(table.get("ignore", []))),
            _interpreter(python, table.get("python"), path.parent),
            folder,
            tuple(arguments),
            prepare or table.get("prepare"),
            before,
            table.get("values", {}),
            safe=_switch(table, "safe"),
            undeclared=_switch(table, "undeclared"),
            levels=table.get("review", {}).get("levels", {}),
        )

    def open(self, database: sa.URL | None = None, *, copy: bool = False) -> Source:
        """Start a process of the project's own on a scratch database.

        Args:
            database: None if it is named later.
            copy: Whether this process runs the project's env.py itself.

        """
        return Source.open(
            self.ini,
            scratch=database,
            section=self.section,
            url_env=self.url_env,
            python=self.python,
            folder=self.folder,
            arguments=self.arguments,
            prepare=self.prepare,
            moved=self.moved,
            copy=copy,
        )

    def beginning(self, error: SourceError) -> str:
        """Say what to do about an upgrade that misses what others make, if that is the error.

        An application may have made its first tables before there were migrations, and whoever
        installs it the extensions.
        """
        if self.before is not None:
            return ""
        if error.sqlstate in NOT_THERE:
            return "if the history begins on tables that it did not make, make those with --before"
        if error.sqlstate and EXTENSION_NOT_THERE.search(str(error)):
            return "if an extension has it that the history does not make, do so with --before"
        return ""

    def begin(self, database: sa.URL) -> None:
        """Give an empty database what the history expects to find.

        Raises:
            UsageError: the file cannot be run.

        """
        if self.before is None:
            return
        lines = self.before.read_text().splitlines(keepends=True)
        # pg_dump writes some lines for psql alone: "\restrict".
        text = "".join(line for line in lines if not line.startswith("\\"))
        url = database.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(text.encode())
        except psycopg.DatabaseError as error:
            said = error.diag.message_primary or str(error)
            raise UsageError(f"{self.before} cannot be run: {said}.") from error

    def relative(self, report: Report) -> Report:
        """Name files as seen from the project's folder, where they are in it."""
        folder = self.folder or self.ini.parent
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


def _switch(table: Mapping[str, Any], name: str) -> bool:
    """Read a switch, which is on unless it is turned off."""
    value = table.get(name, True)
    if not isinstance(value, bool):
        raise UsageError(
            f"{name} of [tool.project.schema] in pyproject.toml is true or false, not {value!r}."
        )
    return value


def _interpreter(given: str | None, written: str | None, folder: Path) -> str:
    """Find the interpreter: what is given is seen from here, what is written from its folder."""
    name = given or (str(folder / written) if written else sys.executable)
    # Not resolved: the link in a virtual environment is what makes it one.
    found = shutil.which(Path(name).expanduser())
    if found is None:
        raise UsageError(f"There is no interpreter {name}; --python takes the path of one.")
    return str(Path(found).absolute())


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
