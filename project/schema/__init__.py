"""Do models, migrations and database agree?

Knows SQLAlchemy metadata, an Alembic configuration and a connection, and imports nothing else of
the project but the embedded PostgreSQL, so that it serves any Alembic project.
"""
