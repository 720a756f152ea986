"""What ``alembic revision --autogenerate`` writes, through Alembic's public hooks."""

from project.schema.autogenerate.render import render_item

__all__ = ["render_item"]
