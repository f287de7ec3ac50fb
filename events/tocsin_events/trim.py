"""Trimming the bus: what is older than it needs to be goes, but nothing that a reader has not come to yet.

JetStream's own limits would push the oldest events out whoever still needs them. So `EVENTS` refuses new events when it is
full, and the old ones are removed here, up to the slowest reader. When that one holds up too much, `service.lagging` says
who it is.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nats.errors import Error
from sqlalchemy.exc import SQLAlchemyError

from tocsin_events.bus import Bus, BusUnavailable, StreamState
from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_events.instant import SECOND
from tocsin_events.store import EventStore
from tocsin_events.streams import StreamLimits

_log = logging.getLogger(__name__)

SOURCE: Final = "/server/bus"
_PERIOD: Final = 10.0
_KEEP_BELOW: Final = 0.8
"""Of the bus's room, how much old events may take."""
_LAGGING_ABOVE: Final = 0.75
"""From how full a bus on a slow reader is reported."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where to cut: messages before ``before`` can go; ``held_by`` is the reader who keeps more from going."""

    before: int
    held_by: str | None = None
    behind: int = 0


def cut(state: StreamState, readers: Mapping[str, int], *, oldest_wanted: int, max_bytes: int) -> Cut:
    """Return where to cut a stream.

    ``readers`` says up to which sequence each reader has come; ``oldest_wanted`` is the first sequence that is young enough
    to be kept. Of a stream that is nearly full, more goes, by the average size of its messages.
    """
    wanted = oldest_wanted
    room = max_bytes * _KEEP_BELOW
    if state.bytes > room and state.messages:
        kept = int(room / (state.bytes / state.messages))
        wanted = max(wanted, state.last - kept + 1)
    slowest = min(readers, key=lambda name: readers[name], default=None)
    # Somebody has yet to read everything where nobody has said that he has read anything.
    allowed = state.first if slowest is None else readers[slowest] + 1
    if wanted <= allowed:
        return Cut(max(wanted, state.first))
    behind = state.last - allowed + 1
    return Cut(max(allowed, state.first), slowest, behind)


class Trimmer:
    """Keeps `EVENTS` within its limits, and says who holds it up."""

    def __init__(self, bus: Bus, store: EventStore, limits: StreamLimits) -> None:
        self._bus, self._store, self._limits = bus, store, limits
        self._reported: set[str] = set()

    async def run(self) -> None:
        """Trim every ten seconds until cancelled."""
        while True:
            try:
                await self.trim(time.time_ns() // 1000)
            except (BusUnavailable, SQLAlchemyError, Error, OSError) as problem:
                _log.warning("the bus could not be trimmed: %s", problem)
            await asyncio.sleep(_PERIOD)

    async def trim(self, now: int) -> Cut:
        """Remove what is old and read; return what was decided. ``now`` is in microseconds.

        Raises:
            BusUnavailable: the bus did not answer.

        """
        state = await self._bus.state()
        readers = {name: position.sequence for name, position in (await self._store.positions()).items()}
        readers |= await self._bus.durable_positions(state)
        oldest = await self._bus.first_arrived_at(state, now - self._limits.events_age)
        decided = cut(state, readers, oldest_wanted=oldest, max_bytes=self._limits.events_bytes)
        if decided.before > state.first:
            await self._bus.remove_before(decided.before)
        used = state.bytes / self._limits.events_bytes
        if decided.held_by is not None and used > _LAGGING_ABOVE:
            await self._report(decided, used, now)
        elif decided.held_by is None:
            self._reported.clear()
        return decided

    async def _report(self, decided: Cut, used: float, now: int) -> None:
        reader = decided.held_by or ""
        if reader in self._reported:
            return
        message = (
            f"{reader} is {decided.behind} events behind, and the bus is {used:.0%} full; "
            "when it is full, no new event is accepted"
        )
        _log.warning(message)
        id_ = derived_id("service.lagging", reader, decided.before, now // (60 * SECOND))
        body = encode_event(
            id=id_,
            type="service.lagging",
            source=SOURCE,
            time=now,
            resource={"kind": "service", "id": reader, "name": reader, "labels": {}, "tags": []},
            payload={"reader": reader, "behind": decided.behind, "used": used, "message": message},
        )
        await self._bus.publish(body, type="service.lagging", key=message_key(SOURCE, id_))
        self._reported.add(reader)
