"""SARIF 2.1.0, for code scanning.

Sources:
    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

"""

import hashlib
import json
from typing import Any
from urllib.parse import quote

from project.schema.finding import Finding, Report
from project.schema.report.characters import visible
from project.schema.report.parts import details

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def render(report: Report) -> str:
    """Write a report as a log with one run; `properties` keep the values exactly as they are.

    A finding without a path has no physical location: GitHub's code scanning, which shows results
    in files, refuses those.
    """
    codes = sorted({finding.code for finding in report.findings})
    driver = {"name": "project.schema", "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "results": [_result(finding, codes.index(finding.code)) for finding in report.findings],
        "properties": {"title": report.title, "facts": report.facts},
    }
    return json.dumps({"version": "2.1.0", "$schema": SCHEMA, "runs": [run]}, indent=2) + "\n"


def _rule(code: str) -> dict[str, Any]:
    return {"id": code, "shortDescription": {"text": _message(code.replace("-", " "))}}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    lines = [finding.message, *(f"{label}: {value}" for label, value in details(finding))]
    result = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.level,
        "message": {"text": _message("\n".join(lines))},
        "partialFingerprints": {"finding/v1": _fingerprint(finding)},
        "properties": {
            "object": finding.object,
            "attribute": finding.attribute,
            "expected": finding.expected,
            "found": finding.found,
            "remedy": finding.remedy,
            "origin": finding.origin,
        },
    }
    if location := _location(finding):
        result["locations"] = [location]
    return result


def _message(value: str) -> str:
    """Escape what SARIF reads in plain text: ``{0}`` (3.11.5) and ``[text](link)`` (3.11.6)."""
    return visible(value).replace("{", "{{").replace("}", "}}").replace("](", "\\](")


def _location(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if finding.path:
        # Bytes of a file name that are no text cannot be written as a URI; they become "?".
        uri = quote(finding.path, errors="replace")
        physical: dict[str, Any] = {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}}
        if finding.line >= 1:
            physical["region"] = {"startLine": finding.line}
        location["physicalLocation"] = physical
    if finding.object:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.object}]
    return location


def _fingerprint(finding: Finding) -> str:
    """Recognise a finding again: neither values nor lines tell, for they change as one mends."""
    identity = json.dumps([finding.code, finding.object, finding.attribute])
    return hashlib.sha256(identity.encode()).hexdigest()
