"""`query`: a log of a million events over seven days in SQLite: the newest 50 that fit, and counts."""

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from sqlmodel import SQLModel

from benchmarks.report import Figure, percentile
from benchmarks.samples import state_event
from tocsin_events.filter import EventFilter
from tocsin_events.instant import SECOND
from tocsin_events.log_insert import Recorded
from tocsin_events.store import EventStore
from tocsin_events.view import EventView
from tocsin_server.db import open_engine

_EVENTS = 1_000_000
_DAYS = 7
_START = 1_767_960_000 * SECOND
_STEP = _DAYS * 86_400 * SECOND // _EVENTS
_HOUR = 3_600 * SECOND
_BATCH = 5_000
_ASKED = 100
_STATES = ("scheduled", "pending", "running", "completed", "failed", "retrying", "crashed", "cancelled")
_TYPES = [f"{kind}.{state}" for kind in ("flow-run", "task-run", "job") for state in _STATES]


def measure() -> list[Figure]:
    """Return milliseconds."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'log.db'}")
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
        store = EventStore(engine)
        took = await _fill(store)
        figures = [Figure("writing the million events", took, "s")]
        figures += [await _newest(store, what, make) for what, make in _SEARCHES]
        figures += [await _counted(store, what, count) for what, count in _COUNTS]
        await engine.dispose()
    return figures


async def _fill(store: EventStore) -> float:
    start = time.perf_counter()
    for batch in _batches():
        await store.append(batch)
    return time.perf_counter() - start


def _batches() -> Iterator[list[Recorded]]:
    chance = random.Random(7)
    batch = []
    for number in range(_EVENTS):
        at = _START + number * _STEP
        body = state_event(number, type_=chance.choice(_TYPES), time=at)
        batch.append(Recorded(EventView.decode(body, received=at, sequence=number + 1), body))
        if len(batch) == _BATCH:
            yield batch
            batch = []


def _since(chance: random.Random) -> int:
    return _START + chance.randrange(_DAYS * 24 - 1) * _HOUR


def _in_an_hour(chance: random.Random) -> EventFilter:
    since = _since(chance)
    return EventFilter.parse(since=since, until=since + _HOUR)


def _related_until(chance: random.Random) -> EventFilter:
    return EventFilter.parse(
        related=[f"deployment/deployment-{chance.randrange(1000)}"], until=_since(chance) + _HOUR
    )


_SEARCHES: tuple[tuple[str, Callable[[random.Random], EventFilter]], ...] = (
    ("a type prefix", lambda _: EventFilter.parse(types=["flow-run.*"])),
    (
        "a type prefix before a moment",
        lambda chance: EventFilter.parse(types=["task-run.*"], until=_since(chance) + _HOUR),
    ),
    (
        "a resource",
        lambda chance: EventFilter.parse(resource=f"flow-run/run-{chance.randrange(_EVENTS)}"),
    ),
    ("all resources of a kind", lambda _: EventFilter.parse(resource="flow-run")),
    (
        "a related resource",
        lambda chance: EventFilter.parse(
            related=[f"deployment=deployment/deployment-{chance.randrange(1000)}"]
        ),
    ),
    ("a related resource before a moment", _related_until),
    (
        "a related resource and a type",
        lambda chance: EventFilter.parse(
            related=[f"deployment/deployment-{chance.randrange(1000)}"], types=["flow-run.failed"]
        ),
    ),
    ("a related resource that all events have", lambda _: EventFilter.parse(related=["flow/flow-7"])),
    ("an hour", _in_an_hour),
)

_ALL = EventFilter.parse(since=_START, until=_START + _DAYS * 86_400 * SECOND)

_COUNTS: tuple[tuple[str, Callable[[EventStore], Awaitable[object]]], ...] = (
    ("by hour, seven days", lambda store: store.count("hour", _ALL)),
    ("by hour, of a type", lambda store: store.count("hour", EventFilter.parse(types=["flow-run.failed"]))),
    ("by type", lambda store: store.count("type", EventFilter())),
)


async def _newest(store: EventStore, what: str, make: Callable[[random.Random], EventFilter]) -> Figure:
    chance = random.Random(11)
    times = []
    for _ in range(_ASKED):
        wanted = make(chance)
        start = time.perf_counter()
        page = await store.search(wanted, limit=50)
        times.append((time.perf_counter() - start) * 1000)
        assert page.events
    return Figure(f"newest 50 of {what}, p99", percentile(times, 0.99), "ms", goal="≤ 20 ms")


async def _counted(store: EventStore, what: str, count: Callable[[EventStore], Awaitable[object]]) -> Figure:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        await count(store)
        times.append((time.perf_counter() - start) * 1000)
    return Figure(f"count {what}, median", percentile(times, 0.5), "ms", goal="≤ 150 ms")
