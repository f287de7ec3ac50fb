"""Silences in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_notifiers.plain_text import plain_text
from tocsin_notifiers.silence import Silence
from tocsin_notifiers.store import SILENCES


class Silences:
    """Reads silences, for lists and pages."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, id_: str) -> Silence | None:
        """Return one silence."""
        async with self._engine.connect() as connection:
            return await find(connection, id_)

    async def ls(self, *, now: int, all_: bool = False, limit: int = 200) -> list[Silence]:
        """Return silences that are or will be in force (or ``all_``), the newest first."""
        query = select(SILENCES).order_by(SILENCES.c.created.desc(), SILENCES.c.id).limit(limit)
        if not all_:
            query = query.where(SILENCES.c.deleted.is_(None), SILENCES.c.ends > now)
        async with self._engine.connect() as connection:
            return [silence_of(row) for row in await connection.execute(query)]


async def find(connection: AsyncConnection, id_: str) -> Silence | None:
    """Return one silence."""
    row = (await connection.execute(select(SILENCES).where(SILENCES.c.id == id_))).one_or_none()
    return None if row is None else silence_of(row)


async def active(connection: AsyncConnection, now: int) -> tuple[Silence, ...]:
    """Return the silences in force."""
    query = select(SILENCES).where(
        SILENCES.c.ends > now, SILENCES.c.starts <= now, SILENCES.c.deleted.is_(None)
    )
    return tuple(silence_of(row) for row in await connection.execute(query))


async def keep(connection: AsyncConnection, silence: Silence) -> None:
    """Keep a new silence."""
    values = {name: getattr(silence, name) for name in _FIELDS}
    values |= {name: plain_text(values[name]) for name in ("author", "comment")}
    await connection.execute(insert(SILENCES).values(**values, told=""))


async def delete(connection: AsyncConnection, id_: str, now: int) -> bool:
    """Mark a silence as deleted; False where it was already, or ended before."""
    done = await connection.execute(
        update(SILENCES)
        .where(SILENCES.c.id == id_, SILENCES.c.deleted.is_(None), SILENCES.c.ends > now)
        .values(deleted=now)
    )
    return bool(done.rowcount)


async def untold(connection: AsyncConnection, now: int) -> list[tuple[Silence, list[str]]]:
    """Return silences with the steps that the bus has not heard of."""
    query = (
        select(SILENCES)
        .where(SILENCES.c.told != "created started over")
        .where(or_(SILENCES.c.told == "", SILENCES.c.starts <= now, SILENCES.c.deleted.is_not(None)))
    )
    found = []
    for row in await connection.execute(query):
        silence = silence_of(row)
        steps = [step for step in _steps(silence, now) if _word(step) not in row.told.split()]
        if steps:
            found.append((silence, steps))
    return found


async def mark_told(connection: AsyncConnection, id_: str, steps: Sequence[str]) -> None:
    """Note that the bus has heard of steps."""
    row = (await connection.execute(select(SILENCES.c.told).where(SILENCES.c.id == id_))).one()
    words = dict.fromkeys([*row.told.split(), *(_word(step) for step in steps)])
    if "over" in words:
        # A silence that was deleted before its start never starts.
        words = dict.fromkeys(("created", "started", "over"))
    await connection.execute(update(SILENCES).where(SILENCES.c.id == id_).values(told=" ".join(words)))


def silence_of(row: Row[Any]) -> Silence:
    """Return the silence that a row holds."""
    return Silence(**{name: getattr(row, name) for name in _FIELDS})


def _steps(silence: Silence, now: int) -> list[str]:
    steps = ["created"]
    if silence.starts <= now and (silence.deleted is None or silence.deleted > silence.starts):
        steps.append("started")
    if silence.deleted is not None:
        steps.append("deleted")
    elif silence.ends <= now:
        steps.append("expired")
    return steps


def _word(step: str) -> str:
    return "over" if step in ("deleted", "expired") else step


_FIELDS = ("id", "matcher", "starts", "ends", "author", "comment", "created", "deleted")
