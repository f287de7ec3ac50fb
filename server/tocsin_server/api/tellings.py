"""How a notification got on, as answers show it: the way to each notifier, and each delivery."""

from collections.abc import Mapping
from typing import Any

from tocsin_events.instant import SECOND
from tocsin_notifiers.delivery import Delivery
from tocsin_server.api.times import with_times

_SAID = ("id", "notifier", "status", "state", "stage", "reason", "detail", "by", "level", "round", "told_by")


def way_shown(way: Mapping[str, Any], broken: Mapping[str, str]) -> dict[str, Any]:
    """Return a way: where it is held or stopped, by what, and when it is looked at again.

    ``level`` counts an escalation's steps and ``round`` the reminders, both from 0; ``told_by`` is the way whose
    deliveries say it, another one where a message tells of several. ``broken`` says why notifiers can't work.
    """
    shown = {key: way.get(key) for key in _SAID}
    if way.get("reason") == "not-ready":
        shown["detail"] = broken.get(str(way.get("notifier"))) or shown["detail"]
    due = way.get("due") if way.get("state") == "held" else None
    times = with_times({"created": way.get("created"), "updated": way.get("updated"), "at": due})
    return {**shown, "due": times.pop("at"), **times}


def delivery_shown(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery with each attempt; ``took`` is in seconds, ``next`` when it is tried again."""
    again = delivery.next_at if delivery.status == "retrying" and delivery.next_at else None
    times = with_times({"created": delivery.created, "at": delivery.finished, "time": again})
    return {
        "id": delivery.id,
        "way": delivery.way,
        "notifier": delivery.notifier,
        "kind": delivery.kind,
        "target": delivery.target,
        "status": str(delivery.status),
        "message_status": str(delivery.message.status),
        "attempts": delivery.attempts,
        "created": times["created"],
        "finished": times["at"],
        "next": times["time"],
        "log": [_line(one) for one in delivery.log],
    }


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    shown = with_times(line)
    return {**shown, "took": round(line["took"] / SECOND, 6)} if "took" in line else shown
