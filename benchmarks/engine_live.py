"""`engine-live`: the engine service behind JetStream with 1,000 rules, beside the same reader that only decodes."""

import asyncio
import statistics
import tempfile
import time

from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.report import Figure
from benchmarks.samples import state_event
from benchmarks.servers import own_bus
from tocsin_automations.history import StoredHistory
from tocsin_automations.revising import Reviser
from tocsin_automations.revisions import Revisions
from tocsin_automations.service import EngineService
from tocsin_automations.store import EngineStore
from tocsin_events.bus import Bus
from tocsin_events.ending import end
from tocsin_events.envelope import encode_event
from tocsin_events.identity import message_key
from tocsin_events.instant import SECOND
from tocsin_events.store import EventStore
from tocsin_events.view import EventView
from tocsin_server.db import open_engine, upgrade
from tocsin_server.heap import long_lived_objects

_START = 1_767_960_000 * SECOND
_EVENTS = 50_000
_RULES = 1_000
_ROUNDS = 3


def measure() -> list[Figure]:
    """Return events a second."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    ours, limit = [], []
    async with own_bus("relaxed") as bus:
        last = await _fill(bus)
        for _ in range(_ROUNDS):
            # The server treats its long-lived objects so, too.
            with long_lived_objects():
                limit.append(await _decode(bus, last))
                ours.append(await _evaluate(bus, last))
    return [
        Figure(
            f"{_RULES:,} rules in force, one in 100 events fires", statistics.median(ours), "events/s",
            statistics.median(limit), "the same reader, decoding alone", "≥ 0.5, ≥ 30 k/s",
        )
    ]  # fmt: skip


async def _fill(bus: Bus) -> int:
    applied = encode_event(
        id="applied", type="config.applied", source="/bench", time=_START,
        resource={"kind": "config", "id": "1"}, payload={"revision": 1},
    )  # fmt: skip
    await bus.publish(applied, type="config.applied", key="applied")
    last = 0
    for first in range(0, _EVENTS, 1_000):
        last = (
            await bus.publish_many(
                [
                    (
                        "flow-run.failed",
                        message_key("/bench", str(number)),
                        state_event(
                            number, deployment=f"deployment-{number % (_RULES * 100)}", time=_START + number
                        ),
                    )
                    for number in range(first, first + 1_000)
                ]
            )
        )[-1]
    return last


async def _decode(bus: Bus, last: int) -> float:
    """Return events a second."""
    start = time.perf_counter()
    async for batch in bus.read_events(0):
        for one in batch:
            EventView.decode(one.body, received=one.received, sequence=one.sequence)
        if batch and batch[-1].sequence >= last:
            break
    return last / (time.perf_counter() - start)


async def _evaluate(bus: Bus, last: int) -> float:
    """Return events a second, from the moment that the rules are in force."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_engine(f"sqlite:///{folder}/tocsin.db")
        await upgrade(database)
        service = await _service(bus, database)
        running = asyncio.create_task(service.run())
        while (progress := service.progress) is None or not progress.revision:  # noqa: ASYNC110 - another task's
            await asyncio.sleep(0.001)
        start, first = time.perf_counter(), progress.sequence
        while (progress := service.progress) is None or progress.sequence < last:  # noqa: ASYNC110 - another task's
            await asyncio.sleep(0.005)
        took = time.perf_counter() - start
        assert await end(running) is None
        await database.dispose()
    return (last - first) / took


async def _service(bus: Bus, database: AsyncEngine) -> EngineService:
    rules = {
        f"rule-{number}": {
            "when": {"event": "flow-run.failed", "where": f'deployment.id == "deployment-{number}"'}
        }
        for number in range(_RULES)
    }
    await Revisions(database).add({"automations": rules}, created=_START)
    reviser = Reviser(Revisions(database), StoredHistory(EventStore(database), bus))
    return EngineService(bus, EngineStore(database), reviser, clock=lambda: time.time_ns() // 1000)
