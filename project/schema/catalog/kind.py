"""A kind of object: the query that reads all of them, and what spares the server the question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Kind:
    """How the objects of one kind are read."""

    query: str  # rows of (name, attributes, named by)
    present: str | None = None  # a query that has rows where the database has such objects
    attributes: tuple[str, ...] = ()  # their names, where the query answers their values alone

    @classmethod
    def of_many(
        cls, *, name: str, attributes: Mapping[str, str], named_by: str, source: str
    ) -> Self:
        """Describe a kind of which there are hundreds, so that each answers values alone.

        To write the names of the attributes into every row, as an object, and to sort them there,
        takes as long as to find out the values.

        Args:
            name: What makes up an object's name, from the schema down.
            attributes: Each one's expression.
            named_by: An expression for who may have chosen the name.
            source: The query from FROM on.

        """
        values = ",\n".join(attributes.values())
        query = f"SELECT ARRAY[{name}], json_build_array(\n{values}\n), {named_by} {source}"
        return cls(query, attributes=tuple(attributes))
