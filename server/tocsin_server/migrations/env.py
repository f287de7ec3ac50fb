"""Alembic's environment: runs on the connection that `tocsin_server.db.upgrade` opened."""

from typing import Any, Literal

from alembic import context
from sqlmodel import AutoString


def _plain(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write SQLModel's text type as SQLAlchemy's, which a revision can import without knowing our version of it."""
    return "sa.String()" if kind == "type" and isinstance(item, AutoString) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    render_as_batch=True,
    compare_type=True,
    render_item=_plain,
)
with context.begin_transaction():
    context.run_migrations()
