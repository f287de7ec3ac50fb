"""The follower: follows up on what was told, in each notifier's own way (an edit, a reply, a new message).

Every method works inside the transaction of the scene that it is given.
"""

from collections.abc import Mapping, Sequence

from tocsin_events.identity import derived_id
from tocsin_notifiers import told, ways
from tocsin_notifiers.alert import Alert, AlertState
from tocsin_notifiers.configuration import ServiceNotifier
from tocsin_notifiers.default_message import Pages
from tocsin_notifiers.delivery import delivery_id
from tocsin_notifiers.digest import Standing, make_ends, make_present, name_of, open_list
from tocsin_notifiers.markdown import literal
from tocsin_notifiers.message import FollowUp, Message
from tocsin_notifiers.notification import AlertRef, Notification, Status
from tocsin_notifiers.pipeline import Hold, Reason, Way, turn_of_end, wait_for_turn
from tocsin_notifiers.plain_text import plain_text
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.scene import Scene
from tocsin_notifiers.scribe import Scribe
from tocsin_notifiers.told import First


class Follower:
    """Tells those who were told that an alert fires what became of it."""

    def __init__(self, roster: Roster, scribe: Scribe, pages: Pages) -> None:
        self._roster = roster
        self._scribe = scribe
        self._pages = pages

    async def follow(self, alert: Alert, status: Status, scene: Scene, *, note: str = "") -> None:
        """Tell everyone who was told that an alert fires that it is acknowledged or over, each in their own way.

        Where alerts are grouped, their ends wait for the group's turn.
        """
        cause = alert.acknowledged_by if not alert.is_over else ""
        for config, firsts, before in await self._told_before(alert, scene):
            id_ = derived_id("follow", alert.id, config.name, status, cause)
            is_end = status is Status.RESOLVED
            group, hold = await self._turn(alert, config, scene) if is_end else ("", None)
            way = _following(config, before, alert, status, scene, id_=id_, note=note, group=group)
            if config.options.resolve == "none" and is_end:
                await scene.draft.settle(
                    scene.connection, way, scene.now,
                    state=ways.STOPPED, stage="resolve", reason=str(Reason.RESOLVE_NONE), announced=False,
                )  # fmt: skip
            elif hold is not None:
                await scene.draft.settle(
                    scene.connection, way, scene.now,
                    state=ways.HELD, stage="group", due=hold.until, reason=str(hold.reason), detail=hold.detail,
                )  # fmt: skip
                scene.next_turn(group, hold.until)
            else:
                await self._tell_again([way], {alert.id: firsts}, scene)
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
                await self._tell_again([way], {alert.id: firsts}, scene)
        await scene.flush()

    async def tell_ends(self, bundle: Sequence[Way], scene: Scene) -> None:
        """Write the deliveries that tell together of the alerts of a group that are over, and note it on their ways."""
        await scene.flush()
        name, ended = bundle[0].notifier.name, [one.alert.id for one in _notifications(bundle) if one.alert]
        found = await told.firsts_of(scene.connection, ended)
        await self._tell_again(bundle, {id_: firsts.get(name, {}) for id_, firsts in found.items()}, scene)

    async def _tell_again(
        self, bundle: Sequence[Way], firsts: Mapping[str, Mapping[str, First]], scene: Scene
    ) -> None:
        """Write the deliveries by which ways (of one notifier) follow up together on the ``firsts`` of their alerts.

        Each target hears of the alerts that it was told of: in one message, or by an edit of each message that told it.
        """
        how = self._roster.follow_up_of(bundle[0].notifier)
        parts: dict[tuple[str, str], list[tuple[Way, First]]] = {}
        for way in bundle:
            alert = way.notification.alert
            for target, first in firsts.get(alert.id if alert else "", {}).items():
                # What is not known to have arrived is followed up alone: should it fail, only its own end is needless.
                alone = how == "edit" or not first.arrived
                parts.setdefault((target, first.id if alone else ""), []).append((way, first))
        group = bundle[0].group
        left = await told.open_in(scene.connection, group) if group else ()
        heads: dict[str, str] = {}
        for (target, _), pairs in parts.items():
            said = [way for way, _ in pairs]
            first = max((one for _, one in pairs), key=lambda one: one.created)
            message = await self._following_message(said, target, how, first, left, scene)
            if how == "edit":
                await told.drop_edits_of(scene.connection, first, message.id, scene.now)
            self._scribe.write(said, [(message, first.id)], scene)
            for way in said:
                heads.setdefault(way.id, said[0].id)
        for way in bundle:
            await self._scribe.settle([way], scene, told_by=heads.get(way.id, way.id))

    async def _turn(self, alert: Alert, config: ServiceNotifier, scene: Scene) -> tuple[str, Hold | None]:
        """Return the group in which a notifier was told of an alert, and how long the alert's end waits there.

        It waits also where the turn is now: what ends together is told together.
        """
        wanted = config.options.group
        group = await told.group_of(scene.connection, alert.id, config.name) if wanted is not None else ""
        if wanted is None or not group:
            return "", None
        return group, wait_for_turn(turn_of_end(wanted, await scene.times_of(group), scene.now))

    async def _told_before(
        self, alert: Alert, scene: Scene
    ) -> list[tuple[ServiceNotifier, Mapping[str, First], Notification]]:
        """Return who was told that an alert fires: the notifier, the first message to each target, and its last news."""
        scene.alerts[alert.id] = alert
        await scene.flush()
        services = self._roster.setup.services
        found = []
        for name, firsts in (await told.firsts_of(scene.connection, [alert.id])).get(alert.id, {}).items():
            config = services.get(name)
            before = await told.last_notification_of(scene.connection, alert.id, name)
            if config is not None and before is not None:
                found.append((config, firsts, before))
        return found

    async def _following_message(
        self,
        said: Sequence[Way],
        target: str,
        how: FollowUp,
        first: First,
        left: Sequence[Standing],
        scene: Scene,
    ) -> Message:
        """Return the message by which ways follow up together on a first message, with what is ``left`` open in their group."""
        id_, pages = delivery_id(said[0].id, target), self._pages
        members = await told.members_of(scene.connection, first.way) if how == "edit" else ()
        if len(members) > 1:
            thread, note = await told.thread_of(scene.connection, first), "\n\n".join(_remarks(said))
            return make_present(
                members, id=id_, target=target, pages=pages, at=scene.now, thread=thread, note=note
            )
        if len(said) > 1:
            thread = await told.thread_of(scene.connection, first)
            ended = _notifications(said)
            return make_ends(ended, left, id=id_, target=target, pages=pages, follow_up=how, thread=thread)
        message = self._scribe.message(said, target, how, scene.now)
        if how == "edit":
            return message
        return message.model_copy(update={"body": message.body + open_list(left, pages)})


def _following(
    config: ServiceNotifier,
    before: Notification,
    alert: Alert,
    status: Status,
    scene: Scene,
    *,
    id_: str,
    note: str,
    group: str = "",
) -> Way:
    """Return the way of a new word about an alert to a notifier that was told of it."""
    firing = before.firing
    if alert.state is AlertState.WITHDRAWN:
        # What is told of an end is made of the alert's last firing, which knows nothing of it.
        firing = {**firing, "alert": {**(firing.get("alert") or {}), "state": str(alert.state)}}
    notification = before.model_copy(
        update={
            "id": id_,
            "notifier": config.name,
            "status": status,
            "created": scene.now,
            "body": None,
            "reason": note,
            "firing": firing,
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
        group=group,
        path=(config.name,),
        follows=True,
    )
    scene.draft.add_ways([way], scene.now)
    return way


def _notifications(bundle: Sequence[Way]) -> list[Notification]:
    return [way.notification for way in bundle]


def _remarks(bundle: Sequence[Way]) -> list[str]:
    """Return what people said, in Markdown, each with the name of the alert that they said it of."""
    return [
        f"{literal(name_of(one))}: {literal(plain_text(one.reason))}"
        for one in _notifications(bundle)
        if one.reason
    ]
