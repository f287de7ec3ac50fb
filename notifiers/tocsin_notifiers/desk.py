"""The desk: takes notifications and moves each along its ways; those that pass go to the teller.

Every method works inside the transaction of the scene that it is given: what it decides and what it writes is one step.
What is to go over the bus afterwards follows from the rows, so a crash after the commit loses nothing.
"""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Final

from tocsin_events.instant import SECOND, to_rfc3339
from tocsin_notifiers import ways
from tocsin_notifiers.alert import Alert
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.default_message import default_body
from tocsin_notifiers.follower import Follower
from tocsin_notifiers.markdown import literal
from tocsin_notifiers.message import Message
from tocsin_notifiers.names import names_of
from tocsin_notifiers.notification import Notification, Severity, Status
from tocsin_notifiers.pipeline import (
    MUTING,
    Hold,
    Pass,
    Reason,
    Result,
    Stop,
    Way,
    once_each,
    run,
)
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.route import group_key, route
from tocsin_notifiers.scene import Scene
from tocsin_notifiers.setup import INBOX
from tocsin_notifiers.teller import Teller

_DUE_AT_ONCE: Final = 500
_LOOK_AGAIN: Final = 10 * SECOND
_LONGEST_BODY: Final = 400_000
"""As a notification's model has it."""

Orders = list[tuple[str, str, str]]
"""Deliveries to be put on the bus: id, notifier and target of each."""


class Desk:
    """Where notifications come in."""

    def __init__(self, roster: Roster, conditions: Conditions, teller: Teller, follower: Follower) -> None:
        self._roster = roster
        self._conditions = conditions
        self._teller = teller
        self._follower = follower

    async def take(self, notification: Notification, scene: Scene) -> Orders | None:
        """Take a notification once: route it and move it as far as it gets now.

        Return its deliveries, or None where it was taken before (``scene.known``).
        """
        if notification.id in scene.known:
            return None
        scene.known.add(notification.id)
        before = len(scene.made)
        alert = await scene.alert_of(notification)
        made = self._routed(notification, alert, scene.now)
        scene.draft.add_notification(made[0].notification)
        scene.draft.add_ways(made, scene.now)
        await self.move(made, scene)
        if alert is not None and alert.is_over and notification.status is Status.FIRING:
            # The alert ended before its notification came by: those who are told now are told the end, too.
            await self._follower.follow(alert, Status.RESOLVED, scene)
        return [(one.id, one.notifier, one.target) for one in scene.made[before:]]

    def preview(self, notification: Notification, now: int) -> tuple[tuple[Way, Message], ...]:
        """Return the messages that a notification would become at once, one for each target; nothing holds it back."""
        return tuple(
            (way, message)
            for way in self._routed(notification, None, now)
            if way.due <= now
            for message in self._teller.messages([way], now, acks=False)
        )

    async def take_due(self, scene: Scene) -> int:
        """Move the ways whose time has come; return how many there were."""
        setup = self._roster.setup
        due, orphans = await ways.due_ways(scene.connection, setup, scene.now, limit=_DUE_AT_ONCE)
        for orphan in orphans:
            await ways.settle_orphan(scene.connection, orphan, scene.now)
        await self.move(due, scene)
        await scene.flush()
        return len(due) + len(orphans)

    async def move(self, moving: Sequence[Way], scene: Scene) -> None:
        """Run ways through the stages; those of one group that pass together make one message."""
        bundles: dict[tuple[str, str, str, bool], list[Way]] = {}
        for way in moving:
            situation = await scene.situation(way, self._roster.setup, self._conditions)
            result = run(way, situation, scene.now)
            if (
                isinstance(result.verdict, Pass)
                and not way.follows
                and not self._roster.targets_of(way.notifier)
            ):
                result = Result("deliver", _not_ready(way, scene.now))
            if isinstance(result.verdict, Pass):
                # Without a group, only what quiet hours or a silence held comes together: as one digest.
                together = way.group or ("muted" if way.muted else way.id)
                key = (way.notifier.name, together, way.notification.status, way.follows)
                bundles.setdefault(key, []).append(way)
            else:
                await self._note(way, result, scene)
        # What follows up comes last: it says what is still open, too.
        for bundle in sorted(bundles.values(), key=lambda ways: ways[0].follows):
            if bundle[0].follows:
                await self._follower.tell_ends(bundle, scene)
                continue
            said, repeated = once_each(bundle)
            await self._teller.tell(said, scene)
            for way in repeated:
                stop = Stop(
                    Reason.TOLD, f"told at {to_rfc3339(scene.now)} together with another firing of its alert"
                )
                await self._note(way, Result("dedup", stop), scene)

    def _routed(self, notification: Notification, alert: Alert | None, now: int) -> list[Way]:
        """Return the ways that a notification takes (at least one); to the inbox where nobody would get it."""
        names = names_of(notification, alert)
        legs = route(
            notification.notifier,
            names,
            self._roster.setup.all,
            self._conditions,
            has_alert=notification.alert is not None,
        )
        return [
            Way(
                id=ways.way_id(notification.id, leg.notifier.name, level=leg.level),
                notification=notification,
                notifier=leg.notifier,
                created=now,
                due=now + leg.delay,
                level=leg.level,
                group=group_key(leg.notifier, names, self._conditions),
                path=leg.path,
            )
            for leg in legs
        ] or [self._unrouted(notification, now)]

    async def _note(self, way: Way, result: Result, scene: Scene) -> None:
        verdict = result.verdict
        assert not isinstance(verdict, Pass)
        muting = result.stage in MUTING
        # A way that looks again and finds the same silence has nothing new to say.
        news = isinstance(verdict, Stop) or (muting and not (way.muted and way.stage == result.stage))
        values: dict[str, object] = {
            "state": ways.STOPPED if isinstance(verdict, Stop) else ways.HELD,
            "stage": result.stage,
            "reason": str(verdict.reason),
            "detail": verdict.detail,
            "by": verdict.by,
            "muted": way.muted or muting,
        }
        if isinstance(verdict, Hold):
            values["due"] = verdict.until
        if news:
            values["announced"] = False
        await scene.draft.settle(scene.connection, way, scene.now, **values)
        if isinstance(verdict, Hold) and result.stage == "group":
            scene.next_turn(way.group, verdict.until)

    def _unrouted(self, notification: Notification, now: int) -> Way:
        return Way(
            id=ways.way_id(notification.id, INBOX),
            notification=_told_by_nobody(notification, self._roster.setup.all),
            notifier=self._roster.setup.services[INBOX],
            created=now,
            due=now,
            path=(notification.notifier, INBOX),
        )


def _told_by_nobody(notification: Notification, configured: Collection[str]) -> Notification:
    """Return a notification that says beside its own text that it reached nobody, why, and what to do."""
    asked = notification.notifier
    if asked in configured:
        said = "none of its branches fits. Add a branch without `where` that takes the rest"
    else:
        near = get_close_matches(asked, configured, n=1)
        meant = f" (did you mean {literal(repr(near[0]))}?)" if near else ""
        said = f"there is no notifier of that name{meant}. Add it under `notifiers:`, or mend the name in the automation"
    line = f"\n\n**Nobody is notified by {literal(repr(asked))}**: {said}, and `tocsin apply` it."
    body = default_body(notification) if notification.body is None else notification.body
    return notification.model_copy(
        update={
            "body": (body[: _LONGEST_BODY - len(line)] + line).lstrip(),
            "severity": max(notification.severity, Severity.WARNING, key=list(Severity).index),
        }
    )


def _not_ready(way: Way, now: int) -> Hold | Stop:
    """Keep a message until its notifier can work, for as long as it is news."""
    detail = "the notifier can't work (see `tocsin notifiers ls`)"
    if now - way.created >= way.notifier.options.max_age:
        return Stop(Reason.NOT_READY, detail)
    return Hold(now + _LOOK_AGAIN, Reason.NOT_READY, detail)
