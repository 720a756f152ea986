"""What runs in a process of the project that is asked about, in its interpreter, beside its env.py.

It imports the standard library, SQLAlchemy, Alembic and itself: there may be nothing else.
"""
