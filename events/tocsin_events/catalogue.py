"""Every type of event that Tocsin itself makes, as data: what it says, and what it carries.

A type is the kind of resource and what happened to it. Outside events may have any type; those of the catalogue are only
made by the service and its SDK, and those of `streams.SERVICE_KINDS` by the service alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from tocsin_events import payloads
from tocsin_events.payloads import Schema


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event: what kind of resource it is about, what it says, and the JSON schema of its payload.

    ``is_state`` tells whether the resource is in a state of its own from this event on, until another such event.
    """

    type: str
    kind: str
    summary: str
    payload_schema: Schema
    is_state: bool


def is_state_type(type_: str) -> bool:
    """Tell whether an event of a type says that its resource entered a state."""
    found = EVENT_TYPES.get(type_)
    return found is not None and found.is_state


@cache
def state_types_of(kind: str) -> tuple[str, ...]:
    """Return the types that say that a resource of a kind entered a state; none for kinds that are not ours."""
    return tuple(one.type for one in EVENT_TYPES.values() if one.kind == kind and one.is_state)


_FLOW_RUN = {
    "scheduled": "A flow run has a time at which it is to start",
    "late": "A flow run did not start at its time",
    "pending": "A flow run was handed to a worker and is about to start",
    "running": "A flow run started, or started again",
    "paused": "A flow run waits for somebody to resume it",
    "suspended": "A flow run ended its process and waits to be resumed",
    "resumed": "A flow run that was paused or suspended goes on",
    "retrying": "A flow run failed and will be tried again",
    "cancelling": "Somebody asked that a flow run ends",
    "cancelled": "A flow run ended because somebody asked for it",
    "completed": "A flow run ended well",
    "failed": "A flow run ended with an exception",
    "crashed": "A flow run's process ended without saying how",
    "timed-out": "A flow run took longer than it may",
}
_TASK_RUN = {
    "pending": "A task run waits to be started",
    "running": "A task run started",
    "retrying": "A task run failed and will be tried again",
    "completed": "A task run ended well",
    "failed": "A task run ended with an exception",
    "crashed": "A task run's process ended without saying how",
    "cached": "A task run's result was there already",
    "cancelled": "A task run ended because its flow run was cancelled",
    "timed-out": "A task run took longer than it may",
}


def _managed(thing: str, *, ready: str, not_ready: str) -> dict[str, str]:
    return {
        "created": f"A {thing} was created",
        "updated": f"A {thing} was changed",
        "deleted": f"A {thing} was deleted",
        "paused": f"A {thing} was paused: it starts no runs",
        "resumed": f"A {thing} was resumed",
        "not-ready": not_ready,
        "ready": ready,
    }


_NO_STATE = ("created", "updated")
_TABLE: Mapping[str, tuple[Mapping[str, str], Schema, tuple[str, ...]]] = {
    # kind: what happens to it, what its events carry, which of them are no states
    "flow-run": (_FLOW_RUN, payloads.TRANSITION, ()),
    "task-run": (_TASK_RUN, payloads.TRANSITION, ()),
    "deployment": (
        _managed(
            "deployment",
            ready="A deployment has a worker that takes its runs",
            not_ready="A deployment has no worker that takes its runs",
        ),
        payloads.CHANGE,
        _NO_STATE,
    ),
    "work-pool": (
        _managed(
            "work pool",
            ready="A work pool has a worker again",
            not_ready="A work pool has no worker any more",
        ),
        payloads.CHANGE,
        _NO_STATE,
    ),
    "work-queue": (
        _managed(
            "work queue",
            ready="A work queue is polled again",
            not_ready="A work queue is not polled by any worker",
        ),
        payloads.CHANGE,
        _NO_STATE,
    ),
    "worker": (
        {
            "started": "A worker started and takes runs",
            "stopped": "A worker was stopped",
            "lost": "A worker has not been heard of for too long",
        },
        payloads.WORKER,
        (),
    ),
    "alert": (
        {
            "opened": "An automation's condition began to hold, and people are told",
            "updated": "An open alert fired again",
            "acknowledged": "Somebody took an alert on",
            "escalated": "An alert that nobody took on was passed to the next",
            "resolved": "What an alert was about is over",
            "withdrawn": "An alert was taken back because its automation changed or went away",
        },
        payloads.ALERT,
        ("updated",),
    ),
    "notification": (
        {
            "delivered": "A notifier's service took a notification",
            "failed": "A notification could not be delivered, and is not tried again",
            "suppressed": "A notification was held back by a silence, an inhibition, a limit or quiet hours",
        },
        payloads.NOTIFICATION,
        ("delivered", "failed", "suppressed"),
    ),
    "silence": (
        {
            "created": "A silence was made",
            "started": "A silence began to hold",
            "expired": "A silence ended",
            "deleted": "A silence was removed before its end",
        },
        payloads.SILENCE,
        (),
    ),
    "webhook": (
        {
            "received": "A request to a webhook became an event",
            "rejected": "A request to a webhook was refused",
        },
        payloads.WEBHOOK,
        ("received", "rejected"),
    ),
    "dead-letter": (
        {
            "created": "A message could not be processed and was put aside",
            "replayed": "A dead letter was sent again",
            "dropped": "A dead letter was removed",
        },
        payloads.DEAD_LETTER,
        (),
    ),
    "config": (
        {
            "applied": "A new revision of the rules holds from here on",
            "rolled-back": "An earlier revision of the rules was taken up again",
        },
        payloads.CONFIG,
        ("applied", "rolled-back"),
    ),
    "service": (
        {
            "started": "A service of Tocsin is ready",
            "stopped": "A service of Tocsin was stopped",
        },
        payloads.SERVICE,
        (),
    ),
    "outbox": (
        {"overflowed": "A program's outbox was full, and events of it were not kept"},
        payloads.OVERFLOW,
        ("overflowed",),
    ),
    "automation": (
        {
            "created": "An automation was applied for the first time",
            "updated": "An automation was changed",
            "deleted": "An automation was removed",
            "paused": "An automation was paused: it does not fire",
            "resumed": "An automation was resumed",
        },
        payloads.CHANGE,
        _NO_STATE,
    ),
}
_SINGLE: Mapping[str, tuple[str, Schema]] = {
    "flow-run.heartbeat": ("A flow run is alive", payloads.HEARTBEAT),
    "service.lagging": (
        "A reader of the bus is so far behind that the bus will refuse events",
        payloads.LAGGING,
    ),
    "automation.fired": ("An automation's trigger fired, with all that made it fire", payloads.FIRING),
    "automation.resolved": ("What an automation fired for is over", payloads.FIRING),
    "automation.action-succeeded": ("An action of a firing was done", payloads.ACTION),
    "automation.action-failed": ("An action of a firing failed for good", payloads.ACTION),
    "automation.action-skipped": (
        "An action of a firing that would have started a run was not to be done",
        payloads.ACTION,
    ),
    "automation.rate-limited": (
        "An automation fired more often than its limits let through",
        payloads.CHANGE,
    ),
    "automation.errored": ("An automation could not be evaluated", payloads.CHANGE),
}


def _all() -> dict[str, EventType]:
    found = [
        EventType(f"{kind}.{what}", kind, summary, schema, what not in no_states)
        for kind, (happenings, schema, no_states) in _TABLE.items()
        for what, summary in happenings.items()
    ]
    found += [
        EventType(type_, type_.partition(".")[0], summary, schema, is_state=False)
        for type_, (summary, schema) in _SINGLE.items()
    ]
    return {one.type: one for one in sorted(found, key=lambda one: one.type)}


EVENT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType(_all())
"""Every type of event that Tocsin itself makes, by its name, sorted."""
