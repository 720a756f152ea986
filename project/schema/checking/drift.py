"""Do the models, the migrations and a database agree?

M is what the models make (``metadata.create_all`` with its DDL events), H what the history of
migrations makes, both on scratch databases of one server. PostgreSQL stores both, so it has already
normalised them; what differs between the catalogs differs in fact.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import sqlalchemy as sa
from psycopg import sql

from project.schema import extensions, scratch
from project.schema.catalog import read
from project.schema.checking import integrity, standing, wording
from project.schema.checking.hidden import without_hidden
from project.schema.checking.ignoring import without_ignored, without_undeclared
from project.schema.checking.unimported import unimported
from project.schema.configuration import Project, UsageError, models_only
from project.schema.connections import Connection, connected
from project.schema.equivalence import without_equivalents
from project.schema.facts import Refused
from project.schema.finding import Finding, Report
from project.schema.pair import Pair
from project.schema.progress import Progress, silent
from project.schema.snapshot import Snapshot, differences, reordered
from project.schema.source import MetadataFacts


def models_against_migrations(
    project: Project,
    server: sa.URL,
    *,
    privileges: bool = False,
    progress: Progress = silent,
) -> Report:
    """Compare what the models make with what the migrations make.

    Raises:
        SourceError: the project cannot be imported, or one of its migrations fails.
        ScratchError: the server gives no scratch databases.
        UsageError: env.py knows no models.

    """
    with (
        project.open() as migrations,
        project.open() as declared,
        scratch.database(server) as models,
        scratch.database(server) as history,
    ):
        migrations.use(history)
        declared.use(models)
        told = migrations.history
        made = Pair(project, server, history, models, migrations, declared)
        facts, refused = made.make(progress)
        migrations.end()
        leave_out = version_table(facts)
        with connected(models) as expected, connected(history) as found:
            here, there = (
                read(connection, leave_out, privileges=privileges)
                for connection in (expected, found)
            )
            differing = without_equivalents(differences(here, there), here, there, expected)
        if not facts.tables and any(there.of_kind("table")):
            raise UsageError(
                "The metadata of env.py has no tables, so there is nothing to compare; import the"
                " models in env.py, or with --prepare."
            )
        differing = [d for d in differing if d.key.name not in {each.name for each in refused}]
        differing, hidden = without_hidden(differing, declared, facts, history)
        declared.end()
    findings = [
        *standing.graph(told),
        *integrity.edited(told),
        *_unimported(facts),
        *_refused(refused, facts),
        *wording.said(differing, (here, there), "the models", "the migrations", facts),
        *wording.reordered(reordered(here, there), "the models", "the migrations", facts),
    ]
    findings, undeclared = without_undeclared(findings, project)
    kept, unused = without_ignored(findings, project.ignore)
    report = Report(
        "models against migrations",
        (*kept, *unused),
        (
            standing.length(told),
            f"{len(here.items)} objects compared on PostgreSQL {here.server_version // 10000}",
            *hidden,
            *undeclared,
        ),
    )
    return project.relative(report)


def database_against_migrations(
    project: Project,
    server: sa.URL,
    database: sa.URL,
    *,
    privileges: bool = False,
    progress: Progress = silent,
) -> Report:
    """Compare a live database with what the migrations make at the revision it is stamped with.

    The database is only read, in a read-only transaction, and nothing of it is evaluated.

    Raises:
        SourceError: the project cannot be imported, or one of its migrations fails.
        ScratchError: the server gives no scratch databases.
        psycopg.OperationalError: the database cannot be reached.

    """
    with scratch.database(server) as history, project.open(history) as source:
        facts = source.metadata()
        leave_out = version_table(facts)
        with connected(database, read_only=True) as live:
            stamped = _stamped(live, leave_out[0])
            found = read(live, leave_out, privileges=privileges)
        known = {revision.revision for revision in source.revisions}
        if strangers := stamped - known:
            return Report("database against migrations", tuple(standing.strange(strangers)))
        project.begin(history)
        with extensions.explained():
            for revision in sorted(stamped):
                source.upgrade(history, revision, progress)
        with connected(history) as expecting:
            expected = read(expecting, leave_out, privileges=privileges)
            differing = without_equivalents(
                differences(expected, found), expected, found, expecting
            )
        pending = [
            r for r in source.revisions if r.revision not in standing.ancestors(source, stamped)
        ]
    findings = [
        *wording.said(differing, (expected, found), "the migrations", "the database", None),
        *wording.reordered(reordered(expected, found), "the migrations", "the database", None),
    ]
    # What is ignored is meant for the other comparison, too: here it may well match nothing.
    kept, _ = without_ignored(findings, project.ignore)
    report = Report(
        "database against migrations",
        (*kept, *standing.pending(pending)),
        (
            f"the database stands at {', '.join(sorted(stamped)) or 'no revision'}",
            f"{len(expected.items)} objects compared",
            _versions(found, expected),
        ),
    )
    return project.relative(report)


def metadata_against_database(
    reference: str, folder: Path, server: sa.URL, database: sa.URL
) -> Report:
    """Compare a metadata with a live database, without Alembic.

    Args:
        reference: ``package.module:name`` of the metadata.
        folder: From where the module can be imported.
        server: Where the scratch database is made.
        database: The live database; only read, and nothing of it is evaluated.

    Raises:
        UsageError: the reference is not of that form.
        SourceError: the module cannot be imported.
        ScratchError: the server gives no scratch databases.
        psycopg.OperationalError: the database cannot be reached.

    """
    with (
        models_only(reference, folder) as project,
        scratch.database(server) as models,
        project.open(models) as declared,
        connected(models) as expecting,
        connected(database, read_only=True) as live,
    ):
        with extensions.explained():
            extensions.install(expecting, live)
            declared.create_all(models)
        facts = declared.metadata()
        leave_out = version_table(facts)
        expected, found = read(expecting, leave_out), read(live, leave_out)
        differing = without_equivalents(differences(expected, found), expected, found, expecting)
    return Report(
        f"{reference} against the database",
        (
            *_unimported(facts),
            *wording.said(differing, (expected, found), "the models", "the database", facts),
            *wording.reordered(reordered(expected, found), "the models", "the database", facts),
        ),
        (f"{len(expected.items)} objects compared", _versions(found, expected)),
    )


def version_table(facts: MetadataFacts) -> list[tuple[str, str]]:
    """Return the table in which Alembic keeps the revision; it is not the user's."""
    return [(facts.version_table_schema or "public", facts.version_table)]


def _stamped(connection: Connection, table: tuple[str, str]) -> set[str]:
    try:
        query = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(*table))
        return {str(row[0]) for row in connection.execute(query).fetchall()}
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return set()


def _refused(refused: Iterable[Refused], facts: MetadataFacts) -> Iterator[Finding]:
    for each in refused:
        path, line = wording.place(facts, each.key)
        yield Finding(f"{each.kind}-refused", str(each), object=str(each.key), path=path, line=line)


def _unimported(facts: MetadataFacts) -> Iterator[Finding]:
    for name, place in unimported(facts):
        yield Finding(
            "model-not-imported",
            f"{name} lies beside the models and is never imported: the metadata lacks its table.",
            object=f"model {name}",
            remedy="import its module where the others are, or move it elsewhere",
            path=place.path,
            line=place.line,
            origin="models",
        )


def _versions(found: Snapshot, expected: Snapshot) -> str:
    there, here = found.server_version // 10000, expected.server_version // 10000
    return f"the database is PostgreSQL {there}, the scratch server {here}"
