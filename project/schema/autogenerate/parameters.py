"""Storage parameters and the like: ``fillfactor=70``."""

from project.schema.snapshot import Value


def options(old: Value, new: Value, prefix: str = "") -> str:
    """Write ``SET (…)`` and ``RESET (…)`` for parameters given as ``name=value``."""
    was = dict(str(o).split("=", 1) for o in old) if isinstance(old, tuple) else {}
    becomes = dict(str(o).split("=", 1) for o in new) if isinstance(new, tuple) else {}
    gone = ", ".join(prefix + name for name in sorted(was.keys() - becomes.keys()))
    if gone:
        # One statement does one of both; what is still different is seen on the next look.
        return f"RESET ({gone})"
    return f"SET ({', '.join(f'{prefix}{name} = {becomes[name]}' for name in sorted(becomes))})"
