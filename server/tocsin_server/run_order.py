"""The order to run a flow, as it lies on the bus, and the events that the server and the worker tell of it.

Pure: whoever makes the same event twice (a worker that died and the one after it) makes the same id.
"""

from typing import Any, Final, Literal

import msgspec

from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_events.instant import to_rfc3339

SOURCE: Final = "/runs"
"""The source of events about a run that the server or a worker makes: one, so that what both make is kept once."""


class FlowPlace(msgspec.Struct, frozen=True):
    """Where a flow's code is: ``entrypoint`` (``file.py:function``) within the directory ``path``."""

    name: str
    entrypoint: str
    path: str


class RunOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs to execute a run; the body of a message on ``RUNS``.

    ``attempt`` counts executions from 1. ``cause`` and ``hops`` are those of every event of the run.
    """

    run_id: str
    name: str
    flow: FlowPlace
    deployment: dict[str, Any] | None = None
    parameters: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    attempt: int = 1
    cause: str | None = None
    hops: int = 0
    automation: str | None = None
    pool: str = "default"
    queue: str = "default"
    on_crash: Literal["fail", "rerun"] = "fail"
    env: dict[str, str] = {}

    @property
    def resource(self) -> dict[str, Any]:
        """The run as events name it."""
        labels = self.deployment["labels"] if self.deployment else {}
        return _resource("flow-run", self.run_id, self.name, labels=labels, tags=list(self.tags))


class InvalidOrder(ValueError):  # noqa: N818 - it names what was found
    """Bytes that are no order to run a flow."""


class RunEvent(msgspec.Struct, frozen=True):
    """An event of a run, ready for the bus."""

    type: str
    key: str
    body: bytes


def encode_order(order: RunOrder) -> bytes:
    """Return an order's JSON form."""
    return msgspec.json.encode(order)


def decode_order(body: bytes) -> RunOrder:
    """Return the order that a message carries.

    Raises:
        InvalidOrder: it carries none.

    """
    try:
        return msgspec.json.decode(body, type=RunOrder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise InvalidOrder(f"not an order to run a flow: {problem}") from problem


def state_event(
    order: RunOrder,
    state: str,
    *,
    time: int,
    source: str = SOURCE,
    message: str = "",
    name: str | None = None,
    worker: str | None = None,
    previous: str | None = None,
    error: dict[str, Any] | None = None,
) -> RunEvent:
    """Return the event that a run entered a state; its id is derived from the run, the attempt and the state.

    ``name`` is the state's name where it differs from its type (``skipped`` is a kind of ``cancelled``).
    """
    payload: dict[str, Any] = {
        "state": _state(state, name or _title(state), message, time),
        "previous": None if previous is None else {"type": previous, "name": _title(previous)},
        "attempt": order.attempt,
        "parameters": order.parameters,
        "message": message,
    }
    if error is not None:
        payload["error"] = error
    return _event(order, f"flow-run.{state}", (order.attempt, state), payload, time, source, worker)


def heartbeat_event(order: RunOrder, *, number: int, time: int, source: str, worker: str) -> RunEvent:
    """Return the event that a run is still being executed."""
    payload = {"attempt": order.attempt, "number": number}
    key = (order.attempt, "heartbeat", worker, number)
    return _event(order, "flow-run.heartbeat", key, payload, time, source, worker)


def worker_resource(worker: str) -> dict[str, Any]:
    """Return a worker as events name it."""
    return _resource("worker", worker, worker)


def related(order: RunOrder, worker: str | None = None) -> list[dict[str, Any]]:
    """Return what a run's events concern besides the run itself; the role is the kind."""
    resources = [_resource("flow", order.flow.name, order.flow.name)]
    if order.deployment is not None:
        resources.append(order.deployment)
    resources.append(_resource("work-pool", order.pool, order.pool))
    resources.append(_resource("work-queue", f"{order.pool}/{order.queue}", order.queue))
    if worker is not None:
        resources.append(worker_resource(worker))
    if order.automation is not None:
        resources.append(_resource("automation", order.automation, order.automation))
    return [{**one, "role": one["kind"]} for one in resources]


def _event(
    order: RunOrder, type_: str, key: tuple[Any, ...], payload: dict[str, Any], time: int, source: str,
    worker: str | None,
) -> RunEvent:  # fmt: skip
    id_ = derived_id("run", order.run_id, *key)
    body = encode_event(
        id=id_,
        type=type_,
        source=source,
        time=time,
        resource=order.resource,
        related=related(order, worker),
        payload=payload,
        cause=order.cause,
        hops=order.hops,
    )
    return RunEvent(type_, message_key(source, id_), body)


def _state(type_: str, name: str, message: str, time: int) -> dict[str, Any]:
    return {"type": type_, "name": name, "message": message, "time": to_rfc3339(time)}


def _title(state: str) -> str:
    return state.replace("-", " ").capitalize()


def _resource(
    kind: str, id_: str, name: str, *, labels: dict[str, str] | None = None, tags: list[str] | None = None
) -> dict[str, Any]:
    return {"kind": kind, "id": id_, "name": name, "labels": labels or {}, "tags": tags or []}
