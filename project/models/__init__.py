"""The models: the only source of truth for the schema.

Every module of this package is imported here; a table in a module that nobody imports would be
invisible to Alembic, which would then write a migration that drops it. A test compares.
"""

from project.models.access_token import AccessToken
from project.models.account import Account
from project.models.audit_entry import Action, AuditEntry
from project.models.base import Base
from project.models.idempotency_key import IdempotencyKey
from project.models.my_table import MyTable
from project.models.resource import Audience, Resource
from project.models.role import Role

__all__ = [
    "AccessToken",
    "Account",
    "Action",
    "Audience",
    "AuditEntry",
    "Base",
    "IdempotencyKey",
    "MyTable",
    "Resource",
    "Role",
]
