"""Events for tests: encoded as the SDK does, and as rows of the log."""

from collections.abc import Mapping, Sequence
from typing import Any

from tocsin_events.envelope import encode_event
from tocsin_events.instant import SECOND
from tocsin_events.log_insert import Recorded
from tocsin_events.view import EventView

NOON = 1_767_960_000 * SECOND
"""2026-01-09T12:00:00Z"""


def resource(kind: str, id_: str, **labels: str) -> dict[str, Any]:
    """Return a resource as it is written in an event."""
    return {"kind": kind, "id": id_, "name": "", "labels": labels, "tags": []}


def related(kind: str, id_: str, role: str = "", **labels: str) -> dict[str, Any]:
    """Return a related resource as it is written in an event."""
    return {**resource(kind, id_, **labels), "role": role or kind}


def body(
    id_: str = "e1",
    type_: str = "flow-run.failed",
    *,
    source: str = "/test",
    time: int = NOON,
    about: Mapping[str, Any] | None = None,
    concerns: Sequence[Mapping[str, Any]] = (),
    payload: Any = None,
    cause: str | None = None,
) -> bytes:
    """Return an event's JSON form."""
    return encode_event(
        id=id_,
        type=type_,
        source=source,
        time=time,
        resource=about,
        related=concerns,
        payload=payload,
        cause=cause,
    )


def recorded(sequence: int, id_: str | None = None, type_: str = "flow-run.failed", **rest: Any) -> Recorded:
    """Return an event as the recorder keeps it; it arrived a second after it happened."""
    encoded = body(id_ or f"e{sequence}", type_, **{"time": NOON + sequence * SECOND, **rest})
    received = NOON + sequence * SECOND + SECOND
    return Recorded(EventView.decode(encoded, received=received, sequence=sequence), encoded)
