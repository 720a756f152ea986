"""Statements that change or delete a row, and note it in the audit: as those that insert."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from project.api.auditing import audited
from project.api.collection import Collection, View
from project.api.column import sql_default
from project.api.filters import key_is, key_slots, owned, where
from project.api.payload import Row, with_changes
from project.api.reading import columns, hashed, tag
from project.api.statement import (
    Fragment,
    Slot,
    Statement,
    Template,
    format_sql,
    identifier,
    join_sql,
    value,
)
from project.api.written import as_json, place, records, remembered, shown_tag, whole

#: The row that is given, the tags of which the row has to have one, and those that it may not have.
ROW, MATCH, UNLESS = Slot("row"), Slot("match"), Slot("unless")

#: Parts of a condition: the row's tag is one of some, or none of them; and where those are.
IS_ONE, IS_NONE = "{} = ANY ({})", "{} <> ALL ({})"
TAGS = {IS_ONE: MATCH, IS_NONE: UNLESS}


class Condition(NamedTuple):
    """What a row must be to be changed (RFC 9110, section 13.1).

    Attributes:
        match: The entity tags of which it must have one; None for any.
        unless: The entity tags of which it must have none.

    """

    match: Sequence[str] | None = None
    unless: Sequence[str] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Those of :data:`TAGS` that a statement has to ask."""
        asked = ((IS_ONE, self.match is not None), (IS_NONE, bool(self.unless)))
        return tuple(part for part, needed in asked if needed)

    def slots(self) -> dict[Slot, object]:
        """Return the values of :attr:`parts`."""
        return {MATCH: self.match and list(self.match), UNLESS: list(self.unless)}


#: No condition.
ALWAYS = Condition()


def update(
    view: View,
    key: Sequence[str],
    row: Row,
    condition: Condition = ALWAYS,
    *,
    replace: bool = False,
) -> Statement:
    """Return the statement that changes a row.

    Its answer is one row: how many there were to change and how many were changed (0 or 1), and of
    the changed one its body, tag and key.

    Args:
        view: Where the row is, and who changes it.
        key: Its key.
        row: The columns that are given.
        condition: What the row must be.
        replace: Whether the columns that are not given get their defaults.

    """
    if row or replace:
        row = with_changes(view.collection, row)
    template = _update(view, tuple(sorted(row)), condition.parts, replace=replace)
    given = {ROW: as_json(row) if row else None, **condition.slots()}
    return template.filled({**key_slots(key), **given})


@remembered
def _update(
    view: View, names: tuple[str, ...], parts: tuple[str, ...], *, replace: bool
) -> Template:
    collection = view.collection
    setting = list(_settings(view, names, replace=replace))
    steps = [_before(view)]
    if setting:
        read = records("json_to_record({})", collection, names, value(ROW, "json"))
        steps.append(
            format_sql(
                "after AS (UPDATE {} t0 SET {} FROM before b{}{} RETURNING t0.*)",
                *(collection.table, join_sql(", ", setting)),
                format_sql(", {}", read) if names else Fragment(""),
                where([*_same_row(collection), *_met(view, parts)]),
            )
        )
        steps.append(audited(view, "FROM before b, after t0", "b", "t0"))
    else:
        unchanged = where(_met(view, parts))
        steps.append(format_sql("after AS (SELECT b.* FROM before b{})", unchanged))
    return _answer(view, steps)


def delete(view: View, key: Sequence[str], condition: Condition = ALWAYS) -> Statement:
    """Return the statement that deletes a row; its answer is that of :func:`update`."""
    template = _delete(view, condition.parts)
    return template.filled({**key_slots(key), **condition.slots()})


@remembered
def _delete(view: View, parts: tuple[str, ...]) -> Template:
    steps = [
        _before(view),
        format_sql(
            "after AS (DELETE FROM {} t0 USING before b{} RETURNING t0.*)",
            view.collection.table,
            where([*_same_row(view.collection), *_met(view, parts)]),
        ),
        audited(view, "FROM after b", "b", None),
    ]
    return _answer(view, steps)


def locked(view: View, key: Sequence[str], names: Iterable[str]) -> Statement:
    """Return the statement that reads columns as text and keeps the row from changing."""
    texts = [format_sql("{}::text", identifier("t0", name)) for name in names]
    template = format_sql(
        "SELECT {} FROM {} t0{} FOR UPDATE",
        join_sql(", ", texts),
        view.collection.table,
        where(_at(view)),
    ).template()
    return template.filled(key_slots(key))


def _settings(view: View, names: Sequence[str], *, replace: bool) -> Iterable[Fragment]:
    collection = view.collection
    for name in names:
        yield format_sql("{} = {}", identifier(name), identifier("given", name))
    if replace:
        keys = {column.name for column in collection.key}
        for column in collection.taken_from(view.asker):
            if column.name not in names and column.name not in keys:
                yield format_sql("{} = DEFAULT", identifier(column.name))
    elif not names:
        return
    for column in collection.every.values():
        if column.onupdate is not None and (expression := sql_default(column.onupdate)) is not None:
            yield format_sql("{} = {}", identifier(column.name), Fragment(expression))
    if (version := collection.version) is not None:
        yield format_sql("{} = {} + 1", identifier(version.name), version.within("t0"))


def _before(view: View) -> Fragment:
    """Find the row, as it is now, and keep others from changing it meanwhile."""
    return format_sql(
        "before AS MATERIALIZED (SELECT t0.* FROM {} t0{} FOR UPDATE)",
        *(view.collection.table, where(_at(view))),
    )


def _at(view: View) -> list[Fragment]:
    """Return the conditions for the row at a key, if it is one that the asker sees."""
    return [*key_is(view.collection.key, "t0"), *owned(view.collection, "t0", view.asker)]


def _same_row(collection: Collection) -> list[Fragment]:
    return [format_sql("{} = {}", c.within("t0"), c.within("b")) for c in collection.key]


def _met(view: View, parts: Sequence[str]) -> list[Fragment]:
    """Return the conditions that the row `b` is still the one that the client saw."""
    current = tag(view.collection, "b")
    if current is None:
        shown = whole(view)._replace(alias="b")
        current = format_sql(
            "(SELECT {} FROM ({}) s)", hashed("s"), columns(view.collections, shown)
        )
    return [format_sql(part, current, value(TAGS[part], "text[]")) for part in parts]


def _answer(view: View, steps: Sequence[Fragment]) -> Template:
    """Say how many rows there were and how many were changed, and render the one that was."""
    collection = view.collection
    changed = format_sql(
        "SELECT (SELECT count(*) FROM before), (SELECT count(*) FROM after),"
        " row_to_json(s.*)::text, {}, {}"
        " FROM (SELECT) one LEFT JOIN after t0 ON true LEFT JOIN LATERAL ({}) s ON true",
        *(shown_tag(collection, "t0"), place(collection, "t0")),
        columns(view.collections, whole(view)),
    )
    return format_sql("WITH {} {}", join_sql(", ", steps), changed).template()
