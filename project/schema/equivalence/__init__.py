"""Do two values that are printed differently mean the same to the server?

Correct migrations leave residue. After a change of a column's type, its default keeps the old cast
(``'member'::character varying`` on a ``text`` column) and its checks are rewritten with casts; and
``now()`` and ``CURRENT_TIMESTAMP`` are printed as they were written. None of that is drift.

The server decides, in a scratch database, never in the user's: what both sides say is made there
once more, on the expected tables, and read as the planner or the parser understands it. What cannot
be decided stays a difference.
"""

from project.schema.equivalence.decision import without_equivalents

__all__ = ["without_equivalents"]
