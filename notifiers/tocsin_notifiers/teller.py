"""The teller: tells the news that passed all stages.

Every method works inside the transaction of the scene that it is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tocsin_notifiers import alerts, told, ways
from tocsin_notifiers.alert import Escalate
from tocsin_notifiers.message import Message
from tocsin_notifiers.notifier import follow_ups
from tocsin_notifiers.pipeline import Way
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.scene import Scene
from tocsin_notifiers.scribe import Scribe
from tocsin_notifiers.told import First


class Teller:
    """Makes messages of ways, one for each target of their notifier."""

    def __init__(self, roster: Roster, scribe: Scribe) -> None:
        self._roster = roster
        self._scribe = scribe

    def messages(self, bundle: Sequence[Way], now: int, *, acks: bool = True) -> list[Message]:
        """Return the message that ways (of one notifier) make together, for each of its targets.

        Without ``acks`` there is no link in them that acknowledges.
        """
        config = bundle[0].notifier
        return [
            self._scribe.message(bundle, target, "message", now, acks=acks)
            for target in self._roster.targets_of(config)
        ]

    async def tell(self, bundle: Sequence[Way], scene: Scene) -> None:
        """Write the deliveries of the message that ways make together, and note it on them.

        What tells again of an alert goes below the first message that told of it, where the service can answer.
        """
        fresh = [replace(way, notification=scene.with_count(way.notification)) for way in bundle]
        made = self.messages(fresh, scene.now)
        above = await self._first_of_all(fresh, scene)
        self._scribe.write(bundle, [await _placed(one, above.get(one.target), scene) for one in made], scene)
        await self._scribe.settle(bundle, scene, told_by=bundle[0].id)
        for way in bundle:
            self._arm_reminder(way, scene)
            if way.level and way.notification.alert:
                change = Escalate(way.id, scene.now, way.level, way.notifier.name)
                await alerts.change(scene.connection, way.notification.alert.id, change)

    async def _first_of_all(self, bundle: Sequence[Way], scene: Scene) -> Mapping[str, First]:
        """Return for each target the one message that first told it of the alerts of all ways, where it has arrived."""
        config = bundle[0].notifier
        made = self._roster.notifier(config.name)
        can_answer = made is not None and "thread" in follow_ups(made) and config.options.resolve != "message"
        about = [one.alert.id for one in (way.notification for way in bundle) if one.alert]
        if not can_answer or len(about) < len(bundle) or not all(_may_come_again(way) for way in bundle):
            return {}
        await scene.flush()
        found = await told.firsts_of(scene.connection, about)
        told_here = [found.get(id_, {}).get(config.name, {}) for id_ in about]
        return {
            target: first
            for target, first in told_here[0].items()
            if first.arrived and all(one.get(target) == first for one in told_here)
        }

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


async def _placed(message: Message, first: First | None, scene: Scene) -> tuple[Message, str | None]:
    """Return a message and the delivery below which it goes, if any."""
    if first is None:
        return message, None
    thread = await told.thread_of(scene.connection, first)
    return message.model_copy(update={"follow_up": "thread", "broadcast": True, "thread": thread}), first.id


def _may_come_again(way: Way) -> bool:
    """Tell whether its notifier may have been told of its alert before; most news is the first, and needs no look."""
    alert = way.notification.alert
    return way.round > 0 or way.level > 0 or (alert is not None and alert.count > 1)
