"""The order in which a reader expects steps that do not depend on each other.

First what makes room, then what others are built on, then tables and columns, then what is built
on them, and last what nothing needs any more. Dependencies come first, these ranks second.
"""

RENAME = 0
DROP_PROGRAM = 10
DROP_FOREIGN_KEY = 12
DROP_CONSTRAINT = 13
DROP_INDEX = 14
DROP_STATISTICS = 15
DROP_COLUMN = 17
DROP_TABLE = 18
CREATE_SCHEMA = 20
CREATE_EXTENSION = 21
CREATE_TYPE = 23
CREATE_SEQUENCE = 25
CREATE_TABLE = 30
ALTER_TABLE = 32
ADD_COLUMN = 34
ALTER_COLUMN = 36
ADD_CONSTRAINT = 40
BACKFILL = 42
CREATE_INDEX = 44
VALIDATE = 46
REQUIRE = 50  # NOT NULL after its check, UNIQUE after its index
CREATE_STATISTICS = 52
CREATE_PROGRAM = 56
COMMENT = 60
LEAVE = 64  # what rows were still made of
DROP_FUNCTION = 70
DROP_SEQUENCE = 72
DROP_TYPE = 74
DROP_EXTENSION = 76
DROP_SCHEMA = 78
