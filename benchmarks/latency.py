"""`latency`: from publishing an event to the request that a webhook receiver gets, with 1,000 rules.

The limit beside it is a bare round through the same bus: publish with acknowledgement, and read. Each timed event fires
another rule: the firings of one wait until what came of the one before is recorded.
"""

import asyncio
import json
import tempfile
import time

import httpx2

from benchmarks.report import Figure, percentile
from benchmarks.servers import DURABILITIES, Durability, Receiver, Running, own_bus, own_server
from tocsin_events.bus import Bus

RULES = 1_000
"""Rules on the same type of event, each with a webhook."""

_EVENTS = 200
_LOAD = 1_000
"""Events a second of the loaded round."""


def measure() -> list[Figure]:
    """Return milliseconds, idle and under load."""
    figures = []
    for durability in DURABILITIES:
        with own_server(durability) as server:
            figures += asyncio.run(_measure(server, durability))
    return figures


def apply_rules(server: Running, url: str) -> None:
    """Give the server the rules, whose webhooks call ``url`` with the number of the event."""
    rules = {
        f"rule-{number}": {
            "when": {"event": "order.checked", "where": f'data.rule == "rule-{number}"'},
            "then": [{"call_webhook": url + "/{{ data.number }}", "method": "POST", "body": {}}],
        }
        for number in range(RULES)
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump({"automations": rules}, file)
        file.flush()
        server.cli("apply", file.name)


async def timed_event(client: httpx2.AsyncClient, receiver: Receiver, number: int) -> float:
    """Return the milliseconds from posting one event to the request that it causes."""
    event = _event(f"timed-{time.time_ns()}", number, f"rule-{number % RULES}")
    sent = time.perf_counter()
    answer = await client.post(
        "/events", content=json.dumps(event), headers={"Content-Type": "application/cloudevents+json"}
    )
    answer.raise_for_status()
    while number not in receiver.arrivals:  # noqa: ASYNC110 - the receiver notes the instant itself
        await asyncio.sleep(0.001)
    return (receiver.arrivals[number] - sent) * 1e3


async def _measure(server: Running, durability: Durability) -> list[Figure]:
    bare = await _bare(durability)
    figures = []
    async with Receiver() as receiver, server.client() as client:
        apply_rules(server, receiver.url)
        await timed_event(client, receiver, -1)
        for load in (0, _LOAD):
            took = await _round(client, receiver, load)
            where = f"{durability}, {'idle' if not load else f'at {load:,} events/s'}"
            for name, share, goal in (("p50", 0.5, "≤ 6 ms"), ("p99", 0.99, "≤ 25 ms")):
                figures.append(
                    Figure(
                        f"{name}, {where}", percentile(took, share), "ms", percentile(bare, share),
                        "publish → read on the bus alone", goal,
                    )
                )  # fmt: skip
            receiver.arrivals.clear()
    return figures


async def _round(client: httpx2.AsyncClient, receiver: Receiver, load: int) -> list[float]:
    stop = asyncio.Event()
    pressure = asyncio.create_task(_press(client, load, stop)) if load else None
    took = [await timed_event(client, receiver, number) for number in range(_EVENTS)]
    stop.set()
    if pressure is not None:
        await pressure
    return took


async def _press(client: httpx2.AsyncClient, load: int, stop: asyncio.Event) -> None:
    """Post ``load`` events a second that no rule wants, in batches."""
    size = 50
    loop = asyncio.get_running_loop()
    due = loop.time()
    while not stop.is_set():
        batch = [_event(f"load-{time.time_ns()}-{place}", place, "none") for place in range(size)]
        await client.post(
            "/events",
            content=json.dumps(batch),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )
        due += size / load
        await asyncio.sleep(max(0.0, due - loop.time()))


def _event(id_: str, number: int, rule: str) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "/bench",
        "type": "order.checked",
        "datacontenttype": "application/json",
        "data": {"number": number, "rule": rule, "text": "x" * 400},
    }


async def _bare(durability: Durability) -> list[float]:
    async with own_bus(durability) as bus:
        reading = asyncio.create_task(_arrivals(bus, _EVENTS))
        await asyncio.sleep(0.5)  # the consumer stands
        sent = []
        for number in range(_EVENTS):
            sent.append(time.perf_counter())
            await bus.publish(b"x" * 700, type="bench", key=f"bench {number}")
            await asyncio.sleep(0.002)
        return [(came - left) * 1e3 for came, left in zip(await reading, sent, strict=True)]


async def _arrivals(bus: Bus, count: int) -> list[float]:
    found: list[float] = []
    async for batch in bus.read_events(0):
        found += [time.perf_counter()] * len(batch)
        if len(found) >= count:
            return found
    raise AssertionError
