"""A message for a migration that was given none, from what it does."""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from project.schema.autogenerate.renames import Rename
from project.schema.snapshot import MISSING, Difference, Key

#: More than these, and the rest is counted.
NAMED = 3

PARTS = ("column", "constraint", "index", "trigger", "rule", "policy", "domain constraint")

#: What a reader looks for first; the rest is there for its sake, as a type is for a column's.
FIRST = ("table", "view")

#: A verb, a name, and what the name belongs to.
Clause = tuple[str, str, str]


def message(differences: Collection[Difference], renamed: Sequence[Rename]) -> str:
    """Say what changes: ``add note to account``, ``create order, tag and 3 more changes``."""
    clauses = list(dict.fromkeys(_clauses(differences, renamed)))
    told = [
        f"{verb} {_listed([name for _, name, _ in group])}{of}"
        for (verb, of), group in groupby(clauses[:NAMED], key=lambda clause: clause[::2])
    ]
    if rest := len(clauses[NAMED:]):
        more = f"{rest} more {'change' if rest == 1 else 'changes'}"
        # One list rather than a list within a list.
        verb, _, of = clauses[0]
        if len(told) == 1 and not of:
            return _listed([*(name for _, name, _ in clauses[:NAMED]), more], first=f"{verb} ")
        told.append(more)
    return _listed(told)


def _clauses(differences: Collection[Difference], renamed: Sequence[Rename]) -> Iterator[Clause]:
    for rename in renamed:
        yield "rename", f"{_last(rename.old)} to {_last(rename.new)}", ""
    names = {name for rename in renamed for name in (rename.old, rename.new)}
    made = {d.key for d in differences if d.found is MISSING}
    gone = {d.key for d in differences if d.expected is MISSING}
    made, gone = ({key for key in keys if key.name not in names} for keys in (made, gone))
    changed = {d.key for d in differences if d.attribute is not None}
    whole = {k.name for k in made | gone if k.kind in {"table", "view", "domain"}}
    for verb, keys in (("create", made), ("drop", gone)):
        yield from ((verb, _last(key.name), "") for key in sorted(keys) if key.kind in FIRST)
    for verb, word, keys in (("add", "to", made), ("drop", "from", gone)):
        for key in sorted(keys):
            if key.kind in PARTS and key.name[:2] not in whole:
                yield verb, key.name[-1], f" {word} {key.name[1]}"
    yield from (("change", _full(key), "") for key in sorted(changed))
    for verb, keys in (("create", made), ("drop", gone)):
        others = (key for key in sorted(keys) if key.kind not in (*PARTS, *FIRST))
        yield from ((verb, _last(key.name), "") for key in others)


def _listed(words: Sequence[str], first: str = "") -> str:
    before, last = ", ".join(words[:-1]), "".join(words[-1:])
    return first + ("," * (" and " in before) + " and ").join(filter(None, (before, last)))


def _last(path: tuple[str, ...]) -> str:
    return path[-1].partition("(")[0]


def _full(key: Key) -> str:
    name = key.name[1:] if key.name[0] == "public" else key.name
    return ".".join(name).partition("(")[0]
