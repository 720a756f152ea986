"""Where a table is defined: noted while a project's models are imported, not searched for later."""

import inspect
import os
import sys
import sysconfig
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import alembic
import sqlalchemy as sa
from sqlalchemy import event, orm

#: A file and a line.
Place = tuple[str, int]

LIBRARY = sysconfig.get_path("stdlib")

HERE = str(Path(__file__).parents[1])

#: What has no models, and is always there.
LIBRARIES = tuple(f"{Path(module.__file__ or '').parent}{os.sep}" for module in (sa, alembic))


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
        while frame and not _defines(frame.f_code):
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
                if (path := _source_file(base)) and (_is_own(path) or _is_installed(path))
            ],
            # A base that declarative_base() has made is defined in a library.
            "bases": sorted(
                {
                    base.__name__
                    for mapper in mappers
                    for base in mapper.class_.__mro__
                    if hasattr(base, "metadata") or _is_own(_source_file(base) or "<")
                }
            ),
            "attributes": columns,
        }


def imported() -> list[str]:
    """Tell which files of the project's own have been imported."""
    # A module may be anything that somebody put there, and may answer with anything.
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return sorted({file for file in files if isinstance(file, str) and _is_own(file)})


def _defines(code: CodeType) -> bool:
    """Tell whether code may define a model: the project's own, or a module that is installed.

    A project may be installed itself, and its models be a library's. What a function of a library
    does, such as a metaclass, it does for somebody else.
    """
    return _is_own(code.co_filename) or (
        _is_installed(code.co_filename) and code.co_name == "<module>"
    )


def _is_own(path: str) -> bool:
    """Tell the foreign project's code from this, Python and what is installed."""
    return not (path.startswith(("<", LIBRARY, HERE)) or "site-packages" in path)


def _is_installed(path: str) -> bool:
    return "site-packages" in path and not path.startswith((*LIBRARIES, HERE))


def _source_file(base: type) -> str | None:
    try:
        path = inspect.getsourcefile(base)
    except (TypeError, OSError):
        return None
    return path or None
