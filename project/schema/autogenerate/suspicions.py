"""What looks like a rename and was not declared as one: a person is asked."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from project.schema.autogenerate.definitions import parse
from project.schema.autogenerate.renames import Rename, columns_of
from project.schema.autogenerate.text import literal, shown
from project.schema.snapshot import MISSING, Difference, Key, Snapshot

#: How many of their columns two tables share, from 0 to 1, if one may be the other renamed.
ALIKE = 0.5


@dataclass(frozen=True)
class Suspicion:
    """A drop and an add that look like one rename."""

    rename: Rename

    @property
    def question(self) -> str:
        """Ask a person."""
        old, new = shown(self.rename.old), shown(self.rename.new)
        return f"Is {self.rename.kind} {new} the former {old}?"

    @property
    def hint(self) -> str:
        """Say what to write into the model."""
        old = self.rename.old
        was = old[-1] if self.rename.old[:-1] == self.rename.new[:-1] else ".".join(old)
        return (
            f"{self.rename.kind} {shown(self.rename.new)} looks like the former {shown(old)}:"
            f' give it info={{"renamed_from": {literal(was)}}} if it is,'
            ' info={"renamed_from": None} if it is new'
        )


def suspicions(
    differences: Iterable[Difference],
    old: Snapshot,
    new: Snapshot,
    declared_new: Collection[Key],
) -> list[Suspicion]:
    """Find what may be renamed: tables that share columns, columns of one table and one type."""
    differing = list(differences)
    gone = [d.key for d in differing if d.expected is MISSING]
    made = [d.key for d in differing if d.found is MISSING and d.key not in declared_new]
    found = [
        Suspicion(Rename("table", was.name, becomes.name))
        for was, becomes in _paired(
            [key for key in gone if key.kind == "table"],
            # A partition is declared in SQL, where there is no place for a hint.
            [
                key
                for key in made
                if key.kind == "table" and not new.items[key].attributes.get("partition of")
            ],
            lambda was, becomes: _shared(was, becomes, old, new),
        )
    ]
    whole = {key.name for key in (*gone, *made) if key.kind == "table"}
    # What is inherited is what becomes of the parent's.
    parts, others = (
        [
            key
            for key in listed
            if key.kind == "column"
            and key.name[:2] not in whole
            and not side.items[key].attributes.get("inherited")
        ]
        for listed, side in ((gone, old), (made, new))
    )
    for table, group in groupby(sorted(parts), key=lambda key: key.name[:2]):
        mine = [key for key in others if key.name[:2] == table]
        found += [
            Suspicion(Rename("column", was.name, becomes.name))
            for was, becomes in _paired(
                list(group), mine, lambda was, becomes: _likeness(was, becomes, old, new)
            )
        ]
    return found


def _paired(
    gone: Collection[Key], made: Collection[Key], likeness: object
) -> Iterator[tuple[Key, Key]]:
    """Pair what is most alike first; each stands in one pair at most."""
    assert callable(likeness)  # noqa: S101
    rated = sorted(
        ((likeness(was, becomes), was, becomes) for was in gone for becomes in made),
        key=lambda rating: (-rating[0], rating[1:]),
    )
    taken: set[Key] = set()
    for rating, was, becomes in rated:
        if rating and not {was, becomes} & taken:
            taken |= {was, becomes}
            yield was, becomes


def _referred(table: Key, snapshot: Snapshot) -> dict[str, str]:
    """Return to which table a column refers, for those that refer to one alone."""
    keys = [
        parse(item) for item in snapshot.of_kind("constraint") if item.key.name[:2] == table.name
    ]
    return {
        key.columns[0]: f"of {'.'.join(key.referred)}"
        for key in keys
        if key is not None and key.kind == "foreign" and len(key.columns) == 1
    }


def _shared(was: Key, becomes: Key, old: Snapshot, new: Snapshot) -> float:
    """Rate how much of two tables is the same: columns by their names, or by what they refer to.

    In a table that joins two others, only the latter stays where one of those has another name.
    """
    here, there = columns_of(was, old), columns_of(becomes, new)
    most = max(here.total(), there.total())
    if not most:
        return 0.0
    referring = [
        Counter((names.get(name, name), type_) for name, type_ in columns)
        for names, columns in ((_referred(was, old), here), (_referred(becomes, new), there))
    ]
    share = max((here & there).total(), (referring[0] & referring[1]).total()) / most
    return share + _names(was, becomes) / 100 if share > ALIKE else 0.0


def _likeness(was: Key, becomes: Key, old: Snapshot, new: Snapshot) -> float:
    one, other = old.items[was].attributes, new.items[becomes].attributes
    same = one["type"] == other["type"] and bool(one.get("generated")) == bool(
        other.get("generated")
    )
    return 0.01 + _names(was, becomes) if same else 0.0


def _names(was: Key, becomes: Key) -> float:
    return SequenceMatcher(None, was.name[-1], becomes.name[-1]).ratio()
