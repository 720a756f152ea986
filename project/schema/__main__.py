"""``python -m project.schema``: check and roundtrip, for any Alembic project.

Exit codes: 0 agree, 1 findings, 2 could not ask.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import psycopg
import sqlalchemy as sa

from project.schema import integrity, scratch, selection, sizes
from project.schema.configuration import Project, UsageError
from project.schema.drift import (
    connected,
    database_against_migrations,
    metadata_against_database,
    models_against_migrations,
)
from project.schema.finding import Report
from project.schema.report import FORMATS, render
from project.schema.review import review
from project.schema.roundtrip import SEED, roundtrip
from project.schema.sizes import Sizes
from project.schema.source import SourceError


def main(arguments: list[str] | None = None) -> int:
    """Ask, print the report, and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        report = ask(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)  # noqa: T201
        return 2
    except (UsageError, SourceError, scratch.ScratchError, psycopg.OperationalError) as error:
        if options.traceback:
            raise
        sentence = str(error).strip().splitlines()[0]
        if isinstance(error, psycopg.OperationalError):
            sentence = f"The database cannot be read: {sentence}."
        print(sentence, file=sys.stderr)  # noqa: T201
        return 2
    to_terminal = options.output is None and sys.stdout.isatty()
    text = render(report, options.format, colour=to_terminal)
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text)
    return 0 if report.agrees else 1


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
    walk.add_argument("revisions", nargs="*", help="only these; default: all")
    walk.add_argument(
        "--since",
        metavar="BASE",
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
    with scratch.server(os.environ.get("SCRATCH_DATABASE_URL") or None) as server:
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
    project = Project.load(options.config, section=options.name, url_env=options.url_env)
    if options.record:
        with scratch.database(server) as empty, project.open(empty) as source:
            integrity.record(source.history)
    if live is not None:
        return database_against_migrations(project, server, live, privileges=options.privileges)
    return models_against_migrations(project, server, privileges=options.privileges)


def ask_roundtrip(options: argparse.Namespace, server: sa.URL) -> Report:
    """Answer ``roundtrip``."""
    project = Project.load(options.config, section=options.name, url_env=options.url_env)
    only = chosen(options, project, server)
    return roundtrip(project, server, only=only, seed=options.seed, progress=show_progress)


def ask_review(options: argparse.Namespace, server: sa.URL) -> Report:
    """Answer ``review``."""
    project = Project.load(options.config, section=options.name, url_env=options.url_env)
    known = Sizes()
    if options.sizes:
        known = sizes.load(options.sizes)
    elif options.database:
        with connected(database(options.database), read_only=True) as live:
            known = sizes.ask(live)
    with scratch.database(server) as empty, project.open(empty) as source:
        new = selection.chosen(source.history, options.revisions, options.since, project.ini.parent)
    return review(project, server, new, sizes=known, progress=say)


def say(what: str) -> None:
    """Say on a terminal what takes the time."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what} …\033[K" if what else "\r\033[K")
        sys.stderr.flush()


def database(text: str) -> sa.URL:
    """Read the URL of a live database.

    Raises:
        UsageError: it cannot be read. What SQLAlchemy says of it may quote a piece of the password.

    """
    try:
        return sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(
            "The database cannot be read; expected postgresql://user:password@host:port/name."
        ) from None


def chosen(options: argparse.Namespace, project: Project, server: sa.URL) -> list[str] | None:
    """Return the revisions to prove; None for all.

    Raises:
        UsageError: git does not know the commit, or a revision does not exist.

    """
    if not options.since and not options.revisions:
        return None
    with scratch.database(server) as empty, project.open(empty) as source:
        revisions = source.revisions
    if options.since:
        new = selection.added_since(options.since, project.ini.parent)
        return [r.revision for r in revisions if r.path.resolve() in new]
    known = {revision.revision for revision in revisions}
    if strangers := set(options.revisions) - known:
        raise UsageError(f"There is no revision {', '.join(sorted(strangers))}.")
    return list(options.revisions)


def show_progress(done: int, number: int, revision: str) -> None:
    """Show a bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        filled = 30 * done // max(number, 1)
        sys.stderr.write(
            f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{number} {revision}\033[K"
        )
        if done + 1 == number:
            sys.stderr.write("\r\033[K")
        sys.stderr.flush()
    elif done and done % 25 == 0:
        print(f"{done} of {number} revisions", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
