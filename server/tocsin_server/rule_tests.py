"""What rule tests know of notifications: the pipeline, rehearsed in virtual time with what a test's rules ask for.

The rooms of rules and of notifications don't know each other; here they meet, by the entry point of the group
``tocsin.rule_tests``.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tocsin_automations.testing.deliveries import Acknowledged, Asked, Delivered, Script
from tocsin_notifiers.console import payload as as_text
from tocsin_notifiers.delivery import Delivery
from tocsin_notifiers.notification import Notification
from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.pipeline import Reason
from tocsin_notifiers.rehearsal import Rehearsal, Suppressed, rehearsal
from tocsin_notifiers.setup import INBOX, parse_setup
from tocsin_server.actions.notify import NotifyFields, notification_of
from tocsin_server.notification_sections import sections_of

_BASE = "http://127.0.0.1:4200"


class Rehearsals:
    """What rule tests know of the pipeline: a `RehearseDeliveries`."""

    @property
    def reasons(self) -> Collection[str]:
        """The words for why a delivery is suppressed."""
        return frozenset(map(str, Reason))

    def tellers(self, sections: Mapping[str, Any]) -> Collection[str]:
        """Return the notifiers that tell somebody themselves, rather than lead to others."""
        written = sections_of(sections)["notifiers"]
        return {INBOX, *(name for name, one in written.items() if not _leads_on(one))}

    def __call__(self, script: Script) -> Sequence[Delivered]:
        """Return what would be delivered, and what suppressed, in the order of time.

        Raises:
            ValueError: the sections about notifications can't be used; says why.

        """
        return asyncio.run(_rehearse(script))


rehearse = Rehearsals()


def _leads_on(notifier: Any) -> bool:
    return isinstance(notifier, Mapping) and ("route" in notifier or "escalate" in notifier)


async def _rehearse(script: Script) -> list[Delivered]:
    kinds = load_kinds()
    setup = parse_setup(sections_of(script.sections), kinds)
    async with rehearsal(setup, at=script.clock, base=_BASE, kinds=kinds) as pipeline:
        for name, problem in pipeline.broken.items():
            raise ValueError(f"the notifier {name} can't work: {problem}")
        for given in script.silences:
            starts = script.clock + given.at
            await pipeline.silence(given.matcher, starts=starts, ends=starts + given.lasts)
        for step in script.steps():
            await pipeline.move_to(script.clock + step.at)
            match step:
                case Asked():
                    await _hear(pipeline, step, script.clock)
                case Acknowledged(alert=alert, by=by):
                    await pipeline.acknowledge(alert, by)
        await pipeline.move_to(script.clock + script.lasts)
        found = [_told(one, script.clock) for one in await pipeline.told()]
        found += [_suppressed(one, script.clock) for one in pipeline.suppressed]
    return sorted(found, key=lambda one: (one.at, one.notifier, one.target, one.title))


async def _hear(pipeline: Rehearsal, asked: Asked, clock: int) -> None:
    """Let the pipeline hear of a firing as it would: its event for the alert, and what its actions ask for."""
    payload = dict(asked.payload)
    if payload.get("alert"):
        await pipeline.keep_firing(asked.type, payload)
    for notification in _notifications(asked, payload, clock):
        await pipeline.take(notification)


def _notifications(asked: Asked, payload: dict[str, object], clock: int) -> Iterator[Notification]:
    for action in asked.actions:
        if action.kind == "notify" and action.failed is None:
            args = NotifyFields.model_validate(action.done)
            yield notification_of(args, payload, key=f"{asked.id}:{action.number}", now=clock + asked.at)


def _told(delivery: Delivery, clock: int) -> Delivered:
    message = delivery.message
    return Delivered(
        at=delivery.created - clock,
        notifier=delivery.notifier,
        target=delivery.target,
        status=str(message.status),
        title=message.title,
        text=as_text(message),
    )


def _suppressed(one: Suppressed, clock: int) -> Delivered:
    return Delivered(at=one.at - clock, notifier=one.notifier, status=one.status, suppressed=one.reason)
