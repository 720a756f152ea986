"""The command line: check, roundtrip and review, for any Alembic project.

Exit codes: 0 agree, 1 findings, 2 could not ask.
"""

import argparse
import logging
import signal
import sys
from pathlib import Path

import psycopg
import sqlalchemy as sa

from project.schema import scratch
from project.schema.checking import integrity
from project.schema.checking.drift import (
    database_against_migrations,
    metadata_against_database,
    models_against_migrations,
)
from project.schema.configuration import Project, UsageError
from project.schema.connections import connected, parsed
from project.schema.finding import Report
from project.schema.progress import shown
from project.schema.report import FORMATS, render
from project.schema.reviewing import sizes
from project.schema.reviewing.review import review
from project.schema.reviewing.sizes import Sizes
from project.schema.selection import Selection
from project.schema.source import SourceError
from project.schema.walking.roundtrip import SEED, roundtrip


def main(arguments: list[str] | None = None) -> int:
    """Ask, print the report, and return the exit code."""
    options = parser().parse_args(arguments)
    if options.output is not None and not options.output.parent.is_dir():
        # Said before the work, which may take minutes.
        print(f"There is no folder {options.output.parent} for the report.", file=sys.stderr)  # noqa: T201
        return 2
    # What the driver notices while a failure is cleaned up is no sentence for a person.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    try:
        report = ask(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)  # noqa: T201
        return 2
    except Exception as error:
        if options.traceback:
            if isinstance(error, SourceError):
                print(error.details, file=sys.stderr)  # noqa: T201
            raise
        print(sentence(error), file=sys.stderr)  # noqa: T201
        return 2
    to_terminal = options.output is None and sys.stdout.isatty()
    text = render(report, options.format, colour=to_terminal)
    if options.output is None:
        sys.stdout.write(text)
        return 0 if report.agrees else 1
    try:
        options.output.write_text(text)
    except OSError as error:
        sys.stdout.write(text)  # lest it be lost
        print(f"The report cannot be written: {error}.", file=sys.stderr)  # noqa: T201
        return 2
    return 0 if report.agrees else 1


def sentence(error: Exception) -> str:
    """Say why there is no answer."""
    said = (str(error).strip().splitlines() or ["it does not say why"])[0]
    match error:
        case UsageError() | SourceError() | scratch.ScratchError():
            return said
        case psycopg.OperationalError():
            return f"The database cannot be read: {said}."
    # Exit code 1, which Python would end with, is for findings.
    said = f"{type(error).__name__}: {said.rstrip('.')}"
    return f"A mistake of project.schema's own, which --traceback shows: {said}."


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path("alembic.ini"),
        metavar="FILE",
        help="alembic.ini or pyproject.toml of the project (default: %(default)s)",
    )
    common.add_argument("-n", "--name", default="alembic", help="section of alembic.ini")
    common.add_argument(
        "--url-env",
        metavar="NAME",
        help="variable from which the project's env.py takes its database",
    )
    common.add_argument(
        "-x",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="arguments",
        help="what the project's env.py takes from alembic -x",
    )
    common.add_argument(
        "--prepare",
        metavar="CODE",
        help="Python to run before the project's env.py",
    )
    common.add_argument(
        "--before",
        type=Path,
        metavar="FILE",
        help="SQL that makes what the first revision expects to find",
    )
    common.add_argument(
        "--python",
        metavar="PATH",
        help="interpreter that has what the project needs (default: this one)",
    )
    common.add_argument("--format", choices=sorted(FORMATS), default="text")
    common.add_argument("--output", type=Path, metavar="FILE", help="write the report there")
    common.add_argument("--traceback", action="store_true", help="show where an error comes from")
    result = argparse.ArgumentParser(prog="python -m project.schema", description=__doc__)
    verbs = result.add_subparsers(dest="verb", required=True)
    check = verbs.add_parser("check", parents=[common], help="do models and migrations agree?")
    check.add_argument(
        "--database",
        metavar="URL",
        help="compare this database, read-only, with the migrations it is at",
    )
    check.add_argument(
        "--metadata",
        metavar="MODULE:NAME",
        help="compare this metadata with the database, without Alembic",
    )
    check.add_argument("--privileges", action="store_true", help="compare owners and grants, too")
    check.add_argument(
        "--record",
        action="store_true",
        help="record the revisions as they are; later edits are findings",
    )
    walk = verbs.add_parser("roundtrip", parents=[common], help="every revision there and back")
    walk.add_argument(
        "revisions",
        nargs="*",
        metavar="REV|BASE..HEAD",
        help="only these, named as Alembic takes them: ae10, head-1, ae10..heads",
    )
    which = walk.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="all revisions (the default)")
    which.add_argument(
        "--since",
        metavar="COMMIT",
        help="only revisions whose files are new since this commit (origin/main)",
    )
    walk.add_argument("--seed", type=int, default=SEED, help="of the generated rows")
    page = verbs.add_parser(
        "review", parents=[common], help="what new revisions do to a database in use"
    )
    page.add_argument(
        "revisions",
        nargs="?",
        metavar="REV|BASE..HEAD",
        help="only these; default: those that are new since origin/main, or else the head",
    )
    page.add_argument(
        "--since", metavar="BASE", help="revisions whose files are new since this commit"
    )
    page.add_argument(
        "--running",
        metavar="COMMIT",
        help="what production runs (default: the commit that the new work builds on)",
    )
    large = page.add_mutually_exclusive_group()
    large.add_argument(
        "--sizes", type=Path, metavar="FILE", help="production's rows, as scripts/sizes prints them"
    )
    large.add_argument(
        "--database", metavar="URL", help="a database whose catalog tells them; read-only"
    )
    return result


def ask(options: argparse.Namespace) -> Report:
    """Answer what the command line asks."""
    # kill is a way to stop, too: what was made is dropped, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with scratch.server(scratch.from_environment()) as server:
        if options.verb == "roundtrip":
            return ask_roundtrip(options, server)
        if options.verb == "review":
            return ask_review(options, server)
        return ask_check(options, server)


def ask_check(options: argparse.Namespace, server: sa.URL) -> Report:
    """Answer ``check``."""
    live = database(options.database) if options.database else None
    if options.metadata:
        if live is None:
            raise UsageError("--metadata is compared with a database; name it with --database.")
        return metadata_against_database(options.metadata, Path.cwd(), server, live)
    project = asked(options)
    if options.record:
        with scratch.database(server) as empty, project.open(empty) as source:
            integrity.record(source.history)
    with shown(sys.stderr) as progress:
        if live is not None:
            return database_against_migrations(
                project, server, live, privileges=options.privileges, progress=progress
            )
        return models_against_migrations(
            project, server, privileges=options.privileges, progress=progress
        )


def ask_roundtrip(options: argparse.Namespace, server: sa.URL) -> Report:
    """Answer ``roundtrip``."""
    project = asked(options)
    if options.all and options.revisions:
        raise UsageError(f"--all or {' '.join(options.revisions)}: name one of them.")
    only = Selection(options.revisions, options.since)
    with shown(sys.stderr) as progress:
        return roundtrip(project, server, only=only, seed=options.seed, progress=progress)


def asked(options: argparse.Namespace) -> Project:
    """Return the project, which is run in the current folder, as by Alembic."""
    return Project.load(
        options.config,
        section=options.name,
        url_env=options.url_env,
        python=options.python,
        folder=Path.cwd(),
        arguments=options.arguments,
        prepare=options.prepare,
        before=options.before,
    )


def ask_review(options: argparse.Namespace, server: sa.URL) -> Report:
    """Answer ``review``."""
    project = asked(options)
    known = Sizes()
    if options.sizes:
        known = sizes.load(options.sizes)
    elif options.database:
        with connected(database(options.database), read_only=True) as live:
            known = sizes.ask(live)
    new = Selection([options.revisions] if options.revisions else [], options.since)
    running = options.running or options.since
    return review(project, server, new, sizes=known, running=running, progress=say)


def say(what: str) -> None:
    """Say on a terminal what takes the time."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what} …\033[K" if what else "\r\033[K")
        sys.stderr.flush()


def database(text: str) -> sa.URL:
    """Read the URL of a live database.

    Raises:
        UsageError: it cannot be read.

    """
    url = parsed(text)
    if url is None:
        raise UsageError(
            "The database cannot be read; expected postgresql://user:password@host:port/name."
        )
    return url
