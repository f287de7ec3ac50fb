"""The log of events, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from event_making import NOON, body, recorded, related, resource
from tocsin_events.filter import EventFilter, InvalidFilter
from tocsin_events.instant import SECOND
from tocsin_events.store import EventStore, Page, Position, Recorded
from tocsin_events.tables import RELATED_TABLE

HOUR = 3600 * SECOND


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/log.db"
    url: str = request.getfixturevalue("postgres_url")
    return "postgresql+asyncpg://" + url.partition("://")[2]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[EventStore]:
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield EventStore(engine)
    await engine.dispose()


def ids(page: Page) -> list[str]:
    return [stored.view().id for stored in page.events]


async def find(store: EventStore, **parts: Any) -> list[str]:
    return ids(await store.search(EventFilter.parse(**parts)))


async def test_an_event_comes_back_byte_for_byte(store: EventStore) -> None:
    one = recorded(7, payload={"ü": [1, 2.5, None]})
    await store.append([one])
    stored = await store.get("e7")
    assert stored is not None
    assert (stored.sequence, stored.received, stored.body) == (7, one.view.received, one.body)
    assert await store.get("e7", "/elsewhere") is None
    assert await store.at(7) == stored
    assert await store.last() == stored


async def test_what_is_delivered_again_is_not_kept_twice(store: EventStore) -> None:
    batch = [recorded(1, concerns=[related("flow", "etl")]), recorded(2)]
    assert await store.append(batch) == 2
    assert await store.append([*batch, recorded(3)]) == 1
    assert await find(store) == ["e3", "e2", "e1"]
    assert await find(store, related=["flow/etl"]) == ["e1"]


async def test_an_event_sent_again_after_the_duplicate_window_is_kept_once(store: EventStore) -> None:
    await store.append([recorded(1, "same", concerns=[related("flow", "etl")])])
    assert await store.append([recorded(5, "same", concerns=[related("flow", "etl")]), recorded(6)]) == 1
    assert await find(store) == ["e6", "same"]
    assert await _relations(store) == 1


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 255, 256, 257, 300])
async def test_a_batch_of_any_size_is_kept_whole(store: EventStore, count: int) -> None:
    batch = [recorded(number, concerns=[related("flow", "etl")]) for number in range(1, count + 1)]
    assert await store.append(batch) == count
    assert await store.append([*batch, recorded(count + 1)]) == 1
    assert [view.sequence async for view in store.between()] == list(range(1, count + 2))
    assert await _relations(store) == count


async def test_a_relation_that_an_event_names_twice_is_kept_once(store: EventStore) -> None:
    twice = [related("flow", "etl"), related("flow", "etl", color="red")]
    assert await store.append([recorded(1, concerns=twice), recorded(2, concerns=twice)]) == 2
    assert await _relations(store) == 2


async def test_the_position_is_written_with_the_batch(store: EventStore) -> None:
    assert await store.position() is None
    await store.append([recorded(1)], Position(1, 99))
    await store.append([], Position(4, 99))
    assert await store.position() == Position(4, 99)
    await store.note_position("engine-0", Position(2, 99), at=NOON)
    assert await store.positions() == {"recorder": Position(4, 99), "engine-0": Position(2, 99)}
    await store.forget_position("engine-0")
    assert list(await store.positions()) == ["recorder"]


async def test_nothing_of_a_batch_that_fails_is_kept(store: EventStore) -> None:
    broken = Recorded(recorded(2).view, None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"(?i)null"):
        await store.append([recorded(1), broken], Position(2, 99))
    assert await find(store) == []
    assert await store.position() is None


async def test_events_are_found_by_what_they_are_about(store: EventStore) -> None:
    await store.append(
        [
            recorded(
                1, about=resource("flow-run", "r1"), concerns=[related("flow", "etl"), related("worker", "w")]
            ),
            recorded(2, about=resource("flow-run", "r2"), concerns=[related("flow", "etl")]),
            recorded(3, type_="order.placed", about=resource("order", "o1"), cause="e1"),
            recorded(4, type_="order.paid.in-full", about=resource("order", "o1", team="shop")),
        ]
    )
    assert await find(store, types=["order.*"]) == ["e3"]
    assert await find(store, types=["order.>"]) == ["e4", "e3"]
    assert await find(store, types=["order.placed", "flow-run.failed"]) == ["e3", "e2", "e1"]
    assert await find(store, types=["nothing.>"]) == []
    assert await find(store, resource="order/o1") == ["e4", "e3"]
    assert await find(store, resource="flow-run") == ["e2", "e1"]
    assert await find(store, resource="order/o1", types=["order.placed"]) == ["e3"]
    assert await find(store, related=["flow/etl"]) == ["e2", "e1"]
    assert await find(store, related=["worker"]) == ["e1"]
    assert await find(store, related=["flow/etl", "worker=worker/w"]) == ["e1"]
    assert await find(store, related=["owner=flow/etl"]) == []
    assert await find(store, related=["flow/etl"], resource="flow-run/r2") == ["e2"]
    assert await find(store, related=["flow/etl"], types=["order.*"]) == []
    assert await find(store, cause="e1") == ["e3"]
    assert await find(store, source="/test", types=["order.>"]) == ["e4", "e3"]
    assert await find(store, labels=["team=shop"]) == ["e4"]
    assert await find(store, where="resource.id == 'o1' && event.type == 'order.placed'") == ["e3"]
    assert await find(store, where="resource.labels.team == 'shop'") == ["e4"]


async def test_the_newest_comes_first_by_the_time_it_happened(store: EventStore) -> None:
    await store.append([recorded(1, time=NOON + 5), recorded(2, time=NOON), recorded(3, time=NOON + 9)])
    assert await find(store) == ["e3", "e1", "e2"]
    assert await find(store, since=NOON + 5) == ["e3", "e1"]
    assert await find(store, until=NOON + 5) == ["e2"]
    assert await find(store, types=["flow-run.*"], since=NOON + 1, until=NOON + 9) == ["e1"]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"types": ["flow-run.>"]},
        {"related": ["flow/etl"]},
        {"where": "data.number % 2 == 0"},
        {"resource": "flow-run/r"},
    ],
)
async def test_pages_neither_skip_nor_repeat(store: EventStore, parts: dict[str, Any]) -> None:
    types = ["flow-run.failed", "flow-run.completed", "flow-run.crashed"]
    await store.append(
        [
            # Many happened at the same time.
            recorded(
                number,
                type_=types[number % 3],
                time=NOON + number // 4,
                about=resource("flow-run", "r"),
                concerns=[related("flow", "etl"), related("flow", "etl", "parent")],
                payload={"number": number},
            )
            for number in range(1, 41)
        ]
    )
    wanted = EventFilter.parse(**parts)
    whole = ids(await store.search(wanted, limit=100))
    assert len(whole) in (20, 40)
    paged: list[str] = []
    cursor = None
    while True:
        page = await store.search(wanted, limit=7, after=cursor)
        paged += ids(page)
        await store.append([recorded(100 + len(paged), time=NOON + SECOND, type_="other.thing")])
        cursor = page.next
        if cursor is None:
            break
    assert paged == whole


async def test_a_cursor_that_is_none_is_refused(store: EventStore) -> None:
    for cursor in ("", "x", "1", "1.2.3", "1.-2", "9" * 30 + ".1", f"{2**63}.1"):
        with pytest.raises(InvalidFilter, match="cursor"):
            await store.search(EventFilter(), after=cursor)


async def test_events_are_counted_by_hour_type_and_resource(store: EventStore) -> None:
    await store.append(
        [
            recorded(1, time=NOON, about=resource("flow-run", "r1")),
            recorded(2, time=NOON + HOUR - 1, about=resource("flow-run", "r1"), type_="flow-run.completed"),
            recorded(3, time=NOON + HOUR, about=resource("flow-run", "r2", team="data")),
            recorded(4, time=NOON + 3 * HOUR),
        ]
    )
    everything = EventFilter()
    assert (await store.count("hour", everything)).groups == (
        (NOON, 2),
        (NOON + HOUR, 1),
        (NOON + 3 * HOUR, 1),
    )
    assert (await store.count("type", everything)).groups == (
        ("flow-run.failed", 3),
        ("flow-run.completed", 1),
    )
    assert (await store.count("resource", everything)).groups == (("flow-run/r1", 2), ("flow-run/r2", 1))
    failed = EventFilter.parse(types=["flow-run.failed"], since=NOON + 1)
    assert (await store.count("hour", failed)).groups == ((NOON + HOUR, 1), (NOON + 3 * HOUR, 1))
    labelled = EventFilter.parse(labels=["team=data"])
    assert (await store.count("hour", labelled)).groups == ((NOON + HOUR, 1),)
    assert (await store.count("resource", EventFilter.parse(where="event.type.endsWith('ed')"))).groups == (
        ("flow-run/r1", 2),
        ("flow-run/r2", 1),
    )


async def test_replay_reads_in_the_order_of_arrival(store: EventStore) -> None:
    await store.append(
        [recorded(number, type_=("a.b", "a.c")[number % 2], time=NOON - number) for number in range(3, 2503)]
    )
    assert [view.sequence async for view in store.between()] == list(range(3, 2503))
    assert [view.sequence async for view in store.between(first=2000, last=2003)] == [2000, 2001, 2002, 2003]
    assert [view.sequence async for view in store.between(patterns=["a.b"], last=9)] == [4, 6, 8]
    assert [view.sequence async for view in store.between(patterns=["nothing"])] == []
    arrived = NOON + SECOND + 100 * SECOND
    found = [
        view.sequence
        async for view in store.between(received_from=arrived, received_before=arrived + 2 * SECOND)
    ]
    assert found == [100, 101]
    assert [view.sequence async for view in store.between(received_from=NOON + 10**12)] == []


async def test_hostile_names_are_kept_and_found(store: EventStore) -> None:
    names = ["x" * 2000, "\N{GRINNING FACE}" * 2000, "nul\0byte", "'; drop table events; --", "%_*>", "a/b/c"]
    await store.append(
        [
            recorded(
                number,
                source=name,
                about=resource("kind", name),
                concerns=[related("k" * 200, name, "r" * 200)],
            )
            for number, name in enumerate(names, 1)
        ]
    )
    for number, name in enumerate(names, 1):
        assert await find(store, resource=f"kind/{name}") == [f"e{number}"]
        assert await find(store, related=[f"{'r' * 200}={'k' * 200}/{name}"]) == [f"e{number}"]
        assert await store.get(f"e{number}", name) is not None


async def test_the_types_that_were_seen_are_known(store: EventStore) -> None:
    await store.append([recorded(1, type_="b"), recorded(2, type_="a"), recorded(3, type_="b")])
    assert await store.types() == ["a", "b"]
    assert await EventStore(store.engine).types() == ["a", "b"]


async def test_the_newest_page_of_a_pattern_is_read_off_an_index(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/log.db")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    store = EventStore(engine)
    await store.append(
        [recorded(n, type_=f"t.{n % 5}", concerns=[related("flow", "f")]) for n in range(1, 50)]
    )
    for parts in ({"types": ["t.>"]}, {"related": ["flow/f"]}, {"resource": "a/b"}, {"types": ["t.1"]}, {}):
        plan = await _plan(engine, store, EventFilter.parse(**parts))
        assert "SCAN events\n" not in plan + "\n", plan
    await engine.dispose()


async def _relations(store: EventStore) -> int:
    async with store.engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(RELATED_TABLE)) or 0


async def _plan(engine: AsyncEngine, store: EventStore, wanted: EventFilter) -> str:
    statements: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    sql_event.listen(engine.sync_engine, "before_cursor_execute", keep)
    await store.search(wanted)
    sql_event.remove(engine.sync_engine, "before_cursor_execute", keep)
    statement, parameters = statements[-1]
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row[3] for row in rows)


def test_the_body_of_these_tests_is_an_event() -> None:
    assert b'"specversion":"1.0"' in body()
