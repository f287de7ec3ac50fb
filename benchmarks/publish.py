"""`publish`: what the SDK sends with acknowledgements, beside nats-py with the same number outstanding."""

import asyncio
import statistics
import tempfile
import time

import msgspec

from benchmarks.report import Figure
from benchmarks.samples import state_event
from benchmarks.servers import DURABILITIES, Durability, own_nats
from tocsin_events.bus import Bus
from tocsin_events.identity import message_key
from tocsin_events.instant import SECOND
from tocsin_events.streams import event_subject

_START = 1_767_960_000 * SECOND
_EVENTS = 10_000
_WINDOW = 1_000
_ROUNDS = 3


def measure() -> list[Figure]:
    """Return events a second for both kinds of durability."""
    return [asyncio.run(_measure(durability)) for durability in DURABILITIES]


async def _measure(durability: Durability) -> Figure:
    ours, limit = [], []
    async with own_nats(durability) as server, await Bus.connect(server.address) as bus:
        await bus.prepare()
        address = server.address_for("client")
        host = address.url.removeprefix("nats://")
        url = f"nats://{address.user}:{address.password}@{host}"
        for number in range(_ROUNDS):
            limit.append(_EVENTS / await _windowed(bus, number))
            ours.append(_EVENTS / await asyncio.to_thread(_emitted, url))
    return Figure(
        f"SDK emit until all are acknowledged, {durability}", statistics.median(ours), "events/s",
        statistics.median(limit), f"nats-py, {_WINDOW:,} outstanding", "≥ 0.8 (relaxed)",
    )  # fmt: skip


async def _windowed(bus: Bus, number: int) -> float:
    """The best of plain nats-py: publish_async with message ids."""
    context = bus.client.jetstream(publish_async_max_pending=_WINDOW)
    bodies = [state_event(place, time=_START + place) for place in range(_EVENTS)]
    start = time.perf_counter()
    acknowledged = [
        await context.publish_async(
            event_subject("flow-run.failed"),
            body,
            headers={"Nats-Msg-Id": message_key(f"/bench/{number}", str(place))},
            wait_stall=60,
        )
        for place, body in enumerate(bodies)
    ]
    await asyncio.gather(*acknowledged)
    return time.perf_counter() - start


def _emitted(url: str) -> float:
    """`emit` of the SDK in a process that knows the bus, until its outbox is empty."""
    from tocsin import emit, emitter

    sample = msgspec.json.decode(state_event(0, time=_START))["data"]
    with tempfile.TemporaryDirectory() as folder:
        own = emitter.open_emitter({"TOCSIN_OUTBOX__DIR": f"{folder}/outbox", "TOCSIN_NATS_URL": url})
        previous = emitter.replace(own)
        try:
            start = time.perf_counter()
            for _ in range(_EVENTS):
                emit(
                    "flow-run.failed",
                    resource=sample["resource"],
                    related=sample["related"],
                    data=sample["payload"],
                )
            while not own.carrier.flush(60):
                pass
            return time.perf_counter() - start
        finally:
            emitter.replace(previous)
            own.carrier.close(0)
