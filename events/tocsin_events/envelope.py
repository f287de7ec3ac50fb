"""The JSON form of an event on the bus: CloudEvents 1.0, structured, with our parts in ``data``.

This is the light way to write one, for those who make many (the SDK, the engine); `tocsin_events.Event` is the
model for the edges, where events from outside are checked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tocsin_events.instant import to_rfc3339

MAX_EVENT_BYTES: Final = 512 * 1024
"""The largest event that is accepted, in bytes of its JSON form."""

OUR_SCHEMA: Final = "tocsin:event"
"""The ``dataschema`` that marks an event whose ``data`` carries resource, related and payload."""

_encode = msgspec.json.Encoder().encode


def encode_event(
    *,
    id: str,  # noqa: A002 - the event's own word
    type: str,  # noqa: A002 - the event's own word
    source: str,
    time: int,
    resource: Mapping[str, Any] | None = None,
    related: Sequence[Mapping[str, Any]] = (),
    payload: Any = None,
    follows: str | None = None,
    cause: str | None = None,
    hops: int = 0,
    traceparent: str | None = None,
) -> bytes:
    """Return the JSON form of one of our own events.

    ``time`` is in microseconds since the epoch; ``resource`` and ``related`` are JSON mappings as
    `tocsin_events.Resource` has them.

    Raises:
        TypeError: ``payload`` has a value that JSON has no form for.

    """
    body: dict[str, Any] = {
        "specversion": "1.0",
        "id": id,
        "type": type,
        "source": source,
        "time": to_rfc3339(time),
        "datacontenttype": "application/json",
        "dataschema": OUR_SCHEMA,
        "data": {"resource": resource, "related": related, "payload": payload},
    }
    if resource is not None:
        kind = resource.get("kind")
        body["subject"] = f"{kind}/{resource['id']}" if kind else resource["id"]
    optional = {"follows": follows, "cause": cause, "hops": hops, "traceparent": traceparent}
    return _encode(body | {name: value for name, value in optional.items() if value})
