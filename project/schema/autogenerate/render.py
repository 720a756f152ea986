"""How types are written in a migration."""

from typing import Any, Literal

from alembic.autogenerate.api import AutogenContext

# Alembic renders types (arrays of them, variants, dialects' own) here and offers no other door to
# it; a second renderer of ours would be worse than a name that may change, which a test watches.
from alembic.autogenerate.render import _repr_type
from sqlalchemy.types import TypeDecorator, TypeEngine


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:  # noqa: ANN401
    """Write a decorated type as the plain SQL type beneath it.

    A decorator (``EmailType`` of sqlalchemy-utils, or one of the project's own) says how Python
    sees a value; the database never hears of it. A migration that named it would import live code.
    Pass this function to ``context.configure(render_item=…)`` (Alembic's "Affecting the Rendering
    of Types Themselves").

    Returns:
        The expression, or False where Alembic's own rendering is right.

    """
    if kind != "type" or not isinstance(item, TypeDecorator):
        return False
    assert context.dialect is not None  # noqa: S101  (Alembic has one before it renders)
    plain: TypeEngine[Any] = item
    while isinstance(plain, TypeDecorator):
        plain = plain.load_dialect_impl(context.dialect)
    return _repr_type(plain, context)
