"""`review`: what a migration really does is found, for the right reason, and nothing else."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from project.schema.hazards import CODES
from project.schema.reviewing import bench
from project.schema.reviewing.review import Review

from .conftest import execute
from .reviewed import CASES, PARAMETER, Reviewed, is_code, reviewed

AXES = ("availability", "data", "compatibility", "failure")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, scratch_server: sa.URL) -> Iterator[Reviewed]:
    with reviewed(tmp_path_factory.mktemp("review"), scratch_server) as made:
        yield made


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory, older_server: sa.URL) -> Iterator[Reviewed]:
    with reviewed(tmp_path_factory.mktemp("review16"), older_server) as made:
        yield made


def version(server: sa.URL) -> int:
    return int(execute(server, "SHOW server_version_num")[0][0]) // 10000


EVERY_CASE = pytest.mark.parametrize(
    "number", range(len(CASES)), ids=[case["name"] for case in CASES]
)


@pytest.mark.sample(18)
@EVERY_CASE
def test_a_migration_is_judged_by_what_it_does(cases: Reviewed, number: int) -> None:
    review = judge(cases, number)
    sent = "".join(statement.sql for statement in review.trial.observation.own)
    for finding in review.findings if PARAMETER.search(sent) is None else ():
        if is_code(finding.remedy):
            cases.rewritten(number, review, finding)


@pytest.mark.sample(90)
@EVERY_CASE
def test_it_is_judged_alike_where_only_touched_tables_are_looked_at(
    cases: Reviewed, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "ALL_OF_THEM", 0)  # as if there were more tables
    judge(cases, number)


@pytest.mark.thorough
@EVERY_CASE
def test_a_migration_is_judged_alike_on_postgresql_16(older: Reviewed, number: int) -> None:
    judge(older, number)


def test_what_is_committed_before_a_failure_is_not_left_out(cases: Reviewed) -> None:
    names = [case["name"] for case in CASES]
    review = cases.review(names.index("a foreign key in three steps"))
    assert any(f.code == "may-fail-orphans" for f in review.findings)
    sent = [statement.sql for statement in review.trial.observation.own]
    assert [sql.split(" CONSTRAINT")[0] for sql in sent] == [
        "ALTER TABLE label ADD",
        "ALTER TABLE label VALIDATE",
    ]


def judge(cases: Reviewed, number: int) -> Review:
    case = CASES[number]
    if case.get("since", 0) > version(cases.server):
        pytest.skip(f"PostgreSQL {case['since']} or newer")
    review = cases.review(number)
    found = review.findings
    judged = [f for f in found if f.code in CODES and CODES[f.code].axis in AXES]
    text = "\n".join(f"{f.level} {f.code} {f.message} [{f.found}]" for f in found)
    for level, expected in (("error", "sure"), ("warning", "maybe")):
        assert {f.code for f in judged if f.level == level} == set(case.get(expected, ())), text
    assert {f.code for f in judged if f.level == "note"} >= set(case.get("notes", ())), text
    assert {f.message for f in judged} >= set(case.get("says", ())), text
    queries = [f.remedy for f in found if f.remedy.startswith("SELECT") and "…" not in f.remedy]
    if queries and version(cases.server) >= 16:  # pg_input_is_valid()
        cases.run_before(number, queries)
    return review
