"""The inbox in SQL."""

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_notifiers.message import Message
from tocsin_notifiers.store import INBOX, insert_new


@dataclass(frozen=True, slots=True)
class Kept:
    """A message in the inbox, under its growing number; ``read_at`` in microseconds, None while it is new."""

    number: int
    message: Message
    at: int
    read_at: int | None


class InboxStore:
    """The messages of the inbox, the newest first."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def keep(self, message: Message) -> str:
        """Keep a message once, and return its number."""
        async with self._engine.begin() as connection:
            await connection.execute(
                insert_new(connection, INBOX),
                {
                    "id": message.id,
                    "alert": message.alert.id if message.alert else None,
                    "status": str(message.status),
                    "severity": str(message.severity),
                    "title": message.title,
                    "message": message.model_dump_json().encode(),
                    "at": message.at,
                },
            )
            number = await connection.execute(select(INBOX.c.number).where(INBOX.c.id == message.id))
            return str(number.scalar_one())

    async def ls(
        self, *, limit: int = 50, before: int | None = None, unread: bool = False, alert: str | None = None
    ) -> list[Kept]:
        """Return messages; ``before`` is the number of the last one of the page before."""
        query = select(INBOX).order_by(INBOX.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(INBOX.c.number < before)
        if unread:
            query = query.where(INBOX.c.read_at.is_(None))
        if alert is not None:
            query = query.where(INBOX.c.alert == alert)
        async with self._engine.connect() as connection:
            return [
                Kept(row.number, Message.model_validate_json(row.message), row.at, row.read_at)
                for row in await connection.execute(query)
            ]

    async def mark_read(self, number: int, now: int) -> bool:
        """Mark a message as read; False where there is none of that number."""
        async with self._engine.begin() as connection:
            done = await connection.execute(
                update(INBOX)
                .where(INBOX.c.number == number)
                .values(read_at=func.coalesce(INBOX.c.read_at, now))
            )
            return bool(done.rowcount)
