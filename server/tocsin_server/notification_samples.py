"""Notifications that nobody's automation asked for: to try a notifier, and to see what an event would become. Pure."""

from typing import Any, Final

import msgspec

from tocsin_events.identity import derived_id, new_id
from tocsin_events.view import EventView
from tocsin_notifiers.keeper import alert_ref
from tocsin_notifiers.notification import Notification, Severity, Status

_FIRINGS: Final = frozenset({"automation.fired", "automation.resolved"})


def sample(notifier: str, by: str, now: int) -> Notification:
    """Return a notification that says that it is a test; ``now`` is in microseconds."""
    return Notification(
        id=f"test-{new_id()}",
        notifier=notifier,
        created=now,
        title=f"Test of the notifier {notifier}",
        body=f"{by} sent this to see whether it arrives.",
        severity=Severity.INFO,
    )


def about(notifier: str, body: bytes, now: int) -> Notification:
    """Return what a rule without texts of its own would ask for because of an event, given as a CloudEvent.

    The event of a firing stands for that firing, with its alert.

    Raises:
        InvalidEvent: the event can't be read.

    """
    view = EventView.decode(body, received=now)
    firing = view.data if view.type in _FIRINGS and isinstance(view.data, dict) else _fired(view, body)
    resolved = view.type == "automation.resolved"
    return Notification(
        id=derived_id("preview", notifier, view.source, view.id),
        notifier=notifier,
        created=now,
        status=Status.RESOLVED if resolved else Status.FIRING,
        alert=alert_ref(firing),
        firing=firing,
    )


def _fired(view: EventView, body: bytes) -> dict[str, Any]:
    return {
        "firing": {
            # There is no such firing that a link could lead to.
            "id": "",
            "automation": "",
            "key": [],
            "at": view.time,
            "count": 1,
            "suppressed": 0,
        },
        "event": msgspec.json.decode(body),
        "events": [],
        "reason": "",
    }
