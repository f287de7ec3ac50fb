"""The room's own events: what happened to alerts, notifications and silences, as bytes for the bus. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_events.instant import to_rfc3339
from tocsin_notifiers.alert import Alert, Entry
from tocsin_notifiers.delivery import Delivery, DeliveryStatus
from tocsin_notifiers.notification import Notification
from tocsin_notifiers.silence import Silence

SOURCE: Final = "/notifiers"

OwnEvent = tuple[str, str, bytes]
"""Type, message key and body, as the bus takes them."""


def of_alert(alert: Alert, entry: Entry, firing: Mapping[str, Any]) -> OwnEvent:
    """Return the event of a line of an alert's history."""
    resource = {"kind": "alert", "id": alert.id, "name": alert.title, "labels": dict(alert.labels)}
    payload = {
        "state": {"type": str(alert.state), "message": entry.detail},
        "severity": str(alert.severity),
        "count": alert.count,
        "opened": to_rfc3339(alert.opened),
        "key": list(alert.key),
        "by": entry.by,
        "reason": entry.detail,
    }
    return _event(
        f"alert.{entry.step}", (alert.id, entry.cause), entry.at, resource, payload, firing, alert.automation
    )


def of_delivery(delivery: Delivery, firing: Mapping[str, Any], automation: str) -> OwnEvent:
    """Return the event of a delivery that ended."""
    failed = delivery.status is DeliveryStatus.FAILED
    last = delivery.log[-1] if delivery.log else {}
    payload = {
        "delivery": delivery.id,
        "notifier": delivery.notifier,
        "service": delivery.kind,
        "target": delivery.target,
        "status": str(delivery.message.status),
        "severity": str(delivery.message.severity),
        "alert": delivery.alert,
        "attempts": delivery.attempts,
        "reason": last.get("answer", "") if failed else "",
    }
    resource = {"kind": "notification", "id": delivery.notification, "name": delivery.message.title}
    kind = "notification.failed" if failed else "notification.delivered"
    # A delivery that is opened again may fail again, which is another event.
    made_of = (delivery.id, delivery.attempts) if failed else (delivery.id,)
    return _event(kind, made_of, delivery.finished or delivery.created, resource, payload, firing, automation)


def of_suppression(way: Mapping[str, Any], notification: Notification, title: str) -> OwnEvent:
    """Return the event of a way that was stopped, or is held by a silence, an inhibition or quiet hours."""
    payload = {
        "notifier": way["notifier"],
        "stage": way["stage"],
        "reason": way["reason"],
        "detail": way["detail"],
        "by": way["by"],
        "held": way["state"] == "held",
        "alert": way["alert"],
        "severity": way["severity"],
        "status": way["status"],
    }
    resource = {"kind": "notification", "id": notification.id, "name": title}
    made_of = (way["id"], way["state"], way["stage"], way["by"])
    return _event(
        "notification.suppressed",
        made_of,
        way["updated"],
        resource,
        payload,
        notification.firing,
        notification.automation,
    )


def of_silence(silence: Silence, step: str, at: int) -> OwnEvent:
    """Return the event of a silence that was ``created``, ``started``, ``expired`` or ``deleted``."""
    resource = {"kind": "silence", "id": silence.id, "name": silence.comment or silence.matcher}
    payload = {
        "matcher": silence.matcher,
        "starts": to_rfc3339(silence.starts),
        "ends": to_rfc3339(silence.ends),
        "author": silence.author,
        "comment": silence.comment,
    }
    return _event(f"silence.{step}", (silence.id,), at, resource, payload, {}, "")


def _event(
    type_: str,
    made_of: tuple[Any, ...],
    at: int,
    resource: Mapping[str, Any],
    payload: Mapping[str, Any],
    firing: Mapping[str, Any],
    automation: str,
) -> OwnEvent:
    id_ = derived_id(type_, *made_of)
    event = firing.get("event")
    hops = event.get("hops", 0) if isinstance(event, Mapping) else 0
    body = encode_event(
        id=id_,
        type=type_,
        source=SOURCE,
        time=at,
        resource=resource,
        related=[{"kind": "automation", "id": automation, "name": automation, "role": "automation"}]
        if automation
        else (),
        payload=payload,
        cause=(firing.get("firing") or {}).get("id"),
        hops=(hops if isinstance(hops, int) else 0) + 2 if firing else 0,
    )
    return type_, message_key(SOURCE, id_), body
