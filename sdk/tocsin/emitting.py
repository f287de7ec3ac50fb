"""`emit`: an event of one's own, from anywhere in a program."""

import re
import time as clock
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tocsin import emitter
from tocsin.runs import current_run
from tocsin_events.instant import to_micros

_TYPE = re.compile(r"[^\s\x00-\x1f*>\ud800-\udfff]{1,500}")

ResourceLike = str | Mapping[str, Any]
"""``"table/orders"``, or a mapping with ``id`` and, if need be, ``kind``, ``name``, ``labels``, ``tags``."""


def emit(
    type: str,  # noqa: A002 - the event's own word
    *,
    resource: ResourceLike | None = None,
    data: Any = None,
    related: Sequence[ResourceLike] = (),
    time: datetime | None = None,
    follows: str | None = None,
) -> str:
    """Emit an event and return its id.

    ``resource`` is what it is about; in a run, the run unless another is named, and then the run is related.
    ``related`` resources may have a ``role``. ``data`` is anything; what JSON has no form for becomes text. ``time``
    is when it happened, now by default. The event is written to the outbox and delivered in the background: neither a
    missing server nor a full disk is ever noticed here.

    Raises:
        ValueError: the type is empty or has blanks or wildcards, a resource has no id, or ``time`` has no time zone.

    """
    if not isinstance(type, str) or not _TYPE.fullmatch(type):
        raise ValueError(f"{type!r} is no event type: write words with dots and dashes, like orders.loaded")
    if time is not None and time.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone: use datetime.now(UTC)")
    run = current_run()
    others: list[Mapping[str, Any]] = [_related(one) for one in related]
    about = None if resource is None else _resource(resource)
    if run is not None:
        if about is None:
            about = run.resource
        else:
            others.append({**run.resource, "role": run.kind})
        others += run.related
    return emitter.current().send(
        type,
        resource=about,
        related=others,
        payload=data,
        time=clock.time_ns() // 1000 if time is None else to_micros(time),
        follows=follows,
        cause=run.cause if run else None,
        hops=run.hops if run else 0,
        traceparent=run.traceparent if run else None,
    )


def flush(timeout: float = 5.0) -> bool:
    """Wait (seconds) until the bus has all events of this process; False if it has not, or there is no server."""
    return emitter.current().carrier.flush(timeout)


def _related(given: ResourceLike) -> dict[str, Any]:
    resource = _resource(given)
    role = given.get("role") if isinstance(given, Mapping) else None
    return {**resource, "role": role or resource["kind"]}


def _resource(given: ResourceLike) -> dict[str, Any]:
    if isinstance(given, str):
        kind, slash, id_ = given.partition("/")
        if not (slash and kind and id_):
            kind, id_ = "", given
        given = {"kind": kind, "id": id_}
    id_ = str(given.get("id") or "")
    if not id_:
        raise ValueError("a resource has an id: write 'kind/id', or {'kind': …, 'id': …}")
    unknown = set(given) - {"kind", "id", "name", "labels", "tags", "role"}
    if unknown:
        raise ValueError(f"a resource has kind, id, name, labels and tags, not {', '.join(sorted(unknown))}")
    return {
        "kind": str(given.get("kind") or ""),
        "id": id_,
        "name": str(given.get("name") or id_),
        "labels": {str(key): str(value) for key, value in (given.get("labels") or {}).items()},
        "tags": [str(tag) for tag in given.get("tags") or ()],
    }
