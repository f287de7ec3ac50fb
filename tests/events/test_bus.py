"""Publishing and reading on a real NATS server."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import pytest

from tocsin_events.bus import Bus, Delivered, GapFound, PublishRefused
from tocsin_events.streams import EVENTS

_numbers = count()


async def _publish(bus: Bus, amount: int, type_: str = "order.placed") -> list[int]:
    return await bus.publish_many([(type_, f"/test {next(_numbers)}", b"{}") for _ in range(amount)])


async def _read(batches: AsyncIterator[list[Delivered]], amount: int) -> list[Delivered]:
    found: list[Delivered] = []
    async with asyncio.timeout(60):
        async for batch in batches:
            found += batch
            if len(found) >= amount:
                break
    return found


async def test_a_published_event_is_read_as_it_was(bus: Bus) -> None:
    sequence = await bus.publish(b'{"id": "1"}', type="order.placed", key="/test 1")
    [message] = await _read(bus.read_events(0), 1)
    assert (message.sequence, message.subject, message.body) == (
        sequence,
        "tocsin.events.order.placed",
        b'{"id": "1"}',
    )
    assert message.headers is not None
    assert message.headers["Nats-Msg-Id"] == "/test 1"
    assert message.received > 1_700_000_000_000_000


async def test_an_event_published_twice_is_kept_once(bus: Bus) -> None:
    first = await bus.publish(b"one", type="a", key="/test same")
    assert await bus.publish(b"two", type="a", key="/test same") == first
    assert (await bus.state()).messages == 1


async def test_many_events_keep_their_order_and_get_their_sequences(bus: Bus) -> None:
    sequences = await _publish(bus, 10_000)
    assert sequences == list(range(1, 10_001))
    assert [message.sequence for message in await _read(bus.read_events(1), 10_000)] == sequences


async def test_reading_starts_at_the_sequence_asked_for(bus: Bus) -> None:
    await _publish(bus, 20)
    assert [message.sequence for message in await _read(bus.read_events(15), 6)] == [15, 16, 17, 18, 19, 20]


async def test_a_quiet_bus_gives_an_empty_list_so_that_the_reader_can_look_at_its_timers(bus: Bus) -> None:
    batches = bus.read_events(0, heartbeat=0.05)
    assert await anext(batches) == []
    assert await anext(batches) == []
    await _publish(bus, 1)
    assert len(await _read(batches, 1)) == 1


async def test_reading_from_now_on_leaves_out_what_was_there(bus: Bus) -> None:
    await _publish(bus, 3)
    found: list[Delivered] = []
    async with asyncio.timeout(60):
        async for batch in bus.read_events(None, heartbeat=0.05):
            found += batch
            if found:
                break
            # Nobody is told when the reading has begun: what is published until then may be left out, too.
            await _publish(bus, 1)
    assert found[0].sequence > 3


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["flow-run.*"], ["flow-run.failed", "flow-run.completed"]),
        (["flow-run.failed", "flow-run.*"], ["flow-run.failed", "flow-run.completed"]),
        (["flow-run.failed", "order.>"], ["flow-run.failed", "order.placed.today"]),
        (["*.failed", "flow-run.>"], None),
        ([], None),
    ],
)
async def test_patterns_are_asked_of_the_bus_where_it_can_tell_them_apart(
    bus: Bus, patterns: list[str], wanted: list[str] | None
) -> None:
    types = ["flow-run.failed", "order.placed.today", "task-run.failed", "flow-run.completed"]
    for type_ in types:
        await _publish(bus, 1, type_)
    expected = types if wanted is None else wanted
    found = await _read(bus.read_events(0, patterns=patterns), len(expected))
    assert [message.subject.removeprefix("tocsin.events.") for message in found] == expected


async def test_a_reader_whose_messages_are_gone_says_which_and_what_to_do(bus: Bus) -> None:
    await _publish(bus, 10)
    await bus.js.purge_stream(EVENTS, seq=6)
    with pytest.raises(GapFound, match=r"messages 3 to 5 of EVENTS.*restore"):
        await anext(bus.read_events(3))
    assert (await _read(bus.read_events(0), 1))[0].sequence == 6


async def test_a_reader_that_is_ahead_of_the_bus_says_that_the_data_was_replaced(bus: Bus) -> None:
    await _publish(bus, 2)
    with pytest.raises(GapFound, match="replaced or restored"):
        await anext(bus.read_events(7))


async def test_a_stream_that_is_made_anew_starts_behind_what_the_log_knows(bus: Bus) -> None:
    await _publish(bus, 3)
    await bus.js.delete_stream(EVENTS)
    await bus.prepare(after=3)
    assert await _publish(bus, 1) == [4]


async def test_a_message_that_is_too_large_is_refused_for_good(bus: Bus) -> None:
    with pytest.raises(PublishRefused, match="larger"):
        await bus.publish(b"x" * 2_000_000, type="a", key="/test big")
    assert await bus.publish(b"x", type="a", key="/test small") == 1


async def test_a_type_that_no_subject_can_carry_is_refused_for_good(bus: Bus) -> None:
    with pytest.raises(PublishRefused, match="bytes"):
        await bus.publish(b"x", type="ü" * 3000, key="/test 1")


async def test_preparing_twice_changes_nothing(bus: Bus) -> None:
    await _publish(bus, 1)
    before = await bus.state()
    await bus.prepare()
    assert await bus.state() == before
