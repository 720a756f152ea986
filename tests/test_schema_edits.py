"""Whatever is edited in a model becomes a migration that is right both ways, or is refused."""

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from project.schema.autogenerate.change import RefusedError
from project.schema.autogenerate.proof import UnprovedError

from .edits import Bench, Edit, bench, edits, imports, unexpected

EDITS = list(edits("edits.toml"))


@pytest.fixture(scope="module")
def workshop(scratch_server: sa.URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(scratch_server, tmp_path_factory.mktemp("workshop")) as made:
        yield made


@pytest.mark.sample(4)
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
    assert unexpected(edit, written, seen) == []


#: What a developer agrees with, when an edit is taken back without a word.
REFUSALS = (
    "have no value for it|rows that are NULL would refuse|looks like the former|Say what becomes"
    "|cannot convert NaN|violates foreign key|partitioning of|is an aggregate"
)


@pytest.mark.sample(9)
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
