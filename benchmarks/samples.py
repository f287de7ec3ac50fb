"""Realistic events: flow-run state events of 600–900 bytes with four related resources."""

from tocsin_events.envelope import encode_event


def state_event(number: int, *, type_: str = "flow-run.failed", deployment: str = "", time: int) -> bytes:
    """Return the JSON form of one state event; ``number`` makes it unique."""
    deployment = deployment or f"deployment-{number % 1000}"
    return encode_event(
        id=f"event-{number}",
        type=type_,
        source="/sdk/worker-1/4242",
        time=time,
        resource={
            "kind": "flow-run",
            "id": f"run-{number}",
            "name": "jumpy-puppy",
            "labels": {},
            "tags": ["prod"],
        },
        related=[
            {"kind": "flow", "id": "flow-7", "name": "etl", "labels": {}, "tags": [], "role": "flow"},
            {
                "kind": "deployment",
                "id": deployment,
                "name": deployment,
                "labels": {"env": "prod" if number % 2 else "dev", "team": "data"},
                "tags": ["nightly"],
                "role": "deployment",
            },
            {"kind": "work-pool", "id": "default", "name": "default", "role": "work-pool"},
            {"kind": "worker", "id": "worker-1", "name": "worker-1", "role": "worker"},
        ],
        payload={
            "state": {"type": "failed", "name": "Failed", "message": "boom", "time": "2026-03-01T00:00:00Z"},
            "attempt": 1,
            "duration": 12.5,
            "error": {"type": "ValueError", "message": "row 17: no such column", "traceback": "…"},
        },
    )
