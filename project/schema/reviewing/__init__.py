"""What new revisions do to a database in use: run, watched, and judged on a page for a reviewer."""
