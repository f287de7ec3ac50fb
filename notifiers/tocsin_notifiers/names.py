"""What routes, groups, inhibitions and silences see: the names of the firing's event, and the alert's own."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tocsin_events.instant import from_micros
from tocsin_events.view import MISSING, EventView, InvalidEvent
from tocsin_notifiers.alert import Alert
from tocsin_notifiers.default_message import title_of
from tocsin_notifiers.notification import Notification


class Names:
    """The names of one notification or alert.

    ``alert`` (``id, severity, state, count, opened, acknowledged_by, title, key``), ``severity``, ``status``, ``notifier``,
    ``automation`` (``name, description, labels``), ``firing``; every other name is the event's.
    """

    view: EventView | None
    """The event behind the firing; None for one that no event made."""

    def __init__(self, firing: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        self.own = {**own, "firing": firing.get("firing") or {}, "automation": _automation(firing)}
        self.view = _view(firing)

    def resolve(self, name: str) -> Any:
        """Return a name's value, or ``MISSING``."""
        if name in self.own:
            return self.own[name]
        return MISSING if self.view is None else self.view.resolve(name)


def names_of(notification: Notification, alert: Alert | None) -> Names:
    """Return the names of a notification; its alert as it is now, where there is one."""
    about: dict[str, Any] = {
        "id": notification.alert.id if notification.alert else notification.id,
        "severity": str(notification.severity),
        "status": str(notification.status),
        "count": notification.alert.count if notification.alert else 1,
        "title": title_of(notification),
    }
    if alert is not None:
        about |= _of_alert(alert)
        about["severity"] = str(notification.severity)
    own = {
        "alert": about,
        "severity": str(notification.severity),
        "status": str(notification.status),
        "notifier": notification.notifier,
    }
    return Names(notification.firing, own)


def names_of_alert(alert: Alert, firing: Mapping[str, Any]) -> Names:
    """Return the names of an alert."""
    own = {"alert": _of_alert(alert), "severity": str(alert.severity), "status": "firing"}
    return Names(firing, own)


def _of_alert(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "severity": str(alert.severity),
        "state": str(alert.state),
        "status": str(alert.state),
        "count": alert.count,
        "opened": from_micros(alert.opened),
        "acknowledged_by": alert.acknowledged_by,
        "title": alert.title,
        "key": list(alert.key),
    }


def _automation(firing: Mapping[str, Any]) -> dict[str, Any]:
    written = firing.get("automation")
    return {**_NO_AUTOMATION, **written} if isinstance(written, Mapping) else dict(_NO_AUTOMATION)


def _view(firing: Mapping[str, Any]) -> EventView | None:
    event = firing.get("event")
    if not isinstance(event, Mapping):
        return None
    try:
        return EventView.decode(msgspec.json.encode(event), received=0)
    except (InvalidEvent, TypeError):
        return None


_NO_AUTOMATION: Final[Mapping[str, Any]] = {"name": "", "description": "", "labels": {}}
