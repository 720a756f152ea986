"""What a request asks of a collection: columns, conditions, order, page, and rows within rows."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from project.api.access import Asker
from project.api.collection import Collection, Collections, Relation
from project.api.faults import FaultError, bad_parameter
from project.api.filters import MOST, Filters, owned, where
from project.api.path import Path, reason_against, split
from project.api.statement import Fragment, format_sql, identifier
from project.api.values import Family
from project.api.words import GrammarError, bracketed, parts

#: Rows within rows within rows …: as deep as a request may look.
DEEPEST = 5

#: Values that a row may show, and bytes of what one is called: PostgreSQL has such limits.
WIDEST = 1000
LONGEST = 63

#: What `select=age::text` may turn a column into.
CASTS = frozenset(
    ("text", "integer", "bigint", "numeric", "boolean", "date", "timestamptz", "json", "jsonb")
)

#: What may stand after the name of a relation, as in `author!inner(name)`.
DEMANDS = frozenset({"", "inner", "left"})

LOGIC = frozenset({"and", "or", "not.and", "not.or"})
UNORDERED = frozenset({Family.json, Family.search})

ITEM = re.compile(r"((?P<alias>[^:(]+):(?!:))?(?P<name>[^:()]+)(::(?P<cast>\w+))?")
EMBED = re.compile(r"((?P<alias>[^:()]+):)?(?P<name>[^:()]+)(?P<inner>\(.*\))", re.DOTALL)
ORDER = re.compile(r"(?P<name>.+?)(\.(?P<way>asc|desc))?(\.nulls(?P<nulls>first|last))?")

Parameters = list[tuple[str, str]]


class Shown(NamedTuple):
    """A value of the answer: a column's, or what is within its JSON."""

    label: str
    path: Path
    cast: str | None = None


class Ordering(NamedTuple):
    """One step of the order of rows."""

    path: Path
    descending: bool
    nulls_first: bool


class Query(NamedTuple):
    """What is asked of one collection; `embedded` has a question for each related one.

    Attributes:
        collection: The collection.
        alias: What the statement calls its table.
        shown: The columns of a row.
        embedded: Rows within a row: a label, how they belong, and what is asked of them.
        conditions: What every row meets; all of them.
        order: A total order: the key ends it.
        limit: Rows that the request named, if it did.
        offset: Rows to pass over.
        cursor: Where the page before this one ended.
        whole: Whether a row is shown as it is, so that its version stands for what is shown.
        demanded: Of rows within rows: whether those without any are left out (`author!inner(…)`).

    """

    collection: Collection
    alias: str
    shown: tuple[Shown, ...]
    embedded: "tuple[tuple[str, Relation, Query], ...]"
    conditions: tuple[Fragment, ...]
    order: tuple[Ordering, ...]
    limit: int | None = None
    offset: int = 0
    cursor: str | None = None
    whole: bool = True
    demanded: bool = False


def read_parameters(query: str) -> Parameters:
    """Read a query string.

    Raises:
        FaultError: it is no UTF-8, has more than 100 parameters, or holds the character NUL,
            which PostgreSQL does not store.

    """
    try:
        found = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except UnicodeDecodeError:
        raise FaultError(400, "The query is not encoded as UTF-8.") from None
    except ValueError:
        raise FaultError(400, f"The query has more than {MOST} parameters.") from None
    for name, text in found:
        if "\0" in name or "\0" in text:
            raise bad_parameter(name.replace("\0", ""), "It holds the character NUL.")
    return found


def read_query(
    collections: Collections, collection: Collection, asker: Asker, parameters: Parameters
) -> Query:
    """Read what is asked of a collection.

    Raises:
        FaultError: a parameter is unknown or cannot be read; it is named.

    """
    query = _Reader(collections, asker).read(collection, parameters, (), "t0")
    if sum(len(fragment.given) for fragment in query.conditions) > MOST * MOST:
        raise FaultError(400, "The query compares too many values.")
    return query


class _Reader:
    """Reads a query and those within it; `path` leads from the outermost to the present one."""

    def __init__(self, collections: Collections, asker: Asker) -> None:
        self.collections = collections
        self.asker = asker
        self.serial = 0

    def read(
        self, collection: Collection, parameters: Parameters, path: tuple[str, ...], alias: str
    ) -> Query:
        own, inner = _sorted(parameters)
        filters = [
            (name, text) for name, text in own if name not in {"select", "order", "limit", "offset"}
        ]
        single = {name: text for name, text in own if (name, text) not in filters}
        where = ".".join((*path, ""))
        cursor = None
        conditions = owned(collection, alias, self.asker)
        for name, text in filters:
            reader = Filters(collection, alias, self.asker, where + name)
            if name == "cursor" and not path:
                cursor = text
            elif name in LOGIC:
                conditions.append(reader.logic(name, text))
            else:
                conditions.append(reader.condition(name, text))
        shown, embedded = self._select(collection, single.get("select"), inner, path)
        conditions += [
            _exists(alias, relation, query) for _, relation, query in embedded if query.demanded
        ]
        return Query(
            collection=collection,
            alias=alias,
            shown=tuple(shown),
            embedded=tuple(embedded),
            conditions=tuple(conditions),
            order=tuple(self._order(collection, single.get("order", ""), where)),
            limit=_number(f"{where}limit", single.get("limit")),
            offset=_number(f"{where}offset", single.get("offset")) or 0,
            cursor=cursor,
            whole="select" not in single,
        )

    def _select(
        self,
        collection: Collection,
        text: str | None,
        inner: Mapping[str, Parameters],
        path: tuple[str, ...],
    ) -> tuple[list[Shown], list[tuple[str, Relation, Query]]]:
        parameter = ".".join((*path, "select"))
        shown: list[Shown] = []
        embedded: list[tuple[str, Relation, Query]] = []
        try:
            items = [item.strip() for item in parts(text)] if text else ["*"]
        except GrammarError as error:
            raise bad_parameter(parameter, f"{text!r} cannot be read: {error}.") from None
        for item in items:
            if item == "*":
                shown += [Shown(c.name, Path(c)) for c in collection.known_to(self.asker)]
            elif item.endswith(")"):
                embedded.append(self._embed(collection, item, inner, path))
            else:
                shown.append(self._shown(collection, item, parameter))
        labels = [show.label for show in shown] + [label for label, _, _ in embedded]
        if len(labels) > WIDEST:
            raise bad_parameter(parameter, f"It shows more than {WIDEST} values.")
        if long := [label for label in labels if len(label.encode()) > LONGEST]:
            raise bad_parameter(parameter, f"{long[0]!r} is longer than {LONGEST} bytes.")
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise bad_parameter(parameter, f"It names {', '.join(sorted(twice))} twice.")
        if unknown := set(inner) - {label for label, _, _ in embedded}:
            name = min(unknown)
            raise bad_parameter(
                ".".join((*path, name, inner[name][0][0])), f"{name} is not embedded by select."
            )
        return shown, embedded

    def _shown(self, collection: Collection, item: str, parameter: str) -> Shown:
        found = ITEM.fullmatch(item)
        if found is None:
            raise bad_parameter(parameter, f"{item!r} is no column.")
        name, steps = split(found["name"])
        column = collection.columns.get(name)
        if column is None or not column.known_to(self.asker):
            raise bad_parameter(parameter, f"{collection.name} has no column {name!r}.")
        path, cast = Path(column, steps), found["cast"]
        if reason := reason_against(path):
            raise bad_parameter(parameter, reason)
        if cast is not None and (cast not in CASTS or column.type.outward):
            raise bad_parameter(parameter, f"{column.name} cannot be shown as {cast}.")
        return Shown(found["alias"] or path.label, path, cast)

    def _embed(
        self,
        collection: Collection,
        item: str,
        inner: Mapping[str, Parameters],
        path: tuple[str, ...],
    ) -> tuple[str, Relation, Query]:
        parameter = ".".join((*path, "select"))
        found = EMBED.fullmatch(item)
        name, _, demand = (found["name"] if found else "").partition("!")
        relation = collection.relations.get(name) if demand in DEMANDS else None
        if found is None or relation is None:
            raise bad_parameter(parameter, f"{collection.name} has nothing to embed as {item!r}.")
        target = self.collections[relation.target]
        if not self.asker.among(target.resource.read):
            raise bad_parameter(parameter, f"You may not read {target.name}.")
        if len(path) + 1 >= DEEPEST:
            raise bad_parameter(parameter, f"Rows are embedded at most {DEEPEST - 1} deep.")
        label = found["alias"] or relation.name
        columns = ",".join(bracketed(found["inner"]))
        parameters = [("select", columns or "*"), *inner.get(label, [])]
        self.serial += 1
        query = self.read(target, parameters, (*path, label), f"t{self.serial}")
        return label, relation, query._replace(demanded=demand == "inner")

    def _order(self, collection: Collection, text: str, where: str) -> Iterable[Ordering]:
        reader = Filters(collection, "", self.asker, f"{where}order")
        seen = set()
        for item in text.split(",") if text else []:
            found = ORDER.fullmatch(item.strip())
            path = reader.path(found["name"] if found else item)
            if path.family in UNORDERED or path.column.type.outward:
                raise reader.fault(f"Rows cannot be sorted by {path.name}.")
            if found is None or path in seen:
                raise reader.fault(f"{item!r} is no order, or is one twice.")
            seen.add(path)
            descending = found["way"] == "desc"
            # PostgreSQL's own rule: nulls are larger than anything.
            nulls_first = descending if found["nulls"] is None else found["nulls"] == "first"
            yield Ordering(path, descending, nulls_first)
        for column in collection.key:
            if Path(column) not in seen:
                yield Ordering(Path(column), descending=False, nulls_first=False)


def _exists(alias: str, relation: Relation, query: Query) -> Fragment:
    """Return the condition that a row has at least one of those that are asked for within it."""
    table = format_sql("{} {}", query.collection.table, identifier(query.alias))
    met = together(alias, relation, query.alias)
    return format_sql("EXISTS (SELECT FROM {}{})", table, where([*met, *query.conditions]))


def together(alias: str, relation: Relation, inner: str) -> list[Fragment]:
    """Return the conditions that a row and one within it belong together."""
    return [
        format_sql("{} = {}", identifier(inner, there), identifier(alias, here))
        for here, there in relation.pairs
    ]


def _sorted(parameters: Parameters) -> tuple[Parameters, dict[str, Parameters]]:
    """Tell the parameters of this collection from those of embedded ones (`author.name=eq.Ann`)."""
    own: Parameters = []
    inner: dict[str, Parameters] = {}
    for name, text in parameters:
        first, dot, rest = name.partition(".")
        if dot and first != "not" and "->" not in first:
            inner.setdefault(first, []).append((rest, text))
        else:
            own.append((name, text))
    return own, inner


def _number(parameter: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise bad_parameter(parameter, f"{text!r} is no whole number.")
    return int(text)
