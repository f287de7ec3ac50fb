"""The teller: writes the deliveries of messages, and follows up on what was told.

Every method works inside the transaction of the scene that it is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tocsin_events.identity import derived_id
from tocsin_notifiers import alerts, ways
from tocsin_notifiers.alert import Alert, AlertState, Escalate
from tocsin_notifiers.configuration import ServiceNotifier
from tocsin_notifiers.delivery import Delivery, delivery_id
from tocsin_notifiers.message import FollowUp, Message
from tocsin_notifiers.notification import AlertRef, Notification, Status
from tocsin_notifiers.pipeline import Reason, Way
from tocsin_notifiers.render import Renderer
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.scene import Scene


class Teller:
    """Makes messages of ways, one for each target of their notifier."""

    def __init__(self, roster: Roster, renderer: Renderer) -> None:
        self._roster = roster
        self._renderer = renderer

    def messages(self, bundle: Sequence[Way], now: int, *, acks: bool = True) -> list[Message]:
        """Return the message that ways (of one notifier) make together, for each of its targets.

        Without ``acks`` there is no link in them that acknowledges.
        """
        config = bundle[0].notifier
        return [
            self._message(bundle, target, "message", now, acks=acks)
            for target in self._roster.targets_of(config)
        ]

    async def tell(self, bundle: Sequence[Way], scene: Scene) -> None:
        """Write the deliveries of the message that ways make together, and note it on them."""
        fresh = [replace(way, notification=scene.with_count(way.notification)) for way in bundle]
        made = self.messages(fresh, scene.now)
        self._write(bundle, [(message, None) for message in made], scene)
        await self._settle(bundle, scene)
        for way in bundle:
            self._arm_reminder(way, scene)
            if way.level and way.notification.alert:
                change = Escalate(way.id, scene.now, way.level, way.notifier.name)
                await alerts.change(scene.connection, way.notification.alert.id, change)

    async def follow(self, alert: Alert, status: Status, scene: Scene, *, note: str = "") -> None:
        """Tell everyone who was told that an alert fires that it is acknowledged or over, each in their own way."""
        cause = alert.acknowledged_by if not alert.is_over else ""
        for config, firsts, before in await self._told_before(alert, scene):
            id_ = derived_id("follow", alert.id, config.name, status, cause)
            way = _following(config, before, alert, status, scene, id_=id_, note=note)
            if config.options.resolve == "none" and status is Status.RESOLVED:
                await scene.draft.settle(
                    scene.connection, way, scene.now,
                    state=ways.STOPPED, stage="resolve", reason=str(Reason.RESOLVE_NONE), announced=False,
                )  # fmt: skip
            else:
                await self._tell_again(way, firsts, scene)
        await scene.flush()

    async def remark(self, alert: Alert, said: str, scene: Scene, *, cause: str) -> None:
        """Add a line to what everyone was told, where a notifier can: by an edit, or below the first message."""
        if alert.is_over:
            return
        acknowledged = alert.state is AlertState.ACKNOWLEDGED
        status = Status.ACKNOWLEDGED if acknowledged else Status.FIRING
        note = f"Acknowledged by {alert.acknowledged_by}. {said}" if acknowledged else said
        for config, firsts, before in await self._told_before(alert, scene):
            id_ = derived_id("remark", alert.id, config.name, cause)
            attached = self._roster.follow_up_of(config) != "message"
            if attached and not await ways.known(scene.connection, [id_]):
                way = _following(config, before, alert, status, scene, id_=id_, note=note)
                await self._tell_again(way, firsts, scene)
        await scene.flush()

    async def _tell_again(self, way: Way, firsts: Mapping[str, str], scene: Scene) -> None:
        """Write the deliveries that follow up on the first ones, given by target."""
        how = self._roster.follow_up_of(way.notifier)
        made = [
            (self._message([way], target, how, scene.now, acks=True), first)
            for target, first in firsts.items()
        ]
        self._write([way], made, scene)
        await self._settle([way], scene)

    async def _told_before(
        self, alert: Alert, scene: Scene
    ) -> list[tuple[ServiceNotifier, Mapping[str, str], Notification]]:
        """Return who was told that an alert fires: the notifier, its first delivery by target, and its last news."""
        scene.alerts[alert.id] = alert
        await scene.flush()
        services = self._roster.setup.services
        found = []
        for name, firsts in (await ways.tellers_of(scene.connection, alert.id)).items():
            config = services.get(name)
            before = await ways.last_notification_of(scene.connection, alert.id, name)
            if config is not None and before is not None:
                found.append((config, firsts, before))
        return found

    def _message(self, bundle: Sequence[Way], target: str, how: FollowUp, now: int, *, acks: bool) -> Message:
        head = bundle[0]
        return self._renderer.message(
            bundle,
            id=delivery_id(head.id, target),
            target=target,
            follow_up=how,
            now=now,
            ack_link=acks and self._roster.has_ack_link(head.notifier),
        )

    def _write(self, bundle: Sequence[Way], made: Sequence[tuple[Message, str | None]], scene: Scene) -> None:
        head = bundle[0]
        alert = head.notification.alert.id if head.notification.alert and len(bundle) == 1 else None
        deliveries = [
            Delivery(
                id=message.id,
                way=head.id,
                notification=head.notification.id,
                alert=alert,
                notifier=head.notifier.name,
                target=message.target,
                kind=head.notifier.kind,
                message=message,
                created=scene.now,
                expires=scene.now + head.notifier.options.max_age,
                after=first,
            )
            for message, first in made
        ]
        scene.draft.deliveries += deliveries
        scene.made += deliveries

    async def _settle(self, bundle: Sequence[Way], scene: Scene) -> None:
        for way in bundle:
            await scene.draft.settle(
                scene.connection,
                way,
                scene.now,
                state=ways.PASSED,
                stage="",
                told_by=bundle[0].id,
                reason=_said(way),
                announced=True,
            )

    def _arm_reminder(self, way: Way, scene: Scene) -> None:
        remind = way.notifier.options.remind
        alert = scene.seen_alert_of(way.notification)
        if not remind or alert is None or alert.is_over or not way.is_news or way.level:
            return
        next_round = way.round + 1
        reminder = replace(
            way,
            id=ways.way_id(way.notification.id, way.notifier.name, round_=next_round),
            due=scene.now + remind,
            stage="moment",
            round=next_round,
            muted=False,
            created=scene.now,
        )
        scene.draft.add_ways([reminder], scene.now)


def _following(
    config: ServiceNotifier,
    before: Notification,
    alert: Alert,
    status: Status,
    scene: Scene,
    *,
    id_: str,
    note: str,
) -> Way:
    """Return the way of a new word about an alert to a notifier that was told of it."""
    notification = before.model_copy(
        update={
            "id": id_,
            "notifier": config.name,
            "status": status,
            "created": scene.now,
            "body": None,
            "reason": note,
            "alert": AlertRef(id=alert.id, opened=alert.opened, count=alert.count),
        }
    )
    scene.draft.add_notification(notification)
    way = Way(
        id=ways.way_id(notification.id, config.name),
        notification=notification,
        notifier=config,
        created=scene.now,
        due=scene.now,
        path=(config.name,),
    )
    scene.draft.add_ways([way], scene.now)
    return way


def _said(way: Way) -> str:
    if way.level:
        return "escalated"
    if way.round:
        return "reminder"
    return "unmuted" if way.muted else ""
