"""What became of notifications and deliveries, in words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tocsin_server.cli.output import local_time

# What the reasons' details leave unsaid.
_BEFORE: Final = {
    "acknowledged": "acknowledged",
    "inhibited": "inhibited",
    "silenced": "silenced",
    "quiet-hours": "quiet hours",
}
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_ALONE: Final = {
    "unrouted": "no notifier is left for it",
    "resolve-none": "the notifier tells of no end (resolve: none)",
    "grouped": "another message of its group said it",
}
_PASSED: Final = {
    "escalated": "sent: it escalated",
    "reminder": "sent as a reminder",
    "unmuted": "sent after it was held back",
}


def what_became_of(
    way: Mapping[str, Any], deliveries: Sequence[Mapping[str, Any]] = (), *, over: bool = False
) -> str:
    """Return how far a notification got on its way to a notifier, and what holds or stopped it.

    ``deliveries`` are those of its alert. ``over`` says that the alert has ended: what is held then and would say that
    it fires is not sent any more.
    """
    if way["state"] == "passed":
        return _sent(way, [one for one in deliveries if one["way"] == way["told_by"]])
    return _INSTANT.sub(lambda found: local_time(found[0]), _kept_back(way, over=over))


def when(way: Mapping[str, Any]) -> str:
    """Return when that became of it, or since when it is held."""
    return local_time(way["created"] if way["state"] == "held" else way["updated"])


def what_it_says(way: Mapping[str, Any]) -> str:
    """Return which news a notification is: the first, a reminder, the step of an escalation, or an end."""
    if way["status"] != "firing":
        return str(way["status"])
    if way.get("round"):
        return f"reminder {way['round']}"
    return f"escalation {way['level']}" if way.get("level") else "firing"


def last_word(delivery: Mapping[str, Any]) -> str:
    """Return what the last attempt of a delivery came to, and when the next is made."""
    if delivery["status"] == "dropped":
        return "needless: what it follows up on never arrived"
    if not delivery["log"]:
        return "not tried yet"
    last = delivery["log"][-1]
    said = f"{last['outcome']}: {last['answer']}" if last.get("answer") else str(last["outcome"])
    times = f" (attempt {delivery['attempts']})" if delivery["attempts"] > 1 else ""
    again = f"; again at {local_time(delivery['next'])}" if delivery.get("next") else ""
    return f"{said}{times}{again}"


def _sent(way: Mapping[str, Any], deliveries: Sequence[Mapping[str, Any]]) -> str:
    said = _PASSED.get(str(way["reason"] or ""), "sent")
    states = [str(one["status"]) for one in deliveries]
    if not states:
        return f"{said}, in one message with others"
    if set(states) == {"dropped"}:
        return "not sent: what it follows up on never arrived"
    if set(states) <= {"failed", "dropped"}:
        return "failed (see the deliveries)"
    missing = len(states) - states.count("delivered")
    return (
        f"{said}, but {missing} of {len(states)} did not get it yet (see the deliveries)" if missing else said
    )


def _kept_back(way: Mapping[str, Any], *, over: bool) -> str:
    reason = str(way["reason"] or "")
    match way["state"]:
        case "held" if over and way["status"] == "firing":
            return "not sent: the alert was over before"
        case "held":
            return f"held: {_held(way, reason)}"
        case _:
            said = (_BEFORE.get(reason, ""), str(way["detail"] or _ALONE.get(reason, reason)))
            return f"not sent: {' '.join(one for one in said if one)}"


def _held(way: Mapping[str, Any], reason: str) -> str:
    due = local_time(way["due"])
    if way["stage"] == "moment":
        return f"due at {due}, unless it is acknowledged or over by then"
    if way["stage"] == "group":
        return f"collected with its group until {due}"
    return " ".join(one for one in (_BEFORE.get(reason, ""), str(way["detail"] or f"until {due}")) if one)
