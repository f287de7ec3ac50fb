"""The scene: what all ways of one transaction look at, read once, and what comes of it."""

from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_notifiers import alerts, silences, told, ways
from tocsin_notifiers.alert import Alert
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.delivery import Delivery
from tocsin_notifiers.names import Names, names_of_alert
from tocsin_notifiers.notification import AlertRef, Notification
from tocsin_notifiers.pipeline import GroupTimes, Situation, Way
from tocsin_notifiers.setup import Setup
from tocsin_notifiers.silence import Silence
from tocsin_notifiers.ways import Draft


@dataclass(slots=True)
class Scene:
    """One transaction's view of the world at ``now`` (microseconds)."""

    connection: AsyncConnection
    now: int
    alerts: dict[str, Alert | None] = field(default_factory=dict)
    groups: dict[str, GroupTimes] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    """Ids of notifications that have been taken."""
    draft: Draft = field(default_factory=Draft)
    made: list[Delivery] = field(default_factory=list)
    """The deliveries that came of it."""
    _silences: tuple[Silence, ...] | None = None
    _open_alerts: tuple[tuple[Alert, Names], ...] | None = None

    async def flush(self) -> None:
        """Write what is drafted, before something reads what may be in it."""
        await self.draft.flush(self.connection)

    async def alert_of(self, notification: Notification) -> Alert | None:
        """Return the alert that a notification is about, as it is now."""
        if notification.alert is None:
            return None
        id_ = notification.alert.id
        if id_ not in self.alerts:
            kept = await alerts.find(self.connection, id_)
            self.alerts[id_] = None if kept is None else kept.alert
        return self.alerts[id_]

    def seen_alert_of(self, notification: Notification) -> Alert | None:
        """Return the alert that a notification is about, where this transaction has read it."""
        return self.alerts.get(notification.alert.id) if notification.alert else None

    def with_count(self, notification: Notification) -> Notification:
        """Return a notification that tells of its alert as it is now."""
        alert = self.seen_alert_of(notification)
        if alert is None:
            return notification
        ref = AlertRef(id=alert.id, opened=alert.opened, count=alert.count)
        return notification.model_copy(update={"alert": ref})

    async def times_of(self, group: str) -> GroupTimes:
        """Return when a group was last told and when its next turn is."""
        if group not in self.groups:
            await self.flush()
            self.groups[group] = await ways.times_of(self.connection, group)
        return self.groups[group]

    def next_turn(self, group: str, due: int) -> None:
        """Note when a group's next turn is."""
        self.groups[group] = replace(self.groups.get(group, GroupTimes()), next=due)

    async def situation(self, way: Way, setup: Setup, conditions: Conditions) -> Situation:
        """Return what the stages look at for a way."""
        alert = await self.alert_of(way.notification)
        if alert is not None:
            await self.flush()
        if way.group:
            await self.times_of(way.group)
        return Situation(
            conditions=conditions,
            alert=alert,
            open_alerts=await self._open_ones() if setup.inhibitions else (),
            inhibitions=setup.inhibitions,
            silences=await self._active_silences(),
            quiet_hours=setup.quiet_hours,
            groups=self.groups,
            told={} if alert is None else await told.told_of(self.connection, alert.id),
        )

    async def _open_ones(self) -> tuple[tuple[Alert, Names], ...]:
        if self._open_alerts is None:
            found = await alerts.open_ones(self.connection)
            self._open_alerts = tuple((one.alert, names_of_alert(one.alert, one.firing)) for one in found)
        return self._open_alerts

    async def _active_silences(self) -> tuple[Silence, ...]:
        if self._silences is None:
            self._silences = await silences.active(self.connection, self.now)
        return self._silences
