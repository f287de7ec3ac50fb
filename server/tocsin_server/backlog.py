"""How much waits for whom: the messages that each consumer of the bus has yet to come to, and the engine's lag."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nats.errors import Error
from nats.js import JetStreamContext

from tocsin_automations.service import EngineService
from tocsin_events.bus import Bus, BusUnavailable
from tocsin_events.instant import SECOND
from tocsin_events.store import EventStore
from tocsin_events.streams import DELIVERIES, EVENTS, LOGS, RUNS
from tocsin_server.supervisor import Supervisor

LAGGING_SECONDS: Final = 60.0
"""From how far behind on the engine keeps a server from being ready."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that wait, by consumer; ``engine_lag`` in seconds, None where this process runs no active engine."""

    pending: Mapping[str, int]
    engine_lag: float | None


async def backlog(bus: Bus, events: EventStore, supervisor: Supervisor) -> Backlog:
    """Return how much waits; what the bus can't say now is left out."""
    pending: dict[str, int] = {}
    try:
        last = (await bus.state(EVENTS)).last
        pending |= {name: max(0, last - one.sequence) for name, one in (await events.positions()).items()}
        for stream in (EVENTS, RUNS, DELIVERIES, LOGS):
            pending |= await _durables(bus.js, stream)
    except (BusUnavailable, Error, OSError):
        return Backlog(pending, engine_lag(supervisor))
    return Backlog(pending, engine_lag(supervisor))


def engine_lag(supervisor: Supervisor) -> float | None:
    """Return how far the engine of this process is behind, in seconds; None where none is active."""
    engine = supervisor.service("engine")
    if not isinstance(engine, EngineService) or engine.progress is None:
        return None
    progress = engine.progress
    if progress.caught_up or not progress.clock:
        return 0.0
    return max(0.0, (time.time_ns() // 1000 - progress.clock) / SECOND)


async def _durables(js: JetStreamContext, stream: str) -> dict[str, int]:
    found: dict[str, int] = {}
    read = 0
    while page := await js.consumers_info(stream, offset=read):
        read += len(page)
        for info in page:
            if info.config.durable_name:
                found[info.config.durable_name] = (info.num_pending or 0) + (info.num_ack_pending or 0)
    return found
