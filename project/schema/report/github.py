"""Annotations of a run of GitHub Actions."""

from project.schema.finding import Finding, Report
from project.schema.report.characters import on_one_line, visible
from project.schema.report.parts import conclusion, details, in_order, subject


def render(report: Report) -> str:
    """Write a report as workflow commands, one line for each finding, and a line that sums up.

    Sources:
        https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
        https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts (the escapes)

    """
    lines = [_command(finding) for finding in in_order(report)]
    # The runner still obeys an older syntax, "##[command]", in the middle of a line.
    title = on_one_line(report.title).replace("##[", "## [")
    lines.append(f"Schema: {title}: {conclusion(report)}")
    return "\n".join(lines) + "\n"


def _command(finding: Finding) -> str:
    properties = {}
    if finding.path:
        properties["file"] = finding.path
        if finding.line >= 1:
            properties["line"] = str(finding.line)
    properties["title"] = subject(finding)
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    lines = [finding.message, *(f"{label}: {value}" for label, value in details(finding))]
    message = visible("\n".join(lines))
    command = "notice" if finding.level == "note" else finding.level
    return f"::{command} {given}::{_data(message)}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(on_one_line(value)).replace(":", "%3A").replace(",", "%2C")
