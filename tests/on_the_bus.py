"""What is on a bus at a moment, for tests."""

from contextlib import aclosing

from tocsin_events.bus import Bus
from tocsin_events.streams import EVENTS
from tocsin_events.view import EventView


async def events_on(bus: Bus) -> list[EventView]:
    """Return every event that was on the bus when this was called, in order."""
    state = await bus.state(EVENTS)
    found: list[EventView] = []
    if not state.messages:
        return found
    async with aclosing(bus.read_events(0)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            for one in batch:
                found.append(EventView.decode(one.body, received=one.received, sequence=one.sequence))
                if one.sequence >= state.last:
                    return found
    return found
