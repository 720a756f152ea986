"""A migration that was planned, tried and proved, as the text of its two functions."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from project.schema.autogenerate import locks, message, proof, questions
from project.schema.autogenerate.change import UnprovedError
from project.schema.autogenerate.hints import Declared
from project.schema.autogenerate.proposal import Proposal, propose
from project.schema.autogenerate.script import body, module
from project.schema.autogenerate.workbench import Workbench


@dataclass(frozen=True)
class Migration:
    """What Alembic writes into a file.

    Attributes:
        message: What it does, for a revision that was given no message.
        locks: What it was seen to lock, as a table for a person; empty if nothing.

    """

    upgrade: str
    downgrade: str
    message: str
    locks: str


def made(bench: Workbench, declared: Declared, folder: Path) -> Migration:
    """Plan a migration from what the migrations make to what the models make, and prove it.

    Args:
        bench: The databases.
        declared: What the models say in ``info``.
        folder: Where files may be written; `migration.py` is what was proved, or was not.

    Raises:
        RefusedError: there is no operation for something, or an answer is missing.
        UnprovedError: it does not do what it should.
        SourceError: the worker ended.

    """
    proposal = propose(bench, declared, folder, questions.is_rename, questions.value)
    return proved(bench, declared, proposal, folder)


def proved(bench: Workbench, declared: Declared, proposal: Proposal, folder: Path) -> Migration:
    """Prove what was planned, and write it with what was seen.

    Raises:
        UnprovedError: it does not do what it should.
        SourceError: the worker ended.

    """
    for note in proposal.notes:
        questions.tell(note)
    upgrade, downgrade = body(proposal.upgrade), body(proposal.downgrade)
    if proposal.irreversible:
        downgrade = f"raise NotImplementedError({proposal.irreversible!r})"
        questions.tell(f"There is no way back: {proposal.irreversible}")
    file = folder / "migration.py"
    file.write_text(module(upgrade, downgrade))
    told = bool(declared.hints.using or declared.hints.labels) or not proposal.converts
    questions.doing("Proving the migration, up, down and up again")
    try:
        with bench.renewed() if proposal.irreversible else nullcontext(bench) as fresh:
            seen = proof.prove(fresh, file, reversible=not proposal.irreversible, told=told)
    except UnprovedError as error:
        if not (error.back and _is_told(proposal, declared)):
            raise
        # How the new values are made is said, and nobody can say how the old ones would be.
        reason = f"Nothing makes the old values of the new ones: {error.back}"
        return proved(bench, declared, replace(proposal, irreversible=reason), folder)
    finally:
        questions.doing("")
    losses = [loss for loss in seen.losses if f"# loses: {loss.partition(',')[0]}," not in upgrade]
    if losses:
        questions.tell(f"Up and down again, values are lost: {'; '.join(losses)}.")
    if seen.condition:
        questions.tell(f"It fails where rows refuse, as generated ones did: {seen.condition}")
        if "# assumes: " not in upgrade:
            # Else no walk would get past the revision with rows in the tables.
            upgrade = f"# assumes: no rows that are refused: {seen.condition}\n{upgrade}"
    return Migration(
        proof.declared(losses) + upgrade,
        downgrade,
        message.message(proposal.differences, proposal.renamed),
        locks.table(seen.seen),
    )


def _is_told(proposal: Proposal, declared: Declared) -> bool:
    """Tell whether a developer's words make new values, which may be ones that nothing undoes."""
    changed = (d.key for d in proposal.differences if d.attribute and d.key.kind == "column")
    return any(key.name in declared.hints.using for key in changed)
