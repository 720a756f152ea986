"""What an account may do."""

from enum import StrEnum


class Role(StrEnum):
    """What an account may do; each role may do all that the one before it may."""

    reader = "reader"
    editor = "editor"
    admin = "admin"
