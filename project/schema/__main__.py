"""``python -m project.schema``: check, roundtrip and review, for any Alembic project.

The project is worked on in another process, which imports SQLAlchemy and Alembic as this one does.
It starts before this one has done so: that is a good half second, twice.
"""

import sys

if __name__ == "__main__":
    try:
        from project.schema import process

        if not any(argument.startswith("--python") for argument in sys.argv):
            process.get_ready(sys.executable)
        from project.schema.command import main
    except KeyboardInterrupt:  # to import takes a second where much else is done
        print("Interrupted.", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    sys.exit(main())
