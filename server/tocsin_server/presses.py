"""Does what people ask for by buttons in messages, and tells everyone who got the message who did it."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_events.duration import format_duration
from tocsin_events.identity import derived_id
from tocsin_events.instant import SECOND
from tocsin_notifiers.alert import Refused
from tocsin_notifiers.press import Press, Wish
from tocsin_notifiers.service import NotFound, Notifications
from tocsin_server.access import Audit, Caller
from tocsin_server.deployments import NoSuchDeployment, Origin
from tocsin_server.outgoing import Outgoing
from tocsin_server.parameters import InvalidParameters
from tocsin_server.runs import NoSuchRun, Runs

SILENCE: Final = 3600 * SECOND
"""How long the button silences an alert, in microseconds."""


class Presses:
    """What the buttons do. Each press is done once, however often its service tells of it."""

    def __init__(
        self,
        engine: AsyncEngine,
        notifications: Notifications,
        runs: Runs,
        outgoing: Outgoing,
        audit: Audit,
    ) -> None:
        self._engine = engine
        self._notifications = notifications
        self._runs = runs
        self._outgoing = outgoing
        self._audit = audit
        self._deeds: Mapping[Wish, Callable[[Press], Awaitable[str]]] = {
            "acknowledge": self._acknowledge,
            "silence": self._silence,
            "retry_run": self._retry_run,
        }

    async def act(self, press: Press) -> str:
        """Do what was asked for, and return a line about it for the one who asked."""
        try:
            return await self._deeds[press.wish](press)
        except (NotFound, Refused, NoSuchRun, NoSuchDeployment, InvalidParameters) as problem:
            return f"Nothing was done: {problem}."

    async def _acknowledge(self, press: Press) -> str:
        await self._notifications.acknowledge(press.alert, by=press.by, cause=press.id)
        await self._note(press, "alert.acknowledged", f"alert/{press.alert}")
        return "You have acknowledged the alert."

    async def _silence(self, press: Press) -> str:
        ends = time.time_ns() // 1000 + SILENCE
        made = await self._notifications.silence_alert(
            press.alert, ends=ends, author=press.by, cause=press.id
        )
        await self._note(press, "silence.created", f"silence/{made.id}")
        said = f"Silenced for {format_duration(SILENCE)} by {press.by}."
        await self._notifications.remark(press.alert, said, cause=press.id)
        return f"The alert's automation is silent about this for {format_duration(SILENCE)}."

    async def _retry_run(self, press: Press) -> str:
        if not press.run:
            return "Nothing was done: the alert is not about a run."
        before = await self._runs.get(press.run)
        if not before.has_ended:
            return f"Nothing was done: the run {before.name} has not ended yet."
        # Whoever presses, and however often: a run is retried once by its alert's button.
        key = derived_id("retry", press.alert, press.run)
        async with self._engine.begin() as connection:
            run = await self._runs.retry(press.run, key, Origin(reason=f"by {press.by}"), connection)
        self._outgoing.wake()
        await self._note(press, "run.created", f"run/{run.id}")
        said = f"Run {before.name} retried as {run.name} by {press.by}."
        await self._notifications.remark(press.alert, said, cause=key)
        return f"The run {run.name} has been started."

    async def _note(self, press: Press, what: str, about: str) -> None:
        await self._audit.record(Caller(id=f"button:{press.by}", name=press.by), what, about)
