"""Models, migrations and a live database against each other: where they disagree."""
