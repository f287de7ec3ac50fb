"""``GET /api/v1/events/stream``: events as they arrive, as Server-Sent Events that resume where they broke off.

The id of each is its sequence on the bus. What the bus no longer has is read from the log first.
"""

import time
from collections.abc import AsyncIterator
from typing import Final

from tocsin_events.filter import EventFilter
from tocsin_events.streams import EVENTS
from tocsin_events.view import EventView, InvalidEvent
from tocsin_server.parts import Parts

_KEEP_ALIVE_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 1.0


async def live_events(parts: Parts, wanted: EventFilter, *, after: int | None) -> AsyncIterator[bytes]:
    """Yield Server-Sent Events until the server stops; ``after`` is the last sequence that was seen."""
    yield b"retry: 1000\n\n"
    start = None if after is None else after + 1
    if start is not None:
        first = (await parts.bus.state(EVENTS)).first
        if start < first:
            async for view in parts.events.between(
                first=start, last=first - 1, patterns=wanted.types or None
            ):
                stored = await parts.events.at(view.sequence) if wanted.matches(view) else None
                if stored is not None:
                    yield _message(stored.sequence, stored.body)
            start = first
    spoken = time.monotonic()
    async for batch in parts.bus.read_events(start, patterns=wanted.types or None, heartbeat=_LOOK_SECONDS):
        if parts.stopping.is_set():
            return
        for message in batch:
            if _passes(wanted, message.body, message.received, message.sequence):
                spoken = time.monotonic()
                yield _message(message.sequence, message.body)
        if time.monotonic() - spoken > _KEEP_ALIVE_SECONDS:
            spoken = time.monotonic()
            yield b": still here\n\n"


def _passes(wanted: EventFilter, body: bytes, received: int, sequence: int) -> bool:
    try:
        return wanted.matches(EventView.decode(body, received=received, sequence=sequence))
    except InvalidEvent:
        return False


def _message(sequence: int, body: bytes) -> bytes:
    lines = b"".join(b"data: %b\n" % line for line in body.splitlines())
    return b"id: %d\n%b\n" % (sequence, lines)
