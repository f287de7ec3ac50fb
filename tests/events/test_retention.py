"""The log forgets what it need not keep, and everything about it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from event_making import NOON, recorded, related
from tocsin_events.instant import SECOND
from tocsin_events.retention import Pruner, Retention, RetentionRule
from tocsin_events.store import EventStore
from tocsin_events.tables import RELATED_TABLE


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EventStore]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/log.db")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield EventStore(engine)
    await engine.dispose()


async def left(store: EventStore) -> list[int]:
    return [view.sequence async for view in store.between()]


async def test_old_events_go_by_the_first_rule_that_names_their_type(store: EventStore) -> None:
    types = ("flow-run.heartbeat", "flow-run.failed", "order.placed")
    await store.append([recorded(number, type_=types[number % 3]) for number in range(1, 10)])
    rules = (
        RetentionRule(("*.heartbeat",), 0),
        RetentionRule(("flow-run.*",), 3 * SECOND),
        RetentionRule((">",), None),
    )
    now = NOON + 8 * SECOND
    assert await Pruner(store, Retention(rules)).prune(now) == 3
    assert await left(store) == [2, 4, 5, 7, 8, 9]
    assert await Pruner(store, Retention(rules)).prune(now) == 0


async def test_what_an_event_was_related_to_goes_with_it(store: EventStore) -> None:
    await store.append(
        [
            recorded(number, concerns=[related("flow", "etl"), related("worker", "w" * 2000)])
            for number in range(1, 701)
        ]
    )
    rule = RetentionRule((">",), 0)
    assert await Pruner(store, Retention((rule,))).prune(NOON + 600 * SECOND + SECOND) == 599
    async with store.engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(RELATED_TABLE)) == 2 * 101


async def test_the_oldest_go_where_the_log_is_too_large(store: EventStore) -> None:
    await store.append([recorded(number, payload="x" * 700) for number in range(1, 1001)])
    await Pruner(store, Retention(max_bytes=800_000)).prune(NOON)
    kept = await left(store)
    assert 300 < len(kept) < 700
    assert kept[-1] == 1000
    assert await Pruner(store, Retention(max_bytes=10**9)).prune(NOON) == 0
