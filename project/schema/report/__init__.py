"""Reports: a result as text, for people at a terminal and in a pull request, and for programs.

Every format ends with a newline. What a report shows comes from databases and files, that is, from
others: in each format it stays a value, whatever it contains.
"""

from collections.abc import Callable, Mapping

from project.schema.finding import Report
from project.schema.report import as_json, github, html, junit, markdown, sarif, text

#: Name → what writes a report in that format.
FORMATS: Mapping[str, Callable[[Report], str]] = {
    "text": text.render,
    "json": as_json.render,
    "markdown": markdown.render,
    "github": github.render,
    "junit": junit.render,
    "sarif": sarif.render,
    "html": html.render,
}


def render(report: Report, format: str, *, colour: bool = False) -> str:  # noqa: A002
    """Write a report.

    Args:
        report: What to write.
        format: One of `FORMATS`.
        colour: Whether the text may be coloured, for a terminal; no other format knows colours.

    Raises:
        KeyError: there is no such format.

    """
    if format == "text":
        return text.render(report, colour=colour)
    return FORMATS[format](report)
