"""The log of events in SQL: what happened, kept for searching, replaying and backtesting.

The key of an event is its sequence on the bus: inserts go to the end of the table (a random key is 3.4 times slower),
and an event that is delivered again is found to be there. Its body is kept as it came. The unique pair of id and
source catches what the bus's ten minutes of duplicates let through.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import and_, bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_events.counting import Count, CountBy, count_events
from tocsin_events.dead_letters import DeadLetter, keep
from tocsin_events.filter import EventFilter
from tocsin_events.identity import indexed
from tocsin_events.log_insert import Recorded, insert_events, types_of
from tocsin_events.pattern import matches_any
from tocsin_events.search import Page, StoredEvent, search_events
from tocsin_events.tables import (
    EVENT_TABLE,
    POSITION_TABLE,
    TYPE_TABLE,
    DeadLetterRow,
    EventRow,
    EventTypeRow,
    PositionRow,
    RelatedRow,
)
from tocsin_events.upsert import insert_into
from tocsin_events.view import EventView

__all__ = [
    "RECORDER", "Count", "CountBy", "DeadLetterRow", "EventFilter", "EventRow", "EventStore", "EventTypeRow", "Page",
    "Position", "PositionRow", "Recorded", "RelatedRow", "StoredEvent", "note_position",
]  # fmt: skip

RECORDER: Final = "recorder"
"""The name of the recorder among the readers of the bus."""

_ROWS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reader has come on a stream that was made at ``stream_made`` (microseconds)."""

    sequence: int
    stream_made: int


class EventStore:
    """The log of events in one database (SQLite or PostgreSQL)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine: Final = engine
        self._known_types: set[str] = set()

    async def append(
        self,
        events: Sequence[Recorded],
        position: Position | None = None,
        *,
        letters: Sequence[DeadLetter] = (),
        at: int = 0,
    ) -> int:
        """Keep events, letters and how far the recorder is, in one transaction; return how many events were new.

        An event that is there already, by its sequence or by its id and source, is left as it is. ``at`` is now, in
        microseconds.
        """
        types = types_of(events)
        async with self.engine.begin() as connection:
            new = await insert_events(connection, events, types - self._known_types)
            await keep(connection, letters)
            if position is not None:
                await note_position(connection, RECORDER, position, at=at)
        self._known_types |= types
        return new

    async def note_position(self, name: str, position: Position, *, at: int) -> None:
        """Keep how far a reader has come, in a transaction of its own; see `note_position`."""
        async with self.engine.begin() as connection:
            await note_position(connection, name, position, at=at)

    async def forget_position(self, name: str) -> None:
        """Forget a reader that will not come back, so that it holds up trimming no longer."""
        async with self.engine.begin() as connection:
            await connection.execute(delete(POSITION_TABLE).where(POSITION_TABLE.c.name == name))

    async def position(self, name: str = RECORDER) -> Position | None:
        """Return how far a reader has come; None if it never read."""
        return (await self.positions()).get(name)

    async def positions(self) -> dict[str, Position]:
        """Return how far every reader has come."""
        columns = POSITION_TABLE.c
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(columns.name, columns.sequence, columns.stream_made))
            return {row.name: Position(row.sequence, row.stream_made) for row in rows}

    async def last(self) -> StoredEvent | None:
        """Return the event with the highest sequence."""
        async with self.engine.connect() as connection:
            found = await connection.execute(_STORED.order_by(EVENT_TABLE.c.sequence.desc()).limit(1))
            row = found.first()
        return None if row is None else StoredEvent(*row)

    async def get(self, id_: str, source: str | None = None) -> StoredEvent | None:
        """Return the event with an id; where several sources gave it, the newest unless ``source`` says which."""
        wanted = [EVENT_TABLE.c.id == indexed(id_)]
        if source is not None:
            wanted.append(EVENT_TABLE.c.source == indexed(source))
        newest = _STORED.where(*wanted).order_by(EVENT_TABLE.c.sequence.desc()).limit(1)
        async with self.engine.connect() as connection:
            row = (await connection.execute(newest)).first()
        return None if row is None else StoredEvent(*row)

    async def at(self, sequence: int) -> StoredEvent | None:
        """Return the event with a sequence."""
        async with self.engine.connect() as connection:
            row = (await connection.execute(_STORED.where(EVENT_TABLE.c.sequence == sequence))).first()
        return None if row is None else StoredEvent(*row)

    async def types(self) -> list[str]:
        """Return every type that the log has seen, sorted."""
        async with self.engine.connect() as connection:
            return list(await connection.scalars(select(TYPE_TABLE.c.type).order_by(TYPE_TABLE.c.type)))

    async def first_received_at(self, moment: int) -> int:
        """Return the sequence of the first event that arrived at or after a moment (microseconds).

        Where there is none, it is the sequence behind the last. Arrival grows with the sequence, so that a search by
        halves finds it without an index.
        """
        columns = EVENT_TABLE.c
        async with self.engine.connect() as connection:
            ends = select(func.min(columns.sequence), func.max(columns.sequence))
            low, high = (await connection.execute(ends)).one()
            if low is None:
                return 1
            high += 1
            while low < high:
                middle = (low + high) // 2
                probe = select(columns.sequence, columns.received).where(columns.sequence >= middle)
                row = (await connection.execute(probe.order_by(columns.sequence).limit(1))).first()
                if row is None or row.received >= moment:
                    high = middle
                else:
                    low = row.sequence + 1
        return int(low)

    async def search(self, wanted: EventFilter, *, limit: int = 50, after: str | None = None) -> Page:
        """Return events that pass a filter, newest first, and the cursor of the next page; see `search_events`."""
        async with self.engine.connect() as connection:
            return await search_events(connection, wanted, limit=limit, after=after)

    async def count(self, by: CountBy, wanted: EventFilter) -> Count:
        """Return how many events pass a filter, by hour, type or resource; see `count_events`."""
        async with self.engine.connect() as connection:
            return await count_events(connection, by, wanted)

    async def between(
        self,
        *,
        first: int | None = None,
        last: int | None = None,
        received_from: int | None = None,
        received_before: int | None = None,
        patterns: Sequence[str] | None = None,
    ) -> AsyncIterator[EventView]:
        """Yield stored events in the order of their arrival, as views.

        ``first`` and ``last`` are sequences, both included; ``received_from`` and ``received_before`` are arrivals in
        microseconds, the later one excluded. ``patterns`` keeps only types that fit one of them. What is appended
        meanwhile may or may not be seen.
        """
        if received_from is not None:
            first = max(first or 0, await self.first_received_at(received_from))
        if received_before is not None:
            before = await self.first_received_at(received_before) - 1
            last = before if last is None else min(last, before)
        types = (
            None if patterns is None else [one for one in await self.types() if matches_any(patterns, one)]
        )
        async for rows in self._chunks(first, last, types):
            for sequence, received, body in rows:
                yield EventView.decode(body, received=received, sequence=sequence)

    async def _chunks(
        self, first: int | None, last: int | None, types: Sequence[str] | None
    ) -> AsyncIterator[Sequence[tuple[int, int, bytes]]]:
        columns = EVENT_TABLE.c
        if types is not None and not types:
            return
        wanted = [columns.sequence > bindparam("after")]
        if last is not None:
            wanted.append(columns.sequence <= last)
        if types is not None:
            wanted.append(columns.type.in_(types))
        chunk = _STORED.where(and_(*wanted)).order_by(columns.sequence).limit(_ROWS_AT_ONCE)
        after = (first or 0) - 1
        while True:
            async with self.engine.connect() as connection:
                rows = (await connection.execute(chunk, {"after": after})).fetchall()
            yield cast("Sequence[tuple[int, int, bytes]]", rows)
            if len(rows) < _ROWS_AT_ONCE:
                return
            after = rows[-1][0]


async def note_position(connection: AsyncConnection, name: str, position: Position, *, at: int) -> None:
    """Keep how far a reader of the bus has come, in the transaction of what it made of it.

    ``at`` is now, in microseconds. What a reader has not come to yet is never trimmed from the bus.
    """
    row = {"sequence": position.sequence, "stream_made": position.stream_made, "updated": at}
    await connection.execute(
        insert_into(connection, POSITION_TABLE)
        .values(name=name, **row)
        .on_conflict_do_update(index_elements=["name"], set_=row)
    )


_STORED = select(EVENT_TABLE.c.sequence, EVENT_TABLE.c.received, EVENT_TABLE.c.body)
