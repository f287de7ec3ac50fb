"""The room's service: takes notifications, keeps alerts, delivers."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_events.bus import Bus, BusUnavailable, Work, event_subject
from tocsin_events.ending import run_together
from tocsin_events.identity import derived_id
from tocsin_notifiers import silences, ways
from tocsin_notifiers.alert import Acknowledge, Alert, Change, End, Entry
from tocsin_notifiers.alerts import Alerts
from tocsin_notifiers.announcer import Announcer
from tocsin_notifiers.carriers import Carriers
from tocsin_notifiers.default_message import Pages
from tocsin_notifiers.delivery import LEASE, Delivery
from tocsin_notifiers.gone import GoneTargets
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.inbox_store import InboxStore
from tocsin_notifiers.ledger import Ledger
from tocsin_notifiers.message import Message
from tocsin_notifiers.notification import Notification, Status
from tocsin_notifiers.notifier import Notifier, Outside, load_kinds, wants_picture
from tocsin_notifiers.office import FIRED, RESOLVED, NotFound, Office
from tocsin_notifiers.pictures import NoHistory, Pictures
from tocsin_notifiers.pipeline import Way
from tocsin_notifiers.preview import HasPreview, Previewed
from tocsin_notifiers.render import Renderer
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.secret import Secrets
from tocsin_notifiers.setup import Setup
from tocsin_notifiers.silence import Silence
from tocsin_notifiers.sweeper import Sweeper

__all__ = ["AlertStory", "NotFound", "Notifications", "now"]

_log = logging.getLogger(__name__)

_TICK: Final = 0.5


def now() -> int:
    """Return the time in microseconds since the epoch."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class AlertStory:
    """All there is to know of an alert: its history, who was or wasn't told and why, and each delivery."""

    alert: Alert
    history: tuple[Entry, ...]
    ways: tuple[Mapping[str, Any], ...]
    deliveries: tuple[Delivery, ...]
    firing: Mapping[str, Any] = field(default_factory=dict)


class Notifications:
    """Takes notifications and sees them delivered.

    ``secrets`` reveals named secrets, ``http`` reaches them (its owner closes it), ``pages`` knows the product's own, ``pictures``
    draws the last runs, ``write`` is the console. ``lease`` (microseconds, longer than an attempt) is how long a dead process keeps its deliveries. `configure` says who can be told, `run` does the work until it is cancelled.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        bus: Bus,
        *,
        secrets: Secrets,
        http: HttpClient,
        pages: Pages | None = None,
        pictures: Pictures | None = None,
        kinds: Mapping[str, Any] | None = None,
        clock: Callable[[], int] = now,
        write: Callable[[str], None] = print,
        lease: int = LEASE,
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._clock = clock
        self.inbox = InboxStore(engine)
        self.alerts = Alerts(engine)
        self.silences = silences.Silences(engine)
        self.deliveries = Ledger(engine, clock, lease=lease)
        self._pictures = pictures or Pictures(NoHistory())
        outside = Outside(http, secrets, http.guard, clock, write, self.inbox)
        self._roster = Roster(load_kinds() if kinds is None else kinds, outside)
        self._office = Office(engine, self._roster, Renderer(pages or Pages()), clock)
        self._announcer = Announcer(engine, bus, self.deliveries, clock)
        self._sweeper = Sweeper(self._roster, self.deliveries, self._announcer, clock)
        self._gone = GoneTargets(engine, secrets)
        self._carriers = Carriers(
            self._roster,
            bus,
            self.deliveries,
            self._gone,
            secrets=secrets,
            clock=clock,
            announce=self._announcer.delivered,
            bury=self._announcer.bury,
            lease=lease,
            pictures=self._pictures,
        )

    # -- what is configured ----------------------------------------------------------------------------------------

    @property
    def setup(self) -> Setup:
        """What is configured now."""
        return self._roster.setup

    @property
    def broken(self) -> Mapping[str, str]:
        """The notifiers that can't work, and why: a secret is missing, or a setting is unusable."""
        return self._roster.broken

    async def gone(self) -> Mapping[str, Mapping[str, str]]:
        """Return which targets are gone and not asked any more, by notifier and target, and what to do."""
        return await self._gone.among(self.setup.services.values())

    def notifier(self, name: str) -> Notifier | None:
        """Return a notifier that can work, by its name."""
        return self._roster.notifier(name)

    def configure(self, setup: Setup) -> None:
        """Replace what is configured; notifiers whose settings are the same go on as they are."""
        self._roster.configure(setup)

    # -- taking notifications --------------------------------------------------------------------------------------

    async def submit(self, notification: Notification) -> None:
        """Take a notification: when this returns, it is kept and on its way. Doing so again changes nothing.

        Raises:
            BusUnavailable: it is kept, but nothing can be sent now; the sweep does so when the bus is back.

        """
        orders = await self._office.take(notification)
        if orders is None:
            made = await self.deliveries.of_notification(notification.id)
            orders = [(one.id, one.notifier, one.target) for one in made if not one.is_finished]
        if orders:
            await self._announcer.order(orders)
        if notification.alert is not None or not orders:
            await self._announcer.catch_up()

    async def preview(self, notification: Notification) -> tuple[Previewed, ...]:
        """Return the messages that a notification would become, as if nothing held it back; sends nothing."""
        return tuple(
            [await self._previewed(way, message) for way, message in self._office.preview(notification)]
        )

    async def keep_firing(self, type_: str, firing: dict[str, Any]) -> None:
        """Take the payload of an ``automation.fired`` or ``automation.resolved`` event."""
        await self._office.keep_firing(type_, firing)

    # -- what people do --------------------------------------------------------------------------------------------

    async def acknowledge(self, alert: str, *, by: str, cause: str | None = None) -> Alert:
        """Acknowledge an alert: reminders and escalation stop, and everyone who was told hears who did it.

        Raises:
            NotFound: there is no such alert.
            Refused: it is over.

        """
        at = self._clock()
        what = Acknowledge(cause or derived_id("acknowledge", alert, by, at), at, by)
        return await self._change(alert, what, Status.ACKNOWLEDGED, f"Acknowledged by {by}.")

    async def resolve(self, alert: str, *, by: str, reason: str = "", cause: str | None = None) -> Alert:
        """End an alert by hand; everyone who was told hears of it.

        Raises:
            NotFound: there is no such alert.
            Refused: it is over already.

        """
        at = self._clock()
        what = End(cause or derived_id("resolve", alert, by, at), at, reason or f"resolved by {by}", by=by)
        note = f"Resolved by {by}. {reason}".rstrip()
        return await self._change(alert, what, Status.RESOLVED, note)

    async def remark(self, alert: str, said: str, *, cause: str) -> None:
        """Add a line to what everyone was told of an alert, where it can be added: by an edit or below the message.

        The same ``cause`` adds one.

        Raises:
            NotFound: there is no such alert.

        """
        await self._office.remark(alert, said, cause=cause)
        with contextlib.suppress(BusUnavailable):
            await self._order_alert(alert)

    async def story(self, alert: str) -> AlertStory:
        """Return all there is to know of an alert.

        Raises:
            NotFound: there is no such alert.

        """
        kept = await self.alerts.get(alert)
        if kept is None:
            raise NotFound(f"there is no alert {alert!r}")
        async with self._engine.connect() as connection:
            found = await ways.ways_of(connection, alert=alert)
        history, told = await self.alerts.history(alert), await self.deliveries.of_alert(alert)
        return AlertStory(kept.alert, tuple(history), tuple(found), tuple(told), kept.firing)

    async def silence(
        self,
        matcher: str,
        *,
        ends: int,
        author: str,
        comment: str = "",
        starts: int | None = None,
        everything: bool = False,
    ) -> Silence:
        """Make a silence for what the CEL expression ``matcher`` is true of.

        Raises:
            ExpressionSyntaxError: the matcher is no expression.
            TooWide: it would match everything, and ``everything`` is not set.
            EmptySilence: it ends before it can begin.

        """
        made = await self._office.silence(
            matcher, ends=ends, author=author, comment=comment, starts=starts, everything=everything
        )
        await self._announcer.catch_up()
        return made

    async def silence_alert(self, alert: str, *, ends: int, author: str, cause: str) -> Silence:
        """Silence what an alert is about: its automation and key, now and whenever it comes again.

        The same ``cause`` makes one silence.

        Raises:
            NotFound: there is no such alert.

        """
        made = await self._office.silence_alert(alert, ends=ends, author=author, cause=cause)
        await self._announcer.catch_up()
        return made

    async def delete_silence(self, id_: str) -> None:
        """End a silence before its time.

        Raises:
            NotFound: there is none of that id in force or to come.

        """
        await self._office.delete_silence(id_)
        await self._announcer.catch_up()

    # -- the work --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep alerts, move what is held, and deliver, until cancelled."""
        await run_together(self._keep_alerts(), self._tick(), self._sweeper.run(), self._carriers.run())

    async def _keep_alerts(self) -> None:
        await self._bus.consume(
            "EVENTS",
            "alert-keeper",
            [event_subject(FIRED), event_subject(RESOLVED)],
            self._on_firing,
            concurrency=64,
            max_deliver=None,
            first="all",
        )

    async def _on_firing(self, work: Work) -> None:
        try:
            firing = msgspec.json.decode(work.body)["data"]["payload"]
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
            _log.warning("message %d of EVENTS is no firing", work.sequence)
            return
        if not isinstance(firing, dict) or not firing.get("alert"):
            return
        await self.keep_firing(work.subject.removeprefix("tocsin.events."), firing)
        if work.subject.endswith(RESOLVED):
            await self._order_alert(str(firing["alert"].get("id")))
        await self._announcer.catch_up()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            try:
                await self.move_due()
            except (SQLAlchemyError, BusUnavailable, OSError) as problem:
                _log.warning("held notifications could not be moved: %s", problem)

    async def move_due(self) -> None:
        """Move every held notification whose time has come."""
        at = self._clock()
        due = await self.next_due()
        if due is None or due > at:
            return
        if await self._office.move_due(at):
            await self._announcer.order(await self.deliveries.created_since(at))
            await self._announcer.catch_up()

    async def next_due(self) -> int | None:
        """Return when the next held notification may go on, in microseconds; None where nothing is held."""
        return await self._office.next_due()

    async def sweep(self, *, older_than: int | None = None) -> int:
        """Look now for what is unfinished though its turn came so long ago (microseconds); return how many there were."""
        return await (
            self._sweeper.sweep() if older_than is None else self._sweeper.sweep(older_than=older_than)
        )

    async def _change(self, alert: str, what: Change, status: Status, note: str) -> Alert:
        after = await self._office.change(alert, what, status, note)
        with contextlib.suppress(BusUnavailable):
            await self._order_alert(alert)
            await self._announcer.catch_up()
        return after

    async def _order_alert(self, alert: str) -> None:
        unfinished = [one for one in await self.deliveries.of_alert(alert) if not one.is_finished]
        await self._announcer.order([(one.id, one.notifier, one.target) for one in unfinished])

    async def _previewed(self, way: Way, message: Message) -> Previewed:
        notifier = self.notifier(way.notifier.name)
        if notifier is not None and wants_picture(notifier):
            message = await self._pictures.illustrated(message, self._clock())
        payload = notifier.preview(message) if isinstance(notifier, HasPreview) else None
        return Previewed(way.notifier.name, way.notifier.kind, way.path, message, payload)
