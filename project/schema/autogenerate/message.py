"""A message for a migration that was given none, from what it does."""

from collections.abc import Collection, Sequence

from project.schema.autogenerate.renames import Rename
from project.schema.snapshot import MISSING, Difference, Key

#: More than these, and the rest is counted.
NAMED = 2

PARTS = ("column", "constraint", "index", "trigger", "rule", "policy", "domain constraint")


def message(differences: Collection[Difference], renamed: Sequence[Rename]) -> str:
    """Say what changes: ``add note to account``, ``create audit_entry and 3 more changes``."""
    sentences = [f"rename {_last(r.old)} to {_last(r.new)}" for r in renamed]
    names = {name for rename in renamed for name in (rename.old, rename.new)}
    made = {d.key for d in differences if d.found is MISSING}
    gone = {d.key for d in differences if d.expected is MISSING}
    whole = {k.name for k in made | gone if k.kind in {"table", "view", "domain"}}
    for verb, keys in (("create", made), ("drop", gone)):
        tables = sorted(key for key in keys if key.kind not in PARTS and key.name not in names)
        sentences += [f"{verb} {_last(key.name)}" for key in tables]
    for verb, word, keys in (("add", "to", made), ("drop", "from", gone)):
        for key in sorted(keys):
            if key.kind in PARTS and key.name[:2] not in whole and key.name not in names:
                sentences.append(f"{verb} {key.name[-1]} {word} {key.name[1]}")
    changed = {d.key for d in differences if d.attribute is not None}
    sentences += [f"change {_full(key)}" for key in sorted(changed)]
    sentences = list(dict.fromkeys(sentences))
    rest = len(sentences) - NAMED
    told = sentences[:NAMED]
    if rest > 0:
        told.append(f"{rest} more {'change' if rest == 1 else 'changes'}")
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def _last(path: tuple[str, ...]) -> str:
    return path[-1].partition("(")[0]


def _full(key: Key) -> str:
    name = key.name[1:] if key.name[0] == "public" else key.name
    return ".".join(name).partition("(")[0]
