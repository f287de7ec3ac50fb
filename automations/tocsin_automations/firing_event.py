"""A firing as an event: ``automation.fired`` and ``automation.resolved``, with the actions to run as data.

Whoever acts on a firing needs nothing but this event. Its id is the firing's, so that a firing that is made again
after a crash is the same event, which the bus keeps once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tocsin_automations.action import Action
from tocsin_automations.automation import Automation
from tocsin_automations.decision import Decision, Firing
from tocsin_automations.store import StoredFiring
from tocsin_events.envelope import MAX_EVENT_BYTES, OUR_SCHEMA, encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_events.instant import to_rfc3339
from tocsin_events.view import EventView

SOURCE: Final = "/engine"
"""The ``source`` of all events that the engine makes."""

PAUSED: Final = "automation.paused"
"""The type of the event that pauses an automation, whoever makes it."""

FULL_EVENTS: Final = 20
"""How many of the events that made a firing ride along in full, the newest."""

_TELLS: Final = "notify"
_MAX_SEQUENCES: Final = 1000
_MAX_EVENTS_BYTES: Final = 128 * 1024
_MAX_EVENT_BYTES: Final = 256 * 1024

_encode = msgspec.json.Encoder().encode


def firing_type(firing: Firing) -> str:
    """Return the type of a firing's event."""
    return "automation.fired" if firing.state == "firing" else "automation.resolved"


def firing_event(firing: Firing, automation: Automation) -> bytes:
    """Return the JSON form of a firing's event; the same firing always gives the same bytes.

    The newest 20 of the events that made it ride along in full as long as they take no more than 128 KiB together,
    and the last event without its data where it takes more than 256 KiB; the log of events has the rest. Where it is
    still larger than an event may be, it goes without the tree and those events.
    """
    payload = _payload(firing, automation)
    body = _written(firing, automation, payload)
    if len(body) <= MAX_EVENT_BYTES:
        return body
    return _written(firing, automation, {**payload, "tree": {}, "events": [], "truncated": True})


def _written(firing: Firing, automation: Automation, payload: Mapping[str, Any]) -> bytes:
    return encode_event(
        id=firing.id,
        type=firing_type(firing),
        source=SOURCE,
        time=firing.at,
        resource=_resource(automation),
        related=_related(firing.event),
        payload=payload,
        cause=None if firing.event is None else firing.event.id,
        hops=firing.hops,
    )


def pause_event(blown: Decision, automation: Automation) -> tuple[str, str, bytes]:
    """Return the type, the key and the JSON form of the event by which a rate limit pauses its automation.

    It names the notifiers of the automation's own `notify` actions: whoever reads it knows whom to tell.
    """
    id_ = derived_id("pause", blown.automation, blown.source, blown.event_id, blown.at)
    rate = automation.limits.rate
    body = encode_event(
        id=id_,
        type=PAUSED,
        source=SOURCE,
        time=blown.at,
        resource=_resource(automation),
        payload={
            "reason": blown.reason,
            "by": "rate limit",
            "rate": None if rate is None else rate.model_dump(mode="json"),
            "notifiers": _notifiers(automation),
            "automation": _about(automation),
        },
        cause=blown.event_id,
    )
    return PAUSED, message_key(SOURCE, id_), body


def stored_firing(firing: Firing, body: bytes) -> StoredFiring:
    """Return a firing as the store keeps it, with the ``body`` of its event."""
    return StoredFiring(
        id=firing.id,
        automation=firing.automation,
        revision=firing.revision,
        at=firing.at,
        state=firing.state,
        key=firing.key,
        count=firing.count,
        alert=None if firing.alert is None else firing.alert.id,
        events=firing.sequences,
        reason=firing.reason,
        body=body,
    )


def _payload(firing: Firing, automation: Automation) -> dict[str, Any]:
    actions = automation.then if firing.state == "firing" else automation.then_resolve
    return {
        "firing": {
            "id": firing.id,
            "automation": firing.automation,
            "revision": firing.revision,
            "key": firing.key,
            "at": to_rfc3339(firing.at),
            "state": firing.state,
            "count": firing.count,
            "value": firing.value,
            "suppressed": firing.suppressed,
            "sequences": firing.sequences[-_MAX_SEQUENCES:],
            "cancels": firing.cancels,
        },
        "alert": None
        if firing.alert is None
        else {"id": firing.alert.id, "opened": to_rfc3339(firing.alert.opened), "count": firing.alert.count},
        "reason": firing.reason,
        "tree": firing.tree,
        "event": None if firing.event is None else _trimmed(firing.event),
        "events": _newest(firing.events),
        "actions": [_action(action) for action in actions],
        "automation": _about(automation),
    }


def _about(automation: Automation) -> dict[str, Any]:
    return {
        "name": automation.name,
        "description": automation.description,
        "labels": dict(automation.labels),
    }


def _notifiers(automation: Automation) -> list[str]:
    """Return whom an automation tells when it fires, each once."""
    written = [_action(action) for action in automation.then]
    named = [action.get("notifier") for action in written if action["kind"] == _TELLS]
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def _resource(automation: Automation) -> dict[str, Any]:
    return {
        "kind": "automation",
        "id": automation.name,
        "name": automation.name,
        "labels": dict(automation.labels),
        "tags": [],
    }


def _related(event: EventView | None) -> list[dict[str, Any]]:
    """Return what the last event was about, as what the firing concerns: a search for a flow finds its alerts too."""
    if event is None:
        return []
    about = (
        [] if event.resource is None else [{**event.resource, "role": event.resource["kind"] or "subject"}]
    )
    return [*about, *event.related]


def _action(action: Action) -> dict[str, Any]:
    return action.model_dump(mode="json", by_alias=True)


def _newest(events: Sequence[EventView]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    size = 0
    for view in reversed(events[-FULL_EVENTS:]):
        written = _cloud_event(view)
        size += len(_encode(written))
        if size > _MAX_EVENTS_BYTES:
            break
        kept.append(written)
    return kept[::-1]


def _trimmed(view: EventView) -> dict[str, Any]:
    written = _cloud_event(view)
    if len(_encode(written)) > _MAX_EVENT_BYTES:
        written["data"] = {**written["data"], "payload": None, "truncated": True}
    return written


def _cloud_event(view: EventView) -> dict[str, Any]:
    written: dict[str, Any] = {
        "specversion": "1.0",
        "id": view.id,
        "type": view.type,
        "source": view.source,
        "time": to_rfc3339(view.time),
        "dataschema": OUR_SCHEMA,
        "data": {"resource": view.resource, "related": view.related, "payload": view.data},
    }
    optional = {"subject": view.subject, "follows": view.follows, "cause": view.cause, "hops": view.hops}
    return written | {name: value for name, value in optional.items() if value}
