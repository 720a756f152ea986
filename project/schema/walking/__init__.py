"""Every revision of a history there and back again, with rows in the tables."""
