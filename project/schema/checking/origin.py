"""What a difference contradicts: the models, DDL declared beside them, or nothing that was said."""

from project.schema.finding import Origin
from project.schema.snapshot import MISSING, Difference

#: Kinds for which SQLAlchemy's metadata has words, and the attributes that it has words for. A type
#: or a sequence that nothing uses is what a model has left behind, so they count as well.
METADATA = {
    "table": {
        *("comment", "persistence", "partitioned by", "inherits", "tablespace"),
        *("storage parameters", "access method", "order of columns"),
    },
    "column": {
        *("type", "nullable", "default", "numbered by", "identity", "generated"),
        *("generated when", "collation", "comment"),
    },
    "constraint": {"definition", "deferrable", "validated", "comment"},
    "index": {"definition", "unique", "storage parameters", "tablespace"},
    "sequence": {
        *("type", "start", "increment", "minimum", "maximum", "cache", "cycle", "owned by"),
    },
    "enum": {"values"},
    "domain": {"type", "nullable", "default", "collation"},
    "domain constraint": {"definition", "validated"},
}

#: What an attribute is as long as nobody says anything of it.
SILENCE = (None, False, "no", "off", "default", "permanent", "origin")


def origin(difference: Difference) -> Origin:
    """Tell what a difference contradicts.

    Args:
        difference: Its expected side is what the models and the DDL beside them make.

    """
    kind, attribute = difference.key.kind, difference.attribute
    if kind in METADATA and (attribute is None or attribute in METADATA[kind]):
        return "models"
    if attribute is None:
        return "undeclared" if difference.expected is MISSING else "declared"
    # Of a thing that the metadata makes, somebody must have said the rest beside it.
    if kind in METADATA and difference.expected in SILENCE:
        return "undeclared"
    return "declared"
