"""The sweeper: puts back on the bus what should be there and may not be, as we died between a commit and a publish."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from tocsin_events.bus import BusUnavailable
from tocsin_events.instant import SECOND
from tocsin_notifiers.announcer import Announcer
from tocsin_notifiers.delivery import refused
from tocsin_notifiers.ledger import Claimed, Ledger
from tocsin_notifiers.roster import Roster

_log = logging.getLogger(__name__)

_EVERY: Final = 10.0
_FORGOTTEN_AFTER: Final = 60 * SECOND


class Sweeper:
    """Looks through what is unfinished; ``clock`` is in microseconds."""

    def __init__(
        self, roster: Roster, ledger: Ledger, announcer: Announcer, clock: Callable[[], int]
    ) -> None:
        self._roster = roster
        self._ledger = ledger
        self._announcer = announcer
        self._clock = clock

    async def run(self) -> None:
        """Sweep every ten seconds until cancelled."""
        while True:
            try:
                await self.sweep()
                await self._announcer.catch_up()
            except (SQLAlchemyError, BusUnavailable, OSError) as problem:
                _log.warning("deliveries could not be looked through: %s", problem)
            await asyncio.sleep(_EVERY)

    async def sweep(self, *, older_than: int = _FORGOTTEN_AFTER) -> int:
        """Order again what is unfinished though its turn has come, so long ago; return how many there were.

        What a notifier that was removed should have told is given up.
        """
        found = await self._ledger.forgotten(before=self._clock() - older_than)
        services = self._roster.setup.services
        again = [order for order in found if order[1] in services]
        if again:
            await self._announcer.order(again, again=f" {self._clock() // SECOND}")
        for id_, notifier, _ in found:
            if notifier not in services:
                await self._give_up(id_, f"the notifier {notifier!r} was removed")
        return len(found)

    async def _give_up(self, id_: str, reason: str) -> None:
        claim = await self._ledger.claim(id_)
        if isinstance(claim, Claimed):
            at = self._clock()
            ended = refused(claim.delivery, reason, started=at, now=at)
            await self._ledger.record(ended)
            await self._announcer.delivered(ended)
