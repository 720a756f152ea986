"""What a model says of its place in the HTTP API; a model that says nothing is not served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from project.models.role import Role


class Audience(Enum):
    """Those who may, beside an account of some role and above."""

    anyone = "anyone"
    nobody = "nobody"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Who may do what with the rows of a model, as its ``__resource__``.

    Nothing is open that is not named: the default is a resource that admins read and nobody
    writes. Columns are given by their names in the database.

    Attributes:
        read: Who may read: a role (and those above it), anyone, or nobody.
        write: Who may insert, change and delete.
        hidden: Columns that never leave the service and are not taken, not even from admins.
        read_only: Columns that are shown and not taken. Those that the database or the model
            fills in (identity always, computed, counted or dated by a change) are so anyway.
        restricted: Columns that exist only for accounts of a role and above.
        owner: The column that holds the account to which a row belongs. Whoever is no admin sees
            and writes only rows of its own.
        filterable: Columns by which rows may be filtered and sorted; None for all that are shown.
            The primary key always is.
        embed: Related rows that may be shown inside: names of relationships, or of tables that
            one foreign key connects with this one.
        page_size: Rows of a page when the client does not say how many.
        largest_page: Rows of a page at most.
        match_required: Whether a change has to say which version it is based on (``If-Match``);
            one that does not is answered 428.

    """

    read: Role | Audience = Role.admin
    write: Role | Audience = Audience.nobody
    hidden: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    restricted: Mapping[str, Role] = field(default_factory=dict)
    owner: str | None = None
    filterable: tuple[str, ...] | None = None
    embed: tuple[str, ...] = ()
    page_size: int = 100
    largest_page: int = 1000
    match_required: bool = False
