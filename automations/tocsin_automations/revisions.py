"""Revisions: the applied configurations, each kept for good under a growing number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import JSON, BigInteger, Column, CursorResult, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import Field, SQLModel


class RevisionRow(SQLModel, table=True):
    """One applied configuration; the engine reads its automations, the server the rest."""

    __tablename__ = "revisions"

    revision: int | None = Field(default=None, primary_key=True)
    created: int = Field(sa_type=BigInteger)
    author: str = ""
    note: str = ""
    content: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


_REVISIONS = cast("Table", RevisionRow.__table__)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Revision:
    """One applied configuration: ``content`` holds its sections as they were written."""

    revision: int
    created: int
    author: str
    note: str
    content: Mapping[str, Any]


class Revisions:
    """The applied configurations, each kept for good under a growing number."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(
        self, content: Mapping[str, Any], *, created: int, author: str = "", note: str = "",
        connection: AsyncConnection | None = None,
    ) -> int:  # fmt: skip
        """Keep a configuration and return its number; within ``connection``'s transaction where one is given."""
        statement = _REVISIONS.insert().values(
            created=created, author=author, note=note, content=dict(content)
        )
        if connection is not None:
            return _new_number(await connection.execute(statement))
        async with self._engine.begin() as own:
            return _new_number(await own.execute(statement))

    async def load(self, revision: int) -> Revision | None:
        """Return one configuration, or None where there is none of that number."""
        return await self._one(select(_REVISIONS).where(_REVISIONS.c.revision == revision))

    async def latest(self) -> Revision | None:
        """Return the newest configuration, or None before the first."""
        newest = select(_REVISIONS).order_by(_REVISIONS.c.revision.desc())
        return await self._one(newest.limit(1))

    async def ls(self, limit: int = 50) -> Sequence[Revision]:
        """Return the newest configurations, newest first."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                select(_REVISIONS).order_by(_REVISIONS.c.revision.desc()).limit(limit)
            )
            return [_revision(row) for row in rows]

    async def _one(self, query: Any) -> Revision | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _revision(row)


def _new_number(result: CursorResult[Any]) -> int:
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def _revision(row: Any) -> Revision:
    return Revision(row.revision, row.created, row.author, row.note, row.content)
