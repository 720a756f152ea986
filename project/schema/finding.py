"""A finding: what a check has to say, in one value that every report can show."""

from dataclasses import dataclass
from typing import Literal

#: What a difference contradicts: the metadata ("models"); DDL that is declared beside it, for what
#: it has no words ("declared"); or nothing, for it is only in the database, and the metadata has no
#: words for it ("undeclared"). Empty where models have no part in it.
Origin = Literal["models", "declared", "undeclared", ""]

#: An error makes the exit code 1; a note does not.
Level = Literal["error", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, said for the person who must act on it."""

    code: str  # stable, for machines: "column-differs", "no-downgrade"
    message: str  # one sentence
    level: Level = "error"
    object: str = ""  # "column public.account.email", where there is one
    attribute: str = ""
    expected: str = ""  # what the models (or the state before) say
    found: str = ""  # what the migrations (or the database, or the state after) say
    remedy: str = ""  # the operation that would mend it
    path: str = ""  # the file to look at, relative to the project
    line: int = 0  # its line, from 1; 0 where only the file is known
    origin: Origin = ""


@dataclass(frozen=True)
class Report:
    """The result of one run: what was asked, what was found, and what was looked at."""

    title: str  # "models against migrations"
    findings: tuple[Finding, ...]
    facts: tuple[str, ...] = ()  # lines of information: "4 revisions, head 174a4b09932c"

    @property
    def agrees(self) -> bool:
        """Whether nothing was found that must be mended."""
        return not any(finding.level == "error" for finding in self.findings)
