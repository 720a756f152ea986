"""JUnit's XML, which every CI server shows as tests."""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from project.schema.finding import Finding, Report
from project.schema.report.characters import on_one_line, visible
from project.schema.report.parts import conclusion, details, in_order, place, subject


def render(report: Report) -> str:
    """Write a report as a test suite: an error is a failed test, a note a passed one.

    Characters that XML 1.0 forbids appear as their escapes. Without findings there is one passed
    test: a suite without tests counts as a mistake with some servers.

    Sources:
        https://github.com/testmoapp/junitxml (there is no standard; this is what servers read)

    """
    findings = in_order(report)
    counts = {
        "tests": str(max(1, len(findings))),
        "failures": str(sum(finding.level == "error" for finding in findings)),
        "errors": "0",
        "skipped": "0",
    }
    suites = Element("testsuites", {"name": "project.schema", **counts})
    suite = SubElement(suites, "testsuite", {"name": on_one_line(report.title), **counts})
    for finding in findings:
        _case(suite, finding)
    if not findings:
        SubElement(suite, "testcase", classname="project.schema", name=conclusion(report))
    if report.facts:
        SubElement(suite, "system-out").text = "\n".join(map(on_one_line, report.facts))
    indent(suites)
    body = tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _case(suite: Element, finding: Finding) -> None:
    code = on_one_line(finding.code)
    case = SubElement(
        suite, "testcase", classname=f"project.schema.{code}", name=on_one_line(subject(finding))
    )
    if finding.path:
        case.set("file", on_one_line(finding.path))
        if finding.line >= 1:
            case.set("line", str(finding.line))
    labelled = [*details(finding), ("at", place(finding))]
    lines = [finding.message, *(f"{label}: {value}" for label, value in labelled if value)]
    if finding.level == "error":
        said = SubElement(case, "failure", message=on_one_line(finding.message), type=code)
    else:
        said = SubElement(case, "system-out")
    said.text = visible("\n".join(lines))
