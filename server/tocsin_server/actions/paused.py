"""A rate limit paused its automation (``then: pause``): people are told, for the automation tells them nothing any more.

The engine's event is acted on as a firing is, with `notify` actions of its own: one to the inbox, and one to each
notifier that the automation tells when it fires. So each is done once, however often the event comes.
"""

from collections.abc import Mapping
from typing import Any, Final

from tocsin_events.view import EventView
from tocsin_notifiers.notification import Severity
from tocsin_notifiers.setup import INBOX
from tocsin_server.actions.fired import Fired, InvalidFiring, Step

PAUSED: Final = "automation.paused"
"""The type of the event."""


def read_paused(view: EventView) -> Fired:
    """Return what is to be done about a pause that the engine tells of.

    Raises:
        InvalidFiring: the event tells of none.

    """
    payload, automation = view.data, view.resource
    if not isinstance(payload, dict) or automation is None:
        raise InvalidFiring("not a pause: it has no payload, or names no automation")
    name = str(automation["id"])
    told = dict.fromkeys([INBOX, *map(str, payload.get("notifiers") or ())])
    return Fired(
        id=view.id,
        automation=name,
        payload={"automation": {"name": name}, **payload},
        view=None,
        events=(),
        steps=tuple(_notify(number, notifier, name, payload) for number, notifier in enumerate(told, 1)),
        resource=automation,
        related=(),
        at=view.time,
        hops=view.hops,
    )


def _notify(number: int, notifier: str, automation: str, payload: Mapping[str, Any]) -> Step:
    return Step(
        number=number,
        kind="notify",
        args={
            "notifier": notifier,
            "severity": Severity.WARNING.value,
            "title": f"Automation {automation} is paused",
            "body": f"It fired {_rate(payload.get('rate'))}. It stays paused, and does nothing, "
            f"until somebody resumes it: `tocsin automations resume {automation}`.",
        },
        condition=None,
        retry=None,
        continue_on_error=True,
        timeout=None,
    )


def _rate(rate: Any) -> str:
    if not isinstance(rate, dict):
        return "more often than its rate limit allows"
    return f"{rate.get('max')} times within {rate.get('per')}, and its rate limit allows no more"
