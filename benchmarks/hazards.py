"""The cases of tests/cases/review.toml, reviewed by this project and by squawk.

.venv/bin/python -m benchmarks.hazards [first last]

The cases are this project's own, and its verdicts are tested on each; so what is measured is the
other side: how much of it a linter sees in the SQL. squawk gets the statements as they were
executed, told whether they share a transaction and which PostgreSQL it is. Its rules count for each
question that their documentation says they are about; those of style (names, types, time-outs) do
not count, neither for it nor against it. Each case asks four questions: availability, data,
compatibility with the release still running, failure. Sure is what was seen to happen; what depends
on rows or on what a release sends is conditional. A false alarm is any answer on a case that is
harmless in all four.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from project.schema import scratch
from project.schema.finding import Finding
from project.schema.hazards import CODES
from project.schema.reviewing.observation import Statement
from tests.reviewed import CASES, reviewed

AXES = ("availability", "data", "compatibility", "failure")

#: Rule of squawk → what it warns of (https://squawkhq.com/docs/rules).
RULES = {
    "adding-field-with-default": {"availability"},
    "adding-foreign-key-constraint": {"availability"},
    "adding-not-nullable-field": {"availability", "failure"},
    "adding-required-field": {"compatibility", "failure"},
    "adding-serial-primary-key-field": {"availability"},
    "ban-alter-domain-with-add-constraint": {"availability", "failure"},
    "ban-alter-identity": {"compatibility"},
    "ban-char-field": set(),
    "ban-concurrent-index-creation-in-transaction": {"failure"},
    "ban-create-domain-with-constraint": {"availability"},
    "ban-drop-column": {"data", "compatibility"},
    "ban-drop-database": {"data"},
    "ban-drop-default": {"compatibility"},
    "ban-drop-function": {"compatibility"},
    "ban-drop-generated-expression": {"compatibility"},
    "ban-drop-not-null": {"compatibility"},
    "ban-drop-schema": {"data", "compatibility"},
    "ban-drop-sequence": {"compatibility"},
    "ban-drop-table": {"data", "compatibility"},
    "ban-drop-type": {"compatibility"},
    "ban-drop-view": {"compatibility"},
    "ban-set-schema": {"compatibility"},
    "ban-truncate-cascade": {"data"},
    "changing-column-type": {"availability", "data", "compatibility", "failure"},
    "constraint-missing-not-valid": {"availability", "failure"},
    "disallowed-unique-constraint": {"availability", "failure"},
    "prefer-repack": {"availability"},
    "renaming-column": {"compatibility"},
    "renaming-object": {"compatibility"},
    "renaming-table": {"compatibility"},
    "require-concurrent-index-creation": {"availability"},
    "require-concurrent-index-deletion": {"availability"},
    "require-concurrent-partition-detach": {"availability"},
    "require-concurrent-reindex": {"availability"},
}

Answers = dict[str, set[str]]  # axis → codes or rules


def main(first: int = 0, last: int = len(CASES)) -> None:
    ours, theirs = Counter[str](), Counter[str]()
    unknown: Counter[str] = Counter()
    with (
        scratch.server(scratch.from_environment()) as server,
        tempfile.TemporaryDirectory() as folder,
        reviewed(Path(folder), server) as cases,
    ):
        with psycopg.connect(written(server)) as connection:
            version = connection.info.server_version // 10000
        for number in range(first, min(last, len(CASES))):
            if CASES[number].get("since", 0) > version:
                continue
            review = cases.review(number)
            linted = squawk(review.trial.observation.own, version, unknown)
            count(ours, CASES[number], answers(review.findings))
            count(theirs, CASES[number], linted)
    report(ours, theirs, version)
    if unknown:
        print("rules of style, not counted:", ", ".join(sorted(unknown)))


def answers(findings: Collection[Finding]) -> Answers:
    found: Answers = {}
    for finding in findings:
        if finding.code in CODES and finding.level != "note":
            found.setdefault(CODES[finding.code].axis, set()).add(finding.code)
    return found


def squawk(statements: Sequence[Statement], version: int, unknown: Counter[str]) -> Answers:
    if not statements:
        return {}
    text = "".join(statement.sql.strip().rstrip(";") + ";\n" for statement in statements)
    command = [str(Path(sys.executable).with_name("squawk")), "--reporter", "json"]
    command += ["--pg-version", f"{version}.0"]
    if all(statement.in_transaction for statement in statements):
        command.append("--assume-in-transaction")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([*command, file.name], capture_output=True, text=True, check=False)
    found: Answers = {}
    for told in json.loads(done.stdout or "[]"):
        rule = told["rule_name"]
        if rule not in RULES:
            unknown[rule] += 1
        for axis in RULES.get(rule, ()):
            found.setdefault(axis, set()).add(rule)
    return found


def count(into: Counter[str], case: dict[str, Any], found: Answers) -> None:
    sure = {CODES[code].axis for code in case.get("sure", ())}
    maybe = {CODES[code].axis for code in case.get("maybe", ())} - sure
    for axis in AXES:
        for kind, axes in (("sure", sure), ("conditional", maybe)):
            into[f"{axis} {kind}"] += axis in axes
            into[f"{axis} {kind} found"] += axis in axes and axis in found
    into["cases"] += 1
    into["harmless"] += not (sure or maybe)
    into["cried"] += not (sure or maybe) and bool(found)


def report(ours: Counter[str], theirs: Counter[str], version: int) -> None:
    print(f"{ours['cases']} cases on PostgreSQL {version}; found, ours and squawk's:")
    for kind in ("sure", "conditional"):
        for axis in AXES:
            name = f"{axis} {kind}"
            mine, other = ours[f"{name} found"], theirs[f"{name} found"]
            print(f"  {axis:13} {kind:11} {ours[name]:4} hazards: {mine:4} {other:4}")
    print(
        f"  {'false alarms':25} {ours['harmless']:4} harmless:"
        f" {ours['cried']:3} {theirs['cried']:4}",
        flush=True,
    )


def written(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
