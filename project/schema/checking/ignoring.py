"""What a project does not want to hear of, as its pyproject.toml says."""

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from project.schema.configuration import Ignore, Project
from project.schema.finding import Finding


def without_undeclared(
    findings: list[Finding], project: Project
) -> tuple[list[Finding], list[str]]:
    """Leave out what models cannot say, where the project does not want to hear of it."""
    if project.undeclared:
        return findings, []
    kept = [finding for finding in findings if finding.origin != "undeclared"]
    left_out = len(findings) - len(kept)
    return kept, [f"{left_out} differences in what models cannot say are left out"] * bool(left_out)


def without_ignored(
    findings: Iterable[Finding], ignore: Iterable[Ignore]
) -> tuple[list[Finding], list[Finding]]:
    """Make notes of what is ignored with a reason; find the entries that match nothing any more."""
    kept = list(findings)
    unused = []
    for rule in ignore:
        matching = [f for f in kept if fnmatchcase(f.object, rule.pattern)]
        kept = [f for f in kept if f not in matching]
        kept += [replace(f, level="note", message=f"Ignored: {rule.reason}") for f in matching]
        if not matching:
            unused.append(
                Finding(
                    "ignore-unused",
                    f"The pattern {rule.pattern!r} matches no difference any more.",
                    remedy="remove it from [tool.project.schema] ignore",
                )
            )
    return kept, unused
