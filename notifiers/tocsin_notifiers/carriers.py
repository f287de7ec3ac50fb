"""The carriers: one deliverer for each notifier that can work, so that a slow one holds up no other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tocsin_events.bus import Bus, DeadWork
from tocsin_events.ending import end_all
from tocsin_notifiers.configuration import ServiceNotifier
from tocsin_notifiers.deliverer import Deliverer, deliver
from tocsin_notifiers.delivery import Delivery
from tocsin_notifiers.gone import GoneTargets
from tocsin_notifiers.ledger import Ledger
from tocsin_notifiers.notifier import Notifier
from tocsin_notifiers.pictures import Pictures
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.secret import Secrets

_STOP_SECONDS: Final = 10.0
"""More than a deliverer takes to let its attempts end."""


class Carriers:
    """Runs the deliverers; ``announce`` tells of a delivery that ended, ``bury`` keeps what is no order, ``lease`` and ``clock`` are in microseconds."""

    def __init__(
        self,
        roster: Roster,
        bus: Bus,
        ledger: Ledger,
        gone: GoneTargets,
        *,
        secrets: Secrets,
        clock: Callable[[], int],
        announce: Callable[[Delivery], Awaitable[None]],
        bury: Callable[[DeadWork], Awaitable[None]],
        lease: int,
        pictures: Pictures,
    ) -> None:
        self._roster = roster
        self._bus = bus
        self._ledger = ledger
        self._gone = gone
        self._secrets = secrets
        self._clock = clock
        self._announce = announce
        self._bury = bury
        self._lease = lease
        self._pictures = pictures
        self._running: dict[str, tuple[Notifier, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Deliver until cancelled, anew for notifiers whose settings have changed."""
        try:
            while True:
                self._roster.changed.clear()
                mended, self._roster.mended = self._roster.mended, set()
                await self._stop_changed()
                # Only now: what was under way may have found a target gone under the old settings.
                await self._gone.forget(mended)
                for name, (config, notifier) in self._roster.working.items():
                    if name not in self._running:
                        work = self._deliver(config, notifier)
                        self._running[name] = notifier, asyncio.create_task(work, name=f"deliver-{name}")
                await self._changed_or_broken()
        finally:
            await end_all([task for _, task in self._running.values()], patience=_STOP_SECONDS)
            self._running.clear()

    async def _changed_or_broken(self) -> None:
        """Return when something else is configured; a deliverer that broke ends the service, which is started again."""
        changed = asyncio.create_task(self._roster.changed.wait(), name="roster-changed")
        try:
            tasks = [task for _, task in self._running.values()]
            done, _ = await asyncio.wait([changed, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            changed.cancel()

    async def _stop_changed(self) -> None:
        changed = [
            name
            for name, (notifier, _) in self._running.items()
            if self._roster.notifier(name) is not notifier
        ]
        await end_all([self._running.pop(name)[1] for name in changed], patience=_STOP_SECONDS)

    async def _deliver(self, config: ServiceNotifier, notifier: Notifier) -> None:
        concurrency = config.options.concurrency

        async def on_gone(target: str, reason: str) -> None:
            await self._gone.add(config, target, reason, at=self._clock())

        deliverer = Deliverer(
            config.name,
            notifier,
            self._ledger,
            secrets=self._secrets,
            clock=self._clock,
            announce=self._announce,
            concurrency=concurrency,
            gone=await self._gone.of(config),
            on_gone=on_gone,
            pictures=self._pictures,
            is_current=lambda: self._roster.notifier(config.name) is notifier,
        )
        await deliver(self._bus, config.name, deliverer, concurrency, self._lease, self._bury)
