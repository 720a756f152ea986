"""Histories as teams write them: a sound one is blamed for nothing, a broken one for what it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from project.schema.finding import Report

from .foreign import AGREEING, Foreign, errors, project, walk

HEAD = "'''{name}'''\nfrom alembic import op\n\nrevision = '{name}'\ndown_revision = {down!r}\n"


@dataclass(frozen=True)
class Step:
    """A revision: statements each way, and what its file declares."""

    up: str
    down: str
    declares: str = ""


@pytest.fixture
def foreign(tmp_path: Path, scratch_server: sa.URL) -> Iterator[Foreign]:
    with project(tmp_path, scratch_server) as made:
        made.write("models.py", AGREEING)
        yield made


def walked(foreign: Foreign, *steps: Step) -> Report:
    down = "one"
    for number, step in enumerate(steps, 1):
        text = f"{HEAD}\n{step.declares}\n"
        for name, statements in (("upgrade", step.up), ("downgrade", step.down)):
            text += f"\ndef {name}():\n    pass\n"
            for statement in filter(None, map(str.strip, statements.split("; "))):
                text += f"    op.execute({' '.join(statement.split())!r})\n"
        braced = text.replace("{", "{{").replace("}", "}}")
        for name in ("{name}", "{down!r}"):
            braced = braced.replace("{" + name + "}", name)
        foreign.revision(f"r{number}", down, braced)
        down = f"r{number}"
    return walk(foreign)


def said(report: Report, code: str) -> list[str]:
    return [f.object or f.message for f in report.findings if f.code == code]


PRICE = Step(
    "CREATE TABLE t (id int PRIMARY KEY, price numeric(8, 2) CHECK (price > 0) DEFAULT 1)",
    "DROP TABLE t",
)

TEXTS = Step("CREATE TABLE t (id int PRIMARY KEY, a text, b text)", "DROP TABLE t")

LATER = Step("ALTER TABLE t ADD code text", "ALTER TABLE t DROP code")

SOUND = {
    "values for a column that holds nothing but its default yet": [
        TEXTS,
        Step("ALTER TABLE t ADD n bigint NOT NULL DEFAULT 0", "ALTER TABLE t DROP n"),
        Step("UPDATE t SET n = id", ""),
    ],
    "grants that come and go": [
        TEXTS,
        Step(
            "GRANT SELECT ON t TO PUBLIC; GRANT UPDATE (a) ON t TO PUBLIC",
            "REVOKE ALL ON t FROM PUBLIC; REVOKE ALL (a) ON t FROM PUBLIC",
        ),
        LATER,
    ],
    "casts that a type left in checks and defaults when it came back": [
        PRICE,
        Step(
            "ALTER TABLE t ALTER price TYPE bigint USING (price * 100)::bigint",
            "ALTER TABLE t ALTER price TYPE numeric(8, 2) USING price / 100.0",
        ),
    ],
    "a downgrade that need not take the longer texts, after rows were made anew": [
        Step("CREATE TABLE t (id int PRIMARY KEY, a varchar(5), b int)", "DROP TABLE t"),
        Step("ALTER TABLE t ALTER a TYPE varchar(9)", "ALTER TABLE t ALTER a TYPE varchar(5)"),
        Step(
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE (b)",
            "ALTER TABLE t DROP CONSTRAINT u",
            "# assumes: no rows repeat: SELECT b FROM t GROUP BY b HAVING count(*) > 1",
        ),
    ],
    "a way back that refuses rows which only the new rules take": [
        Step("CREATE TABLE t (id int PRIMARY KEY, a int CHECK (a > 7), b int)", "DROP TABLE t"),
        Step(
            "ALTER TABLE t DROP CONSTRAINT t_a_check; ALTER TABLE t ADD UNIQUE (b)",
            "ALTER TABLE t DROP CONSTRAINT t_b_key; ALTER TABLE t ADD CHECK (a > 7)",
            "# assumes: no rows repeat: SELECT b FROM t GROUP BY b HAVING count(*) > 1",
        ),
    ],
    "a partition detached and attached": [
        Step(
            "CREATE TABLE t (at int PRIMARY KEY) PARTITION BY RANGE (at);"
            " CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (1) TO (4);"
            " CREATE TABLE t_2 PARTITION OF t DEFAULT",
            "DROP TABLE t",
        ),
        Step(
            "ALTER TABLE t DETACH PARTITION t_1",
            "ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES FROM (1) TO (4)",
        ),
        Step("CREATE TABLE s (id int)", "DROP TABLE s"),
    ],
    "a number that becomes a whole one": [
        Step("CREATE TABLE t (id int PRIMARY KEY, n numeric(8, 2))", "DROP TABLE t"),
        Step(
            "ALTER TABLE t ALTER n TYPE bigint USING (n * 100)::bigint",
            "ALTER TABLE t ALTER n TYPE numeric(8, 2) USING n / 100.0",
        ),
    ],
    "a column added, filled and bound in three": [
        TEXTS,
        LATER,
        Step("UPDATE t SET code = coalesce(a, '')", ""),
        Step("ALTER TABLE t ALTER code SET NOT NULL", "ALTER TABLE t ALTER code DROP NOT NULL"),
    ],
    "a rule that is validated, which nothing takes back": [
        TEXTS,
        Step(
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a <> 'never') NOT VALID",
            "ALTER TABLE t DROP CONSTRAINT c",
        ),
        Step("ALTER TABLE t VALIDATE CONSTRAINT c", ""),
    ],
    "a reference added and bound in three": [
        TEXTS,
        Step("ALTER TABLE t ADD one_id int", "ALTER TABLE t DROP one_id"),
        Step(
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (one_id) REFERENCES one NOT VALID",
            "ALTER TABLE t DROP CONSTRAINT f",
        ),
    ],
}


@pytest.mark.sample(3)
@pytest.mark.parametrize("steps", SOUND.values(), ids=SOUND)
def test_a_sound_history_is_blamed_for_nothing(foreign: Foreign, steps: list[Step]) -> None:
    report = walked(foreign, *steps)
    assert [f for f in report.findings if f.level != "note"] == []


GRANTED = Step(f"{TEXTS.up}; GRANT SELECT ON t TO PUBLIC", "DROP TABLE t")

BROKEN = {
    "values that are overwritten": (
        [TEXTS, Step("UPDATE t SET a = upper(a)", "")],
        ("rows-lost", "column public.t.a"),
    ),
    "a grant comes back as less": (
        [
            GRANTED,
            Step("REVOKE SELECT ON t FROM PUBLIC", "GRANT SELECT (a) ON t TO PUBLIC"),
        ],
        ("not-restored", "privileges on relation public.t"),
    ),
    "a table that is made anew has nobody's grants": (
        [
            GRANTED,
            Step("ALTER TABLE t DROP b", f"DROP TABLE t; {TEXTS.up}", "# loses: t"),
        ],
        ("not-restored", "privileges on relation public.t"),
    ),
    "a fraction is rounded": (
        [
            Step("CREATE TABLE t (id int PRIMARY KEY, price numeric(8, 2))", "DROP TABLE t"),
            Step(
                "ALTER TABLE t ALTER price TYPE bigint USING price::bigint * 100",
                "ALTER TABLE t ALTER price TYPE numeric(8, 2)"
                " USING greatest(least(price / 100.0, 999999), -999999)",
            ),
        ],
        ("rows-lost", "column public.t.price"),
    ),
    "what is less than one is made one": (
        [
            PRICE,
            Step(
                "ALTER TABLE t ADD amount numeric(8, 2); UPDATE t SET amount = greatest(price, 1);"
                " ALTER TABLE t DROP price",
                "ALTER TABLE t ADD price numeric(8, 2) DEFAULT 1; UPDATE t SET price = amount;"
                " ALTER TABLE t ADD CHECK (price > 0), DROP amount",
            ),
        ],
        ("rows-lost", "column public.t.price"),
    ),
    "one NULL of two loses the other": (
        [
            TEXTS,
            Step(
                "CREATE TABLE s AS SELECT * FROM t WHERE a IS NOT NULL AND b IS NOT NULL;"
                " ALTER TABLE t DROP b",
                "ALTER TABLE t ADD b text; UPDATE t SET b = s.b FROM s WHERE s.id = t.id;"
                " DROP TABLE s",
            ),
        ],
        ("rows-lost", "column public.t.b"),
    ),
    "NULL becomes a value on the way back": (
        [
            Step("CREATE TABLE t (id int PRIMARY KEY, a boolean)", "DROP TABLE t"),
            Step(
                "ALTER TABLE t ALTER a TYPE int USING a::int",
                "ALTER TABLE t ALTER a TYPE boolean USING coalesce(a, 0) = 1",
            ),
        ],
        ("rows-lost", "column public.t.a"),
    ),
    "what is split at commas is joined otherwise": (
        [
            TEXTS,
            Step(
                "ALTER TABLE t ALTER a TYPE text[] USING string_to_array(a, ',')",
                "ALTER TABLE t ALTER a TYPE text USING array_to_string(a, ', ')",
            ),
        ],
        ("rows-lost", "column public.t.a"),
    ),
    "the fields of a composite change places": (
        [
            Step(
                "CREATE TYPE c AS (x text, y text); CREATE TABLE t (id int PRIMARY KEY, c c)",
                "DROP TABLE t; DROP TYPE c",
            ),
            Step(
                "ALTER TABLE t ADD x text, ADD y text, ADD held boolean;"
                " UPDATE t SET x = (c).x, y = (c).y, held = c IS DISTINCT FROM NULL;"
                " ALTER TABLE t DROP c",
                "ALTER TABLE t ADD c c; UPDATE t SET c = ROW(y, x)::c WHERE held;"
                " ALTER TABLE t DROP x, DROP y, DROP held",
            ),
        ],
        ("rows-lost", "column public.t.c"),
    ),
    "a column that came later is cut": (
        [
            TEXTS,
            LATER,
            Step(
                "ALTER TABLE t ALTER code TYPE varchar(3) USING left(code, 3)",
                "ALTER TABLE t ALTER code TYPE text",
            ),
        ],
        ("rows-lost", "column public.t.code"),
    ),
    "a reference that came later is too wide for its new type": (
        [
            Step("ALTER TABLE one ALTER id TYPE bigint", "ALTER TABLE one ALTER id TYPE int"),
            TEXTS,
            Step("ALTER TABLE t ADD n bigint", "ALTER TABLE t DROP n"),
            Step("ALTER TABLE t ALTER n TYPE int", "ALTER TABLE t ALTER n TYPE bigint"),
        ],
        ("upgrade-failed", "revision r4"),
    ),
    "what belongs to one of several is given to all": (
        [
            Step(
                "CREATE TABLE p (a int, b int, v text, PRIMARY KEY (a, b));"
                " CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL,"
                " FOREIGN KEY (a, b) REFERENCES p)",
                "DROP TABLE t; DROP TABLE p",
            ),
            Step(
                "ALTER TABLE t ADD n int; UPDATE t SET n = b; ALTER TABLE t DROP b",
                "ALTER TABLE t ADD b int;"
                " UPDATE t SET b = (SELECT min(p.b) FROM p WHERE p.a = t.a);"
                " ALTER TABLE t ALTER b SET NOT NULL, DROP n, ADD FOREIGN KEY (a, b) REFERENCES p",
            ),
        ],
        ("rows-lost", "column public.t.b"),
    ),
    "what came later is forgotten when it is moved": (
        [
            TEXTS,
            LATER,
            Step(
                "CREATE TABLE s (id int PRIMARY KEY REFERENCES t, code text);"
                " INSERT INTO s SELECT id, code FROM t; ALTER TABLE t DROP code",
                "ALTER TABLE t ADD code text; DROP TABLE s",
            ),
        ],
        ("rows-lost", "column public.t.code"),
    ),
    "what is declared is not all that is lost": (
        [
            TEXTS,
            Step(
                "ALTER TABLE t DROP a; ALTER TABLE t DROP b",
                "ALTER TABLE t ADD a text; ALTER TABLE t ADD b text",
                "# loses: t.a, which nobody reads",
            ),
        ],
        ("rows-lost", "column public.t.b"),
    ),
    "a downgrade forgets a rule in a revision that assumes something": (
        [
            TEXTS,
            Step(
                "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a); ALTER TABLE t ADD CONSTRAINT c"
                " CHECK (b <> 'never')",
                "ALTER TABLE t DROP CONSTRAINT u",
                "# assumes: no rows repeat: SELECT a FROM t GROUP BY a HAVING count(*) > 1",
            ),
        ],
        ("not-restored", "constraint public.t.c"),
    ),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize(("steps", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_history_is_blamed_for_what_it_is(
    foreign: Foreign, steps: list[Step], expected: tuple[str, str]
) -> None:
    assert expected in errors(walked(foreign, *steps))


def test_a_type_that_the_server_lacks_leaves_the_rest_of_its_table_filled(foreign: Foreign) -> None:
    table = "CREATE TABLE t (id int PRIMARY KEY, paper xml, words regconfig DEFAULT 'simple', a int"
    vector = f"{table}, v tsvector GENERATED ALWAYS AS (to_tsvector(words, a::text)) STORED)"
    report = walked(
        foreign, Step(vector, "DROP TABLE t"), Step("ALTER TABLE t ADD b int NOT NULL", "")
    )
    assert said(report, "table-not-filled") == []
    assert ("upgrade-failed", "revision r2") in errors(report)
