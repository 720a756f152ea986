"""A constraint in SQL."""

from project.schema.snapshot import Item


def clause(item: Item) -> str:
    """Write a constraint as CREATE TABLE takes it, after its name."""
    attributes = item.attributes
    parts = [str(attributes["definition"])]
    if attributes["deferrable"] != "no":
        parts.append(f"DEFERRABLE {str(attributes['deferrable']).upper()}")
    if not attributes["enforced"]:
        parts.append("NOT ENFORCED")
    elif not attributes["validated"]:
        parts.append("NOT VALID")
    return " ".join(parts)
