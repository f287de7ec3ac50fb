"""The events before a message: those that the log has, then those that the bus still has alone."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from sqlalchemy.util import await_only, greenlet_spawn

from tocsin_events.arrival import event_of
from tocsin_events.bus import Bus
from tocsin_events.pattern import matches_any
from tocsin_events.store import EventStore
from tocsin_events.view import EventView, InvalidEvent

_BATCH: Final = 500

T = TypeVar("T")


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


async def read_through(read: Callable[[Iterable[EventView]], T], views: AsyncIterator[EventView]) -> T:
    """Let a function that knows no waiting read a history of any length; return what it returns.

    It gets the events as they come, a batch at a time, and while a batch is fetched other tasks go on. So nobody holds
    more of the history than a batch. The function runs as SQLAlchemy runs its own plain code on asynchronous drivers:
    in a greenlet of this task, not in a thread, so that between two batches nobody sees its work half done.
    """
    async with contextlib.aclosing(views):  # type: ignore[type-var]
        return await greenlet_spawn(read, _drawn(views))


def _drawn(views: AsyncIterator[EventView]) -> Iterator[EventView]:
    while batch := await_only(_next_batch(views)):
        yield from batch


async def _next_batch(views: AsyncIterator[EventView]) -> list[EventView]:
    batch: list[EventView] = []
    async for view in views:
        batch.append(view)
        if len(batch) == _BATCH:
            break
    return batch
