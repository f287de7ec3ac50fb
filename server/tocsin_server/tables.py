"""The server's own tables: keys, audit, secrets, what is configured.

Times are microseconds since the epoch (`tocsin_events.instant`).
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, Table
from sqlmodel import Field, SQLModel

_AUTO = BigInteger().with_variant(Integer, "sqlite")


class ApiKeyRow(SQLModel, table=True):
    """An API key; the key itself is not here, only its SHA-256."""

    __tablename__ = "api_keys"

    id: str = Field(primary_key=True)
    name: str = Field(index=True)
    lookup: str = Field(unique=True)
    hint: str
    role: str | None = None
    scopes: list[str] = Field(sa_column=Column(JSON, nullable=False))
    created_at: int = Field(sa_type=BigInteger)
    created_by: str = ""
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)


class AuditRow(SQLModel, table=True):
    """Who changed what: before and after, without secret values."""

    __tablename__ = "audit_records"

    number: int | None = Field(default=None, sa_column=Column(_AUTO, primary_key=True, autoincrement=True))
    at: int = Field(sa_type=BigInteger, index=True)
    actor: str
    action: str = Field(index=True)
    object: str = Field(index=True)
    before: Any = Field(default=None, sa_column=Column(JSON))
    after: Any = Field(default=None, sa_column=Column(JSON))


class SecretRow(SQLModel, table=True):
    """A secret, encrypted."""

    __tablename__ = "secrets"

    name: str = Field(primary_key=True)
    token: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    updated_at: int = Field(sa_type=BigInteger)
    updated_by: str = ""


class VariableRow(SQLModel, table=True):
    """A variable: a plain JSON value with a name."""

    __tablename__ = "variables"

    name: str = Field(primary_key=True)
    value: Any = Field(default=None, sa_column=Column(JSON))
    updated_at: int = Field(sa_type=BigInteger)


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


API_KEYS = _table("api_keys")
AUDIT_RECORDS = _table("audit_records")
SECRETS = _table("secrets")
VARIABLES = _table("variables")
