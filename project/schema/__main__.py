"""``python -m project.schema``: check, roundtrip and review, for any Alembic project.

The project is worked on in another process, which imports SQLAlchemy and Alembic as this one does.
It starts before this one has done so: that is a good half second, twice.
"""

import sys

from project.schema import process

if __name__ == "__main__":
    if not any(argument.startswith("--python") for argument in sys.argv):
        process.get_ready(sys.executable)
    from project.schema.command import main

    sys.exit(main())
