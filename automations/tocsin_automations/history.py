"""The events before a message: those that the log has, then those that the bus still has alone."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from tocsin_events.arrival import event_of
from tocsin_events.bus import Bus
from tocsin_events.pattern import matches_any
from tocsin_events.store import EventStore
from tocsin_events.view import EventView, InvalidEvent


class StoredHistory:
    """What was accepted, wherever it is by now: the recorder may be behind the engine."""

    def __init__(self, log: EventStore, bus: Bus) -> None:
        self._log = log
        self._bus = bus

    async def between(
        self, *, received_from: int, last: int, patterns: Sequence[str]
    ) -> AsyncIterator[EventView]:
        """Yield the events that fit a pattern, arrived at or after an instant, up to a sequence, in order.

        The message behind ``last`` must be on the bus: it tells when all have been read.
        """
        position = await self._log.position()
        recorded = 0 if position is None else position.sequence
        stored = self._log.between(received_from=received_from, last=min(last, recorded), patterns=patterns)
        async for view in stored:
            yield view
        if recorded >= last:
            return
        reading = self._bus.read_events(recorded + 1 if recorded else 0)
        async with contextlib.aclosing(reading) as batches:  # type: ignore[type-var]
            async for batch in batches:
                for delivered in batch:
                    if delivered.sequence > last:
                        return
                    with contextlib.suppress(InvalidEvent):
                        view = event_of(delivered)
                        if view.received >= received_from and matches_any(patterns, view.type):
                            yield view
