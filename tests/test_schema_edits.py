"""Whatever is edited in a model becomes a migration that is right both ways, or is refused."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import Phase, given, reject, settings
from hypothesis import strategies as st

from project.schema.autogenerate import migration
from project.schema.autogenerate.change import RefusedError, UnprovedError
from project.schema.autogenerate.hints import Declared
from project.schema.catalog import read
from project.schema.snapshot import differences

from . import generated
from .edits import (
    Bench,
    Edit,
    InjectedError,
    bench,
    chapters,
    edits,
    imports,
    metadata_of,
    replaced,
    run,
    statements_of,
    unexpected,
)
from .test_schema_catalog import DRIFT, STATEMENT, skip_where_it_cannot_be

EDITS = list(edits("edits.toml"))

#: A comment that is longer than a line of code may be, and neither a query nor to be copied.
TOO_LONG = re.compile(r" *# (?!loses:|assumes:| )(?=.{97})")


@pytest.fixture(scope="module")
def workshop(
    scratch_server: sa.URL,
    tablespace: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bench]:
    with bench(scratch_server, tmp_path_factory.mktemp("workshop")) as made:
        yield made


@pytest.mark.sample(16)
@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_an_edit_becomes_a_migration_or_is_refused(workshop: Bench, edit: Edit) -> None:
    declared = workshop.of_models(edit.before, edit.after)
    if edit.refused:
        with pytest.raises((RefusedError, UnprovedError), match=edit.refused):
            workshop.proved(workshop.written(declared))
        return
    written = workshop.written(declared)
    seen = workshop.proved(written)
    assert imports(written.text) <= {"sqlalchemy", "alembic", "sqlalchemy.dialects"}
    assert [line for line in written.text.splitlines() if TOO_LONG.match(line)] == []
    assert unexpected(edit, written, seen) == [], written.text


def test_what_rows_must_be_like_for_a_told_conversion_stands_in_the_migration(
    workshop: Bench,
) -> None:
    table = 'Table("t", metadata, Column("id", Integer, primary_key=True), Column("m", {}))'
    told = 'String(5), info={"using": "m"}'
    declared = workshop.of_models(table.format("String(40)"), table.format(told))
    text = migration.made(workshop.written(declared).bench, declared, workshop.folder).upgrade
    assert text.startswith("# assumes: no rows that are refused: value too long")
    assert "postgresql_using" in text


def test_a_told_conversion_that_nothing_turns_back_is_written_one_way(workshop: Bench) -> None:
    table = 'Table("t", metadata, Column("id", {}, primary_key=True))'
    told = """Uuid, server_default=text("gen_random_uuid()"), info={"using": "gen_random_uuid()"}"""
    declared = workshop.of_models(table.format("Integer"), table.format(told))
    written = migration.made(workshop.written(declared).bench, declared, workshop.folder)
    assert "DROP SEQUENCE" in written.upgrade
    assert written.downgrade.startswith("raise NotImplementedError(")
    assert "Nothing makes the old values of the new ones: invalid input" in written.downgrade


def test_a_number_that_was_given_is_not_given_again(workshop: Bench) -> None:
    table = 'Table("t", metadata, Column("id", Integer, {}primary_key=True))'
    declared = workshop.of_models(table.format(""), table.format("Identity(), "))
    written = workshop.written(declared)
    insert = b"INSERT INTO t DEFAULT VALUES RETURNING id"
    for number, function in enumerate(("upgrade", "downgrade", "upgrade"), 1):
        assert workshop.connections[0].execute(insert).fetchall() == [(number,)]
        workshop.connections[0].execute(b"DELETE FROM t")
        run(workshop.urls[0], written.text, function)
    assert workshop.connections[0].execute(insert).fetchall() == [(4,)]


#: What a developer agrees with, when an edit is taken back without a word.
REFUSALS = (
    "have no value for it|rows that are NULL would refuse|looks like the former|Say what becomes"
    "|violates foreign key|partitioning of|could not create unique index"
    '|column "select" does not exist'  # a backfill from what another edit renames
    "|is made of it: write that step|which says how the new values are made"
    "|asks for the same checks"  # which may have been inherited
    "|remain whatever is tried: inherited of|cannot drop index .* requires it"
    "|Something takes the name of what has it now|are both to be the former"
    "|no partition of relation"  # for rows that were in one of other bounds
    "|are gone, to which|is new and has no rows, and those that are there refer to it"
)


@pytest.mark.sample(36)
@pytest.mark.parametrize("edit", [edit.turned() for edit in EDITS], ids=str)
def test_an_edit_that_is_taken_back_is_one_too(workshop: Bench, edit: Edit) -> None:
    declared = workshop.of_models(edit.before, edit.after)
    try:
        written = workshop.written(declared)
        workshop.proved(written)
    except (RefusedError, UnprovedError) as refusal:
        refused = str(refusal)
    else:
        refused = written.proposal.irreversible
    assert re.search(REFUSALS, refused or "Say what becomes"), refused


#: Edits whose migrations leave the transaction, in all the ways there are.
IN_PARTS = re.compile(
    "volatile default|filled from another|unique NOT NULL|refers to another table is added"
    "|keys: a key is added of|checks: one is changed|one gets another column|one cascades"
    "|names get keys|is added and a table with it|index of a fk becomes a constraint$"
    "|circle go, and|identity of another type, and|elsewhere an index comes|with names get keys"
)


@pytest.mark.parametrize("edit", [e for e in EDITS if IN_PARTS.search(e.name)], ids=str)
def test_a_migration_that_failed_anywhere_is_simply_run_again(workshop: Bench, edit: Edit) -> None:
    failing_in_turn(workshop, workshop.of_models(edit.before, edit.after))


@pytest.mark.thorough
@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_any_migration_that_failed_is_simply_run_again(workshop: Bench, edit: Edit) -> None:
    if not edit.refused:
        failing_in_turn(workshop, workshop.of_models(edit.before, edit.after))


def failing_in_turn(workshop: Bench, declared: Declared) -> None:
    """Fail at each statement in turn, and run the migration again."""
    written = workshop.written(declared)
    url = workshop.urls[0]
    for function in ("upgrade", "downgrade")[: 1 if written.proposal.irreversible else 2]:
        workshop.again()
        if function == "downgrade":
            run(url, written.text, "upgrade")
        statements = run(url, written.text, function)
        expected = read(workshop.connections[0])
        for number in range(statements):
            workshop.again()
            if function == "downgrade":
                run(url, written.text, "upgrade")
            with pytest.raises(InjectedError):
                run(url, written.text, function, fail_at=number)
            run(url, written.text, function)
            assert differences(expected, read(workshop.connections[0])) == []


#: Several edits of one chapter, each of another text.
@st.composite
def combinations(draw: st.DrawFn) -> tuple[str, str]:
    chapter = draw(st.sampled_from(CHAPTERS))
    models, together = chapter["models"], chapter["models"]
    for edit in draw(st.lists(st.sampled_from(chapter["edit"]), min_size=2, max_size=10)):
        for old, new in replaced(edit):
            if old and together.count(old) == 1:
                together = together.replace(old, new)
            elif not old and new not in together:
                together += f"\n{new}\n"
    return models, together


CHAPTERS = chapters("edits.toml")
#: What one of them is refused for, it is refused for beside others.
ALONE = "|".join(sorted({edit.refused for edit in EDITS if edit.refused}))
FEW = settings(max_examples=12, derandomize=True, phases=[Phase.generate])
MANY = settings(max_examples=200, phases=[Phase.generate, Phase.shrink])


@given(models=combinations())
@FEW
def test_edits_in_any_combination_come_out_right(workshop: Bench, models: tuple[str, str]) -> None:
    comes_out_right(workshop, *made(models))


@pytest.mark.thorough
@given(models=combinations())
@MANY
def test_many_combinations_come_out_right(workshop: Bench, models: tuple[str, str]) -> None:
    comes_out_right(workshop, *made(models))


def made(models: tuple[str, str]) -> tuple[sa.MetaData, sa.MetaData]:
    """Run models, of which two edits together may make nonsense."""
    try:
        return metadata_of(models[0]), metadata_of(models[1])
    except (sa.exc.ArgumentError, sa.exc.InvalidRequestError, KeyError, SyntaxError, TypeError):
        reject()


@given(before=generated.models(), after=generated.models())
@FEW
def test_any_models_become_any_others(
    workshop: Bench, before: sa.MetaData, after: sa.MetaData
) -> None:
    comes_out_right(workshop, before, after)


@pytest.mark.thorough
@given(before=generated.models(), after=generated.models())
@MANY
def test_many_models_become_others(
    workshop: Bench, before: sa.MetaData, after: sa.MetaData
) -> None:
    comes_out_right(workshop, before, after)


@pytest.mark.thorough
@given(before=generated.models(), after=generated.models())
@settings(max_examples=40, phases=[Phase.generate])
def test_a_migration_between_any_models_is_simply_run_again(
    workshop: Bench, before: sa.MetaData, after: sa.MetaData
) -> None:
    declared = workshop.of_metadata(before, after)
    try:
        failing_in_turn(workshop, declared)
    except RefusedError:
        reject()
    except Exception as error:
        told(error, before, after)
        raise


def told(error: Exception, *models: sa.MetaData) -> None:
    """Have a failure show its models, which Hypothesis does not."""
    for metadata in models:
        error.add_note(statements_of(metadata))


def comes_out_right(workshop: Bench, before: sa.MetaData, after: sa.MetaData) -> None:
    """Prove a migration, or see it refused for a reason that a developer agrees with."""
    try:
        declared = workshop.of_metadata(before, after)
    except (sa.exc.DBAPIError, sa.exc.CompileError, sa.exc.InvalidRequestError):
        reject()  # PostgreSQL does not take the models, or SQLAlchemy has no words for them
    try:
        assert re.search(f"{REFUSALS}|{ALONE}", refusal_of(workshop, declared))
    except Exception as error:
        told(error, before, after)
        raise


def refusal_of(workshop: Bench, declared: Declared) -> str:
    """Prove a migration; return why it is refused, or what some are if it is not."""
    try:
        workshop.proved(workshop.written(declared))
    except (RefusedError, UnprovedError) as refusal:
        return str(refusal)
    return "Say what becomes"


#: Why a change of the catalog is refused that models have no words for.
STRANGE = (
    "Nothing is known of how|cannot be changed in place|has no operation|remain whatever is tried"
    "|no operation makes such an index|of an ordered set|has a function of its own"
    "|PostgreSQL refuses a step|other objects depend on it"
    "|its downgrade fails: numeric field overflow"
)


@pytest.mark.thorough
@pytest.mark.parametrize("turned", [False, True], ids=["", "taken back"])
@pytest.mark.parametrize(("case", "change", "says"), DRIFT)
def test_any_change_of_a_catalog_is_proved_or_refused(
    workshop: Bench, case: dict[str, Any], change: str, says: list[str], *, turned: bool
) -> None:
    skip_where_it_cannot_be(workshop.connections[0], case)
    given_, changed = (
        [part for part in STATEMENT.split(script.strip()) if part]
        for script in (case["given"], f"{case['given']};\n{change}")
    )
    sides = (changed, given_) if turned else (given_, changed)
    declared = workshop.of_statements(*sides)
    said = refusal_of(workshop, declared)
    assert says or said == "Say what becomes"
    assert re.search(f"{REFUSALS}|{STRANGE}", said), said
