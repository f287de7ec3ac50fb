"""Payloads of ``automation.fired`` and ``automation.resolved`` as the engine makes them, for tests of what follows."""

from typing import Any


def fired(
    automation: str = "page-on-failure",
    *,
    id_: str = "firing-1",
    alert: str | None = "alert-1",
    count: int = 1,
    flow: str = "etl",
    event_type: str = "flow-run.failed",
    labels: dict[str, str] | None = None,
    description: str = "",
    message: str = "boom",
    at: str = "2026-03-01T09:30:00Z",
    opened: str = "2026-03-01T09:30:00Z",
    tags: tuple[str, ...] = (),
    state: str = "firing",
    severity: str = "critical",
) -> dict[str, Any]:
    """The payload of one firing."""
    return {
        "firing": {
            "id": id_,
            "automation": automation,
            "revision": 1,
            "key": [flow],
            "at": at,
            "state": state,
            "count": count,
            "value": None,
            "suppressed": 0,
            "events": [["/sdk/host/1", "e1"]],
        },
        "alert": None if alert is None else {"id": alert, "opened": opened, "count": count},
        "reason": f"{event_type} of {flow}",
        "tree": {},
        "event": {
            "specversion": "1.0",
            "id": "e1",
            "type": event_type,
            "source": "/sdk/host/1",
            "time": at,
            "dataschema": "tocsin:event",
            "subject": "flow-run/r1",
            "data": {
                "resource": {
                    "kind": "flow-run",
                    "id": "r1",
                    "name": "jumpy-puppy",
                    "labels": {},
                    "tags": list(tags),
                },
                "related": [
                    {
                        "kind": "flow",
                        "id": f"flow-{flow}",
                        "name": flow,
                        "labels": {},
                        "tags": [],
                        "role": "flow",
                    },
                    {
                        "kind": "deployment",
                        "id": "d1",
                        "name": "nightly",
                        "labels": {"env": "prod"},
                        "tags": [],
                        "role": "deployment",
                    },
                ],
                "payload": {
                    "state": {"type": "failed", "name": "Failed", "message": message},
                    "error": {
                        "type": "ValueError",
                        "message": message,
                        "traceback": f'Traceback (most recent call last):\n  File "etl.py", line 3, in load\nValueError: {message}',
                    },
                    "message": message,
                },
            },
        },
        "events": [],
        "actions": [{"kind": "notify", "notifier": "oncall", "severity": severity}],
        "automation": {"name": automation, "description": description, "labels": labels or {}},
    }


def resolved(automation: str = "page-on-failure", *, id_: str = "firing-2", **rest: Any) -> dict[str, Any]:
    """The payload of one resolution."""
    return fired(automation, id_=id_, state="resolved", event_type="flow-run.completed", **rest)
