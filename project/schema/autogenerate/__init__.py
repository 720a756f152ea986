"""``alembic revision --autogenerate`` that sees everything, is safe under traffic, and is proved.

One line in env.py, before it connects::

    from project.schema import autogenerate

    autogenerate.install()
"""

from project.schema.autogenerate.entrance import connection, install

__all__ = ["connection", "install"]
