"""The scribe: makes the messages of ways and writes their deliveries, within the transaction of a scene."""

from collections.abc import Sequence

from tocsin_notifiers import ways
from tocsin_notifiers.delivery import Delivery, delivery_id
from tocsin_notifiers.message import FollowUp, Message
from tocsin_notifiers.pipeline import Way
from tocsin_notifiers.render import Renderer
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.scene import Scene


class Scribe:
    """Writes for the teller and the follower."""

    def __init__(self, roster: Roster, renderer: Renderer) -> None:
        self._roster = roster
        self._renderer = renderer

    def message(
        self, bundle: Sequence[Way], target: str, how: FollowUp, now: int, *, acks: bool = True
    ) -> Message:
        """Return the message that ways (of one notifier) make together for a target.

        Without ``acks`` there is no link in it that acknowledges.
        """
        head = bundle[0]
        message = self._renderer.message(
            bundle,
            id=delivery_id(head.id, target),
            target=target,
            follow_up=how,
            now=now,
            ack_link=acks and self._roster.has_ack_link(head.notifier),
        )
        # What a notification says later is said then: with the instant of the first message a mailbox, which knows
        # mails by an id that is made of it, would take the reminder for the mail that it has already.
        later = any(way.round or way.level for way in bundle)
        return message.model_copy(update={"at": now}) if later else message

    def write(self, bundle: Sequence[Way], made: Sequence[tuple[Message, str | None]], scene: Scene) -> None:
        """Write the deliveries of messages that ways make together, each with the delivery that it follows up on."""
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

    async def settle(self, bundle: Sequence[Way], scene: Scene, *, told_by: str) -> None:
        """Note on ways that they passed, and which way's deliveries tell of them."""
        for way in bundle:
            scene.groups.pop(way.group, None)
            await scene.draft.settle(
                scene.connection,
                way,
                scene.now,
                state=ways.PASSED,
                stage="",
                told_by=told_by,
                reason=_said(way),
                announced=True,
                **({"detail": ""} if way.stage == "group" else {}),
            )


def _said(way: Way) -> str:
    if way.level:
        return "escalated"
    if way.round:
        return "reminder"
    return "unmuted" if way.muted else ""
