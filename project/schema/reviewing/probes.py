"""Statements that a release working on a schema sends, made from the schema.

Nothing is known of the release but its schema; what is made here is what an ORM would send: every
column selected, compared, inserted, updated. Values are copied from rows that are there.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from project.schema.reviewing.probe import Column, Probe, Relation, relations

#: What values of a type reach, for those who write them.
EXTREMES = {
    "smallint": ("-32768", "32767"),
    "integer": ("-2147483648", "2147483647"),
    "bigint": ("-9223372036854775808", "9223372036854775807"),
    "numeric": ("-1", "0"),
    "double precision": ("-1", "1e300"),
    "real": ("-1", "1e30"),
    "uuid": ("ffffffff-ffff-4fff-bfff-ffffffffffff",),
    "date": ("1900-01-01", "2100-01-01"),
    "timestamp without time zone": ("1900-01-01", "2100-01-01"),
    "timestamp with time zone": ("1900-01-01 00:00:00+00", "2100-01-01 00:00:00+00"),
}


#: Characters of a text that has no limit: more than anybody limits it to.
LONG = 5000


def probes(
    connection: "psycopg.Connection[Any]", wanted: Collection[tuple[str, str]] | None = None
) -> list[Probe]:
    """Make statements for the tables and views of a database that has rows.

    Args:
        connection: To the database.
        wanted: Schema and name of those that matter; None for all.

    """
    return [
        probe
        for relation, columns in relations(connection, wanted)
        for probe in _of(connection, relation, columns)
    ]


def _of(
    connection: "psycopg.Connection[Any]", relation: Relation, columns: list[Column]
) -> Iterator[Probe]:
    rows = _rows(connection, relation, columns)
    maker = _Maker(connection, relation, columns)
    yield from maker.reading(rows[0] if rows else None)
    if relation.kind in "rp" and rows:
        yield from maker.writing(rows[0])
        yield from maker.unusual(rows)


def _rows(
    connection: "psycopg.Connection[Any]", relation: Relation, columns: list[Column]
) -> list[dict[str, str | None]]:
    """Read some rows as texts, the fullest first: a NULL is no usual value.

    Of rows as full, the first are the most ordinary ones (``rows.proposals``).
    """
    names = [sql.Identifier(column.name) for column in columns]
    query = sql.SQL("SELECT {} FROM {} ORDER BY num_nulls({}), {} LIMIT 8").format(
        sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in names),
        relation.written,
        sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in names),
        sql.SQL("{}::text").format(names[0]) if relation.kind == "v" else sql.SQL("tableoid, ctid"),
    )
    try:
        with connection.transaction():
            found = connection.execute(query).fetchall()
    except psycopg.Error:  # a view that fails, say
        return []
    return [dict(zip([column.name for column in columns], row, strict=True)) for row in found]


@dataclass(frozen=True)
class _Maker:
    connection: "psycopg.Connection[Any]"
    relation: Relation
    columns: list[Column]

    def reading(self, row: dict[str, str | None] | None) -> Iterator[Probe]:
        names = [column.name for column in self.columns]
        yield self._probe(
            "SELECT", names, "SELECT {} FROM {} LIMIT 20", self._list(names), self._on
        )
        yield self._probe("SELECT", (), "SELECT count(*) FROM {}", self._on)
        for column in self.columns if row else ():
            value = row[column.name] if row else None
            if value is None or column.type in ("json", "xml", "point", "polygon", "circle"):
                continue
            yield self._probe(
                "WHERE",
                [column.name],
                "SELECT count(*) FROM {} WHERE {} = {}",
                self._on,
                sql.Identifier(column.name),
                _literal(column, value),
                usual=column.type != "jsonb",  # few compare a document as a whole
            )

    def writing(self, row: dict[str, str | None]) -> Iterator[Probe]:
        setup = self._without(row)
        writable = [column for column in self.columns if not column.generated]
        by_hand = [column for column in writable if column.identity != "a"]
        served = [column for column in by_hand if not (column.identity or column.has_default)]
        needed = [column for column in served if column.required]
        usual = [column for column in by_hand if column.name not in self.relation.key]
        told: list[list[Column]] = []
        for chosen in (by_hand, usual, served, needed):
            if chosen not in told:
                told.append(chosen)
                yield self._insert(chosen, row, setup)
        for column in by_hand:
            if row[column.name] is not None:
                yield self._update(column, row, _literal(column, row[column.name]))
        yield self._probe("DELETE", (), "DELETE FROM {} WHERE {}", self._on, self._this(row))
        for unique in self.relation.uniques:
            yield self._insert(tuple(by_hand), row, "", conflict=tuple(unique))

    def unusual(self, rows: list[dict[str, str | None]]) -> Iterator[Probe]:
        """Make statements with values that are legal, whether anybody writes them or not."""
        row = rows[0]
        # The same once more: nothing may have kept rows apart.
        everything = [c for c in self.columns if not c.generated and c.identity != "a"]
        yield replace(self._insert(everything, row, ""), usual=False)
        for column in self.columns:
            if column.generated or column.identity:
                continue
            if not column.required:
                yield self._unusual(row, column, None)
            values = [*column.labels, *EXTREMES.get(column.type, ())]
            if column.category == "S":
                values += ["", *("x" * length for length in (column.length or 300, LONG))]
            values += [value for other in rows[1:] if (value := other[column.name]) is not None]
            for value in dict.fromkeys(values):
                yield self._unusual(row, column, value)

    def _unusual(self, row: dict[str, str | None], column: Column, value: str | None) -> Probe:
        columns = [each for each in self.columns if not each.generated and each.identity != "a"]
        other = {**row, column.name: value}
        return replace(self._insert(columns, other, self._without(row)), usual=False)

    @property
    def _on(self) -> sql.Identifier:
        return self.relation.written

    def _list(self, names: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(map(sql.Identifier, names))

    def _this(self, row: dict[str, str | None]) -> sql.Composed:
        """Write what finds a row: its key, or all that can be compared as text."""
        names = self.relation.key or [column.name for column in self.columns]
        columns = {column.name: column for column in self.columns}
        return sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), _literal(columns[name], row[name]))
            if self.relation.key
            else sql.SQL("{}::text IS NOT DISTINCT FROM {}").format(sql.Identifier(name), row[name])
            for name in names
        )

    def _without(self, row: dict[str, str | None]) -> str:
        """Take a row away, so that it can be inserted again; who refers to it is not asked."""
        statement = sql.SQL(
            "SET LOCAL session_replication_role = replica; DELETE FROM {} WHERE {};"
            " SET LOCAL session_replication_role = origin"
        ).format(self._on, self._this(row))
        return statement.as_string(self.connection)

    def _insert(
        self,
        columns: Sequence[Column],
        row: dict[str, str | None],
        setup: str,
        conflict: tuple[str, ...] = (),
    ) -> Probe:
        names = [column.name for column in columns]
        target = sql.SQL(" ON CONFLICT ({}) DO NOTHING").format(self._list(conflict))
        values = sql.SQL(", ").join(_literal(column, row[column.name]) for column in columns)
        filled = (
            sql.SQL("({}) VALUES ({})").format(self._list(names), values)
            if names
            else sql.SQL("DEFAULT VALUES")
        )
        return self._probe(
            "ON CONFLICT" if conflict else "INSERT",
            names,
            "INSERT INTO {} {}{}",
            self._on,
            filled,
            target if conflict else sql.SQL(""),
            usual=not conflict,
            setup=setup,
        )

    def _update(
        self,
        column: Column,
        row: dict[str, str | None],
        value: sql.Composable,
    ) -> Probe:
        name = sql.Identifier(column.name)
        statement = "UPDATE {} SET {} = {} WHERE {}"
        where = self._this(row)
        return self._probe("UPDATE", [column.name], statement, self._on, name, value, where)

    def _probe(
        self,
        kind: str,
        columns: Collection[str],
        text: str,
        *parts: sql.Composable,
        usual: bool = True,
        setup: str = "",
    ) -> Probe:
        statement = sql.SQL(text).format(*parts).as_string(self.connection)
        return Probe(self.relation, kind, tuple(columns), statement, usual, setup)


def _literal(column: Column, value: str | None) -> sql.Composable:
    """Write a value as drivers send it: with its type, unless that is one of the user's own."""
    if value is None:
        return sql.NULL
    if column.kind != "b":
        return sql.Literal(value)
    return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(column.type))
