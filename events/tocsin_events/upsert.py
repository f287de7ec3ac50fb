"""An insert that can say what to do with a row that is there already, on SQLite and on PostgreSQL."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


def insert_into(place: AsyncConnection | AsyncEngine, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert with ``on_conflict_…`` in the dialect of the database behind ``place``."""
    return postgresql.insert(table) if place.dialect.name == "postgresql" else sqlite.insert(table)
