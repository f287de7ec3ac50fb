"""From the bus into the log: everything, in order, once."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from event_making import body
from tocsin_events.bus import Bus, GapFound
from tocsin_events.dead_letters import DeadLetters
from tocsin_events.ending import end
from tocsin_events.filter import EventFilter
from tocsin_events.identity import message_key
from tocsin_events.service import Recorder
from tocsin_events.store import EventStore
from tocsin_events.streams import EVENTS


async def database(tmp_path: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/log.db")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    return engine


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EventStore]:
    engine = await database(tmp_path)
    yield EventStore(engine)
    await engine.dispose()


@asynccontextmanager
async def recording(bus: Bus, store: EventStore) -> AsyncIterator[Recorder]:
    recorder = Recorder(bus, store)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        assert await end(task) is None


async def until(condition: Callable[[], Awaitable[Any] | Any]) -> None:
    async with asyncio.timeout(60):
        while True:
            answer = condition()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.01)


async def publish(bus: Bus, *ids: str, type_: str = "order.placed") -> None:
    await bus.publish_many([(type_, message_key("/test", one), body(one, type_)) for one in ids])


async def in_log(store: EventStore) -> list[str]:
    return [view.id async for view in store.between()]


async def test_events_reach_the_log_in_order_and_each_once(bus: Bus, store: EventStore) -> None:
    names = [f"e{number}" for number in range(3_000)]
    await publish(bus, *names[:1_000])
    async with recording(bus, store) as recorder:
        await publish(bus, *names[1_000:])
        await until(lambda: recorder.position == 3_000)
    assert await in_log(store) == names
    position = await store.position()
    assert position is not None
    assert (position.sequence, position.stream_made) == (3_000, (await bus.state()).made)


async def test_a_recorder_that_comes_back_goes_on_where_it_was(bus: Bus, store: EventStore) -> None:
    for first in range(0, 50, 10):
        await publish(bus, *(f"e{number}" for number in range(first, first + 10)))
        async with recording(bus, store) as recorder:
            await until(lambda goal=first + 10, recorder=recorder: recorder.position == goal)
    assert await in_log(store) == [f"e{number}" for number in range(50)]


async def test_an_event_sent_again_after_the_duplicate_window_is_logged_once(
    bus: Bus, store: EventStore
) -> None:
    async with recording(bus, store) as recorder:
        await bus.publish(body("same", "a"), type="a", key="first key")
        await bus.publish(body("same", "a"), type="a", key="other key, as after ten minutes")
        await until(lambda: recorder.position == 2)
    assert await in_log(store) == ["same"]


async def test_undecodable_bytes_become_a_dead_letter_and_stop_nothing(bus: Bus, store: EventStore) -> None:
    letters = DeadLetters(store.engine)
    await bus.client.publish("tocsin.events.broken", b"\xff\x00 no JSON", headers={"Sender": "ü"})
    await publish(bus, "good")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position >= 3)
    [letter] = await letters.ls()
    assert (letter.payload, letter.subject, dict(letter.headers)) == (
        b"\xff\x00 no JSON",
        "tocsin.events.broken",
        {"Sender": "ü"},
    )
    assert "no event" in letter.reason
    good, created = [view async for view in store.between()]
    assert good.id == "good"
    assert (created.type, created.subject) == ("dead-letter.created", f"dead-letter/{letter.id}")
    assert recorder.dead == 1


async def test_a_dead_letter_is_kept_and_announced_once(bus: Bus, store: EventStore) -> None:
    await bus.client.publish("tocsin.events.broken", b"{}")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position == 2)
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM reader_positions")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position == 2)
    assert len(await DeadLetters(store.engine).ls()) == 1
    assert (await bus.state()).last == 2


async def test_a_dead_letter_goes_back_to_where_it_came_from(bus: Bus, store: EventStore) -> None:
    letters = DeadLetters(store.engine)
    async with recording(bus, store) as recorder:
        id_ = await letters.add(
            "the receiver was closed", "tocsin.events.order.placed", body("again", "order.placed"), at=5
        )
        assert await letters.replay(id_, bus, at=9)
        await until(lambda: recorder.position >= 1)
    assert (await store.get("again")) is not None
    letter = await letters.show(id_)
    assert letter is not None
    assert letter.replayed == 9
    assert await letters.drop(id_, bus, at=10)
    assert not await letters.drop(id_, bus, at=10)
    assert not await letters.replay(id_, bus, at=9)
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position >= 4)
    for type_ in ("dead-letter.replayed", "dead-letter.dropped"):
        (told,) = (await store.search(EventFilter(types=(type_,)))).events
        assert json.loads(told.body)["subject"].endswith(id_), type_


async def test_a_database_that_is_locked_for_a_while_loses_nothing(
    bus: Bus, store: EventStore, tmp_path: Path
) -> None:
    impatient = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/log.db", connect_args={"timeout": 0.05})
    async with recording(bus, EventStore(impatient)) as recorder:
        async with store.engine.connect() as other:
            await other.exec_driver_sql("BEGIN EXCLUSIVE")
            await publish(bus, *(f"e{number}" for number in range(100)))
            await asyncio.sleep(0.3)
            assert recorder.position == 0
            await other.rollback()
        await until(lambda: recorder.position == 100)
    assert await in_log(store) == [f"e{number}" for number in range(100)]
    await impatient.dispose()


async def test_an_event_that_the_database_refuses_becomes_a_dead_letter(bus: Bus, store: EventStore) -> None:
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE TRIGGER no_e2 BEFORE INSERT ON events WHEN new.id = 'e2' BEGIN SELECT RAISE(ABORT, 'not e2'); END"
        )
    await publish(bus, "e1", "e2", "e3")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position >= 4)
    assert (await in_log(store))[:2] == ["e1", "e3"]
    [letter] = await DeadLetters(store.engine).ls()
    assert "not e2" in letter.reason
    assert letter.subject == "tocsin.events.order.placed"


async def test_a_stream_that_was_made_anew_below_the_log_stops_the_recorder_with_instructions(
    bus: Bus, store: EventStore
) -> None:
    await publish(bus, "e1", "e2")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position == 2)
    await bus.js.delete_stream(EVENTS)
    await bus.prepare()
    await publish(bus, "e3", "e4", "e5")
    with pytest.raises(GapFound, match=r"made anew.*nats stream rm EVENTS"):
        await Recorder(bus, store).run()
    assert await in_log(store) == ["e1", "e2"]


async def test_a_stream_that_was_made_anew_behind_the_log_is_taken(bus: Bus, store: EventStore) -> None:
    await publish(bus, "e1", "e2")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position == 2)
    await bus.js.delete_stream(EVENTS)
    await bus.prepare(after=2)
    await publish(bus, "e3")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position == 3)
    assert await in_log(store) == ["e1", "e2", "e3"]


async def test_a_bus_with_other_events_under_the_log_s_numbers_stops_the_recorder(
    bus: Bus, store: EventStore
) -> None:
    await publish(bus, "e1", "e2")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position == 2)
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE events SET body = x'7b7d' WHERE sequence = 2")
    with pytest.raises(GapFound, match="another event than the log"):
        await Recorder(bus, store).run()


async def test_events_that_left_the_bus_unrecorded_stop_the_recorder(bus: Bus, store: EventStore) -> None:
    await publish(bus, "e1")
    async with recording(bus, store) as recorder:
        await until(lambda: recorder.position == 1)
    await publish(bus, "e2", "e3", "e4")
    await bus.remove_before(4)
    with pytest.raises(GapFound, match="2 to 3"):
        await Recorder(bus, store).run()
    assert len((await store.search(EventFilter())).events) == 1
