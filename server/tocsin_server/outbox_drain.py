"""Takes in the events that programs left in the outbox folder while no server was there."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from tocsin.outbox import drain
from tocsin_events.bus import Bus, BusUnavailable, PublishRefused
from tocsin_events.streams import told_by_service_alone

_EVERY_SECONDS: Final = 5.0

_log = structlog.get_logger("tocsin.outbox")


class OutboxDrain:
    """A service that looks into one outbox folder at its start and every five seconds."""

    def __init__(self, bus: Bus, folder: Path) -> None:
        self._bus = bus
        self._folder = folder

    async def run(self) -> None:
        """Send what is there, again and again, until cancelled."""
        while True:
            try:
                sent = await drain(self._folder, self._publish)
            except BusUnavailable as problem:
                _log.warning("the outbox waits for the bus", problem=str(problem))
            else:
                if sent:
                    _log.info("took events from the outbox", events=sent, folder=str(self._folder))
            await asyncio.sleep(_EVERY_SECONDS)

    async def _publish(self, events: list[tuple[str, str, bytes]]) -> None:
        """Publish what lay in the folder, with no more rights than those who put it there.

        Raises:
            PublishRefused: one of them is the service's own to tell.
            BusUnavailable: not now.

        """
        for type_, _, _ in events:
            if told_by_service_alone(type_):
                raise PublishRefused(f"{type_!r} is told by the service alone; choose a type of your own")
        await self._bus.publish_many(events)
