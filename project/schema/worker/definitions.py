"""Where a table is defined: noted while a project's models are imported, not searched for later."""

import inspect
import sys
import sysconfig
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, orm

#: A file and a line.
Place = tuple[str, int]

LIBRARY = sysconfig.get_path("stdlib")

HERE = str(Path(__file__).parents[1])


@dataclass
class Definitions:
    """Notes, while models are imported, where each table is defined and which classes map it."""

    places: "weakref.WeakKeyDictionary[sa.Table, Place]" = field(
        default_factory=weakref.WeakKeyDictionary
    )
    mappers: list["orm.Mapper[Any]"] = field(default_factory=list)

    def install(self) -> None:
        """Begin to take notes."""
        event.listen(sa.Table, "after_parent_attach", self._note_table)
        event.listen(orm.Mapper, "instrument_class", self._note_mapper)

    def _note_table(self, table: sa.Table, _: Any) -> None:  # noqa: ANN401
        frame = inspect.currentframe()
        while frame and not _is_foreign(frame.f_code):
            frame = frame.f_back
        if frame:
            self.places[table] = frame.f_code.co_filename, frame.f_lineno

    def _note_mapper(self, mapper: "orm.Mapper[Any]", _: type) -> None:
        self.mappers.append(mapper)

    def of(self, table: sa.Table) -> dict[str, Any]:
        """Tell the table's place, its classes with their bases, and its columns' attributes."""
        mappers = [mapper for mapper in self.mappers if mapper.local_table is table]
        columns: dict[str, str] = {}
        for mapper in mappers:
            for attribute, column in mapper.columns.items():
                # What a property computes is here, too, and belongs to no table.
                if getattr(column, "table", None) is table:
                    columns.setdefault(column.name, attribute)
        return {
            "name": table.name,
            "schema": table.schema,
            "place": self.places.get(table),
            "classes": [
                (path, base.__qualname__)
                for mapper in mappers
                if hasattr(mapper.class_, "__table__")  # or the table was mapped to it elsewhere
                for base in mapper.class_.__mro__
                if (path := _source_file(base))
            ],
            # A base that declarative_base() has made is defined in a library.
            "bases": sorted(
                {
                    base.__name__
                    for mapper in mappers
                    for base in mapper.class_.__mro__
                    if hasattr(base, "metadata") or _source_file(base)
                }
            ),
            "attributes": columns,
        }


def imported() -> list[str]:
    """Tell which files of the project's own have been imported."""
    # A module may be anything that somebody put there, and may answer with anything.
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return sorted({file for file in files if isinstance(file, str) and _is_own(file)})


def _is_foreign(code: CodeType) -> bool:
    """Tell the foreign project's code from this file, Python and what is installed."""
    return _is_own(code.co_filename)


def _is_own(path: str) -> bool:
    return not (path.startswith(("<", LIBRARY, HERE)) or "site-packages" in path)


def _source_file(base: type) -> str | None:
    try:
        path = inspect.getsourcefile(base)
    except (TypeError, OSError):
        return None
    return path if path and _is_own(path) else None
