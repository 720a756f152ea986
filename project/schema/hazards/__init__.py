"""What a migration puts at risk: the catalogue of codes, and who finds each of them.

Four questions, one axis each: does it block readers or writers while work grows with the table
(availability), is data lost (data), does the release that is still running break (compatibility),
can it fail (failure)? A fifth axis, policy, is about the revisions as files.
"""

from project.schema.hazards.codes import CODES, Code

__all__ = ["CODES", "Code"]
