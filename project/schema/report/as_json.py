"""JSON for programs."""

import json
from dataclasses import asdict

from project.schema.finding import Report


def render(report: Report) -> str:
    """Write a report as one JSON object, in ASCII, with every value exactly as it is.

    ============  =================================================================
    ``title``     what was asked: a string
    ``agrees``    whether nothing was found that must be mended: a boolean
    ``findings``  objects, in the order in which they were found
    ``facts``     what was looked at: strings
    ============  =================================================================

    A finding has all of its members, always and in this order; a string that says nothing is empty:

    ============  =================================================================
    ``code``      stable, for machines: ``column-differs``
    ``message``   one sentence
    ``level``     ``error`` or ``note``
    ``object``    ``column public.account.email``
    ``attribute`` ``type``
    ``expected``  what the models, or the state before, say
    ``found``     what the migrations, the database, or the state after, say
    ``remedy``    the operation that would mend it
    ``path``      the file to look at, relative to the project
    ``line``      its line, from 1: a number; 0 where only the file is known
    ``origin``    what it contradicts: ``models``, ``declared`` or ``undeclared``
    ============  =================================================================

    """
    content = {
        "title": report.title,
        "agrees": report.agrees,
        "findings": [asdict(finding) for finding in report.findings],
        "facts": report.facts,
    }
    return json.dumps(content, indent=2) + "\n"
