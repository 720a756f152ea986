<%!
    import re

    def body(text):
        """Leave out the two lines in which Alembic asks to adjust what is proved already."""
        return re.sub(r"\n? *# ### .* ###(?=\n|$)", "", text or "").strip() or "pass"
%>\
"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision or 'nothing' | comma,n}
Create Date: ${create_date}

A migration is frozen history: it imports sqlalchemy and alembic only, never project, whose
models will have moved on. downgrade() undoes upgrade() and leaves nothing behind (types,
sequences, functions); what cannot be undone raises with a sentence that says why.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision: str = ${repr(up_revision)}
down_revision: str | Sequence[str] | None = ${repr(down_revision)}
branch_labels: str | Sequence[str] | None = ${repr(branch_labels)}
depends_on: str | Sequence[str] | None = ${repr(depends_on)}


def upgrade() -> None:
    ${body(upgrades)}


def downgrade() -> None:
    ${body(downgrades)}
