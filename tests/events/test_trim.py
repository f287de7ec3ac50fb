"""The bus is trimmed as far as everybody has read, and no further."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from event_making import body
from tocsin_events.bus import Bus, StreamLimits, StreamState
from tocsin_events.instant import SECOND
from tocsin_events.nats_server import NatsServer
from tocsin_events.store import EventStore, Position
from tocsin_events.trim import Trimmer, cut

FAR_FUTURE = 4_000_000_000 * SECOND


def state(first: int = 1, last: int = 100, size: int = 1000) -> StreamState:
    return StreamState(first, last, last - first + 1, (last - first + 1) * size, 0)


def test_what_is_old_and_read_by_all_goes() -> None:
    assert cut(state(), {"recorder": 90, "engine": 70}, oldest_wanted=50, max_bytes=10**9).before == 50


def test_what_a_reader_has_not_read_stays() -> None:
    decided = cut(state(), {"recorder": 90, "engine": 30}, oldest_wanted=50, max_bytes=10**9)
    assert (decided.before, decided.held_by, decided.behind) == (31, "engine", 70)


def test_nothing_goes_before_anybody_has_read() -> None:
    assert cut(state(5), {}, oldest_wanted=50, max_bytes=10**9).before == 5


def test_a_bus_that_is_nearly_full_gives_up_its_oldest() -> None:
    assert cut(state(), {"recorder": 100}, oldest_wanted=1, max_bytes=100_000).before == 21


@given(
    st.integers(1, 1000),
    st.integers(0, 1000),
    st.dictionaries(st.text(max_size=3), st.integers(0, 2000)),
    st.integers(1, 2000),
    st.integers(1, 10**6),
)
def test_no_event_that_somebody_has_not_read_ever_goes(
    first: int, amount: int, readers: dict[str, int], oldest: int, room: int
) -> None:
    decided = cut(state(first, first + amount - 1, 500), readers, oldest_wanted=oldest, max_bytes=room)
    assert readers or decided.before == first
    assert all(decided.before <= max(first, place + 1) for place in readers.values())
    assert decided.before >= first


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EventStore]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/log.db")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield EventStore(engine)
    await engine.dispose()


async def publish(bus: Bus, amount: int) -> None:
    await bus.publish_many(
        [("a.b", f"/test {number}", body(f"e{number}", "a.b")) for number in range(amount)]
    )


async def test_the_bus_is_trimmed_by_age_up_to_the_slowest_reader(bus: Bus, store: EventStore) -> None:
    await publish(bus, 50)
    trimmer = Trimmer(bus, store, StreamLimits())
    await trimmer.trim(FAR_FUTURE)
    assert (await bus.state()).first == 1
    await store.note_position("recorder", Position(50, 0), at=0)
    await store.note_position("engine", Position(20, 0), at=0)
    await trimmer.trim(FAR_FUTURE)
    assert (await bus.state()).first == 21
    await store.note_position("engine", Position(50, 0), at=0)
    await trimmer.trim(0)
    assert (await bus.state()).first == 21
    await trimmer.trim(FAR_FUTURE)
    assert (await bus.state()).messages == 0


async def test_a_work_queue_on_events_holds_the_trimming_up_until_it_is_done(
    bus: Bus, store: EventStore
) -> None:
    from nats.js.api import AckPolicy, ConsumerConfig

    await store.note_position("recorder", Position(50, 0), at=0)
    config = ConsumerConfig(
        durable_name="actions", ack_policy=AckPolicy.EXPLICIT, filter_subject="tocsin.events.x"
    )
    await bus.js.add_consumer("EVENTS", config)
    await bus.publish(body("x", "x"), type="x", key="x")
    await publish(bus, 49)
    trimmer = Trimmer(bus, store, StreamLimits())
    await trimmer.trim(FAR_FUTURE)
    assert (await bus.state()).first == 1
    subscription = await bus.js.pull_subscribe_bind(consumer="actions", stream="EVENTS")
    [message] = await subscription.fetch(1)
    await message.ack_sync()
    await trimmer.trim(FAR_FUTURE)
    assert (await bus.state()).messages == 0


async def test_a_reader_that_fills_the_bus_is_reported_once(
    nats_server: NatsServer, store: EventStore, tmp_path: Path
) -> None:
    limits = StreamLimits(events_bytes=100_000)
    async with await Bus.connect(nats_server.address) as bus:
        await bus.prepare(limits)
        await bus.publish_many([("a.b", f"{number}", b"x" * 8_000) for number in range(11)])
        await store.note_position("recorder", Position(11, 0), at=0)
        await store.note_position("engine", Position(1, 0), at=0)
        trimmer = Trimmer(bus, store, limits)
        for _ in range(3):
            await trimmer.trim(1_000_000)
        await store.note_position("engine", Position(11, 0), at=0)
        await trimmer.trim(1_000_000)
        told = [
            message.body
            for batch in [await anext(bus.read_events(0, patterns=["service.lagging"], heartbeat=1.0))]
            for message in batch
        ]
    assert len(told) == 1
    assert b'"reader":"engine"' in told[0]
    assert b"10 events behind" in told[0]
