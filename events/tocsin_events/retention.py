"""How long the log keeps events: by age, per type, and by size; removed in small batches so that nobody waits."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from tocsin_events.log_insert import related_rows
from tocsin_events.pattern import matches_any
from tocsin_events.store import EventStore
from tocsin_events.tables import EVENT_TABLE, RELATED_TABLE
from tocsin_events.view import EventView, InvalidEvent

_log = logging.getLogger(__name__)

_PERIOD: Final = 60.0
_BATCH: Final = 200
_OVERHEAD: Final = 1.6
"""How much more an event takes than its body: indexes and related resources, measured."""
_events = EVENT_TABLE.c


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Types (patterns) and how long their events are kept after their arrival, in microseconds; None is for good."""

    types: tuple[str, ...]
    max_age: int | None


@dataclass(frozen=True, slots=True)
class Retention:
    """What the log keeps: of each type by the first rule that names it, and ``max_bytes`` in all, the oldest out."""

    rules: tuple[RetentionRule, ...] = ()
    max_bytes: int | None = None


class Pruner:
    """Removes from the log what its retention no longer wants."""

    def __init__(self, store: EventStore, retention: Retention) -> None:
        self._store, self._retention = store, retention

    async def run(self) -> None:
        """Prune every minute until cancelled."""
        while True:
            try:
                await self.prune(time.time_ns() // 1000)
            except (SQLAlchemyError, OSError) as problem:
                _log.warning("the log of events could not be pruned: %s", type(problem).__name__)
            await asyncio.sleep(_PERIOD)

    async def prune(self, now: int) -> int:
        """Remove what is too old or too much at ``now`` (microseconds); return how many events that were."""
        removed = 0
        for max_age, types in (await self._ages()).items():
            old = and_(_events.received < now - max_age, _events.type.in_(types))
            removed += await self._remove(old, None)
        if self._retention.max_bytes is not None:
            surplus = await self._surplus(self._retention.max_bytes)
            removed += await self._remove(_events.sequence >= 0, surplus)
        return removed

    async def _ages(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for type_ in await self._store.types():
            rule = next((one for one in self._retention.rules if matches_any(one.types, type_)), None)
            if rule is not None and rule.max_age is not None:
                found[rule.max_age].append(type_)
        return found

    async def _surplus(self, max_bytes: int) -> int:
        """Return how many of the oldest events are too much, by the size of the newest thousand."""
        newest = select(func.length(_events.body).label("size")).order_by(_events.sequence.desc()).limit(1000)
        async with self._store.engine.connect() as connection:
            amount = await connection.scalar(select(func.count()).select_from(EVENT_TABLE)) or 0
            size = await connection.scalar(select(func.avg(newest.subquery().c.size)))
        return 0 if not size else max(0, amount - int(max_bytes / (float(size) * _OVERHEAD)))

    async def _remove(self, wanted: ColumnElement[bool], at_most: int | None) -> int:
        removed = 0
        while at_most is None or removed < at_most:
            limit = _BATCH if at_most is None else min(_BATCH, at_most - removed)
            done = await self._remove_batch(wanted, limit)
            removed += done
            if done < limit:
                break
            # Others write, too: they get their turn between two batches.
            await asyncio.sleep(0)
        return removed

    async def _remove_batch(self, wanted: ColumnElement[bool], limit: int) -> int:
        columns = select(_events.sequence, _events.received, _events.body)
        async with self._store.engine.begin() as connection:
            rows = (
                await connection.execute(columns.where(wanted).order_by(_events.sequence).limit(limit))
            ).fetchall()
            keys = [key for row in rows for key in _related_keys(row.sequence, row.received, row.body)]
            if keys:
                key = tuple_(*(RELATED_TABLE.c[name] for name in ("kind", "id", "time", "sequence", "role")))
                for start in range(0, len(keys), _BATCH):
                    await connection.execute(
                        delete(RELATED_TABLE).where(key.in_(keys[start : start + _BATCH]))
                    )
            if rows:
                sequences = [row.sequence for row in rows]
                await connection.execute(delete(EVENT_TABLE).where(_events.sequence.in_(sequences)))
        return len(rows)


def _related_keys(sequence: int, received: int, body: bytes) -> Sequence[tuple[str, str, int, int, str]]:
    try:
        return related_rows(EventView.decode(body, received=received, sequence=sequence))
    except InvalidEvent:
        return ()
