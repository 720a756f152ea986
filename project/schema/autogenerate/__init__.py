"""``alembic revision --autogenerate`` that sees everything, is safe under traffic, and is proved.

One line in env.py, before it connects::

    from project.schema import autogenerate

    autogenerate.install()
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from project.schema.autogenerate.entrance import connection, install

__all__ = ["connection", "install"]


def __getattr__(name: str) -> object:
    """Import Alembic once somebody wants what plugs into it (PEP 562); to write is to need none."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.entrance"), name)
