"""Do models, migrations and database agree?

Knows SQLAlchemy metadata, an Alembic configuration and a connection, and imports nothing else of
the project, so that it serves any Alembic project.
"""
