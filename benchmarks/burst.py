"""`burst`: 100,000 events as fast as the bus takes them, one in 100 fires: none lost, none doubled.

The limit is the time that it takes to read and decode the same events. They are encoded before the clock starts, and sent by two
at once, so that the bus doesn't wait for the one who sends.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator

from benchmarks.report import Figure
from benchmarks.servers import Running, own_server
from tocsin_events.bus import Bus
from tocsin_events.ending import run_together
from tocsin_events.envelope import encode_event
from tocsin_events.identity import message_key
from tocsin_events.view import EventView

_EVENTS = 100_000
_ONE_IN = 100
_BATCH = 1_000

Outgoing = tuple[str, str, bytes]
"""Type, key and body."""


def measure() -> list[Figure]:
    """Return seconds, and what was lost or doubled."""
    with own_server("relaxed") as server:
        return asyncio.run(_measure(server))


async def _measure(server: Running) -> list[Figure]:
    _apply(server)
    events = [_event(number) for number in range(_EVENTS)]
    async with await Bus.connect(server.bus_address) as bus:
        start = time.perf_counter()
        acted = asyncio.create_task(_acted(bus, _EVENTS // _ONE_IN))
        batches = (events[first : first + _BATCH] for first in range(0, _EVENTS, _BATCH))
        await run_together(_publish(bus, batches), _publish(bus, batches))
        published = time.perf_counter() - start
        numbers = await acted
        took = time.perf_counter() - start
        alone = await _consume_alone(bus)
    wanted = set(range(0, _EVENTS, _ONE_IN))
    return [
        Figure("first event to last action", took, "s", alone, "reading and decoding alone", "≤ 2 ×"),
        Figure("publishing them", published, "s"),
        Figure("actions lost", len(wanted - set(numbers)), "of 1,000", goal="0"),
        Figure("actions doubled", len(numbers) - len(set(numbers)), "of 1,000", goal="0"),
    ]


def _apply(server: Running) -> None:
    rule = {
        "when": {"event": "order.checked", "where": f"data.number % {_ONE_IN} == 0"},
        "then": [{"emit_event": "order.flagged", "data": {"number": "{{ data.number }}"}}],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump({"automations": {"one-in-a-hundred": rule}}, file)
        file.flush()
        server.cli("apply", file.name)


async def _publish(bus: Bus, batches: Iterator[list[Outgoing]]) -> None:
    for batch in batches:
        await bus.publish_many(batch)


def _event(number: int) -> Outgoing:
    body = encode_event(
        id=f"order-{number}",
        type="order.checked",
        source="/bench",
        time=time.time_ns() // 1000,
        resource={"kind": "order", "id": str(number)},
        payload={"number": number, "text": "x" * 400},
    )
    return "order.checked", message_key("/bench", f"order-{number}"), body


async def _acted(bus: Bus, count: int) -> list[int]:
    """Return the numbers that the actions carried, when there are so many and a quiet second has passed."""
    numbers: list[int] = []
    async for batch in bus.read_events(0, patterns=["order.flagged"], heartbeat=1.0):
        numbers += [EventView.decode(one.body, received=one.received).data["number"] for one in batch]
        if len(numbers) >= count:
            return numbers
    raise AssertionError


async def _consume_alone(bus: Bus) -> float:
    start = time.perf_counter()
    seen = 0
    async for batch in bus.read_events(0, patterns=["order.checked"]):
        for one in batch:
            EventView.decode(one.body, received=one.received)
        seen += len(batch)
        if seen >= _EVENTS:
            return time.perf_counter() - start
    raise AssertionError
