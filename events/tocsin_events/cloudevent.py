"""CloudEvents 1.0 in and out: structured, batched and binary (HTTP), with nothing lost on the way.

An event whose ``dataschema`` is ``tocsin:event`` has our parts in its data: ``{"resource", "related", "payload"}``. Any
other keeps its data as it is, and its subject names the resource. Specification: CloudEvents 1.0.2, its JSON event
format and its HTTP protocol binding.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from tocsin_events.cloudevent_values import (
    EventTooLarge,
    InvalidCloudEvent,
    attributes_of,
    data_of,
    event_of,
    kind_of,
)
from tocsin_events.envelope import MAX_EVENT_BYTES
from tocsin_events.event import Event
from tocsin_events.strict_json import InvalidJson, read_json, write_json

__all__ = [
    "BATCH", "STRUCTURED", "EventTooLarge", "InvalidCloudEvent", "from_batch", "from_binary", "from_structured",
    "to_binary", "to_json",
]  # fmt: skip

STRUCTURED: Final = "application/cloudevents+json"
"""The content type of one event in structured mode."""
BATCH: Final = "application/cloudevents-batch+json"
"""The content type of many events."""

_JSON_TYPE: Final = re.compile(r"(?:application|text)/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_HEADER_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")


# -- structured and batched --------------------------------------------------------------------------------------------


def to_json(event: Event) -> bytes:
    """Return the structured JSON form of an event.

    Raises:
        EventTooLarge: it would be larger than an event may be.

    """
    body = write_json({**attributes_of(event), **data_of(event)})
    if len(body) > MAX_EVENT_BYTES:
        raise EventTooLarge("", f"the event has {len(body)} bytes; at most {MAX_EVENT_BYTES} are accepted")
    return body


def from_structured(body: bytes, *, received: int | None = None) -> Event:
    """Return the event that a structured JSON form is about.

    ``received`` is when it came (microseconds): the time of an event that does not say when it happened.

    Raises:
        InvalidCloudEvent: the body is no CloudEvent; the error says where and why.

    """
    if len(body) > MAX_EVENT_BYTES:
        raise EventTooLarge("", f"the event has {len(body)} bytes; at most {MAX_EVENT_BYTES} are accepted")
    return event_of(_read(body), received)


def from_batch(body: bytes, *, received: int | None = None) -> list[Event]:
    """Return the events of a JSON batch; otherwise as `from_structured`.

    The caller limits the size of the batch; the size of each event is checked when it is written again.
    """
    value = _read(body)
    if not isinstance(value, list):
        raise InvalidCloudEvent("", f"a batch is a list of events, not {kind_of(value)}")
    events = []
    for place, one in enumerate(value):
        try:
            event = event_of(one, received)
        except InvalidCloudEvent as problem:
            path = f"[{place}].{problem.path}" if problem.path else f"[{place}]"
            raise type(problem)(path, problem.problem) from problem
        events.append(event)
    return events


# -- binary ------------------------------------------------------------------------------------------------------------


def to_binary(event: Event) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of an event's binary form."""
    headers = {}
    for name, value in attributes_of(event).items():
        if name == "datacontenttype":
            headers["content-type"] = value
        else:
            headers[f"ce-{name}"] = quote(_header_text(value), safe=_HEADER_SAFE)
    parts = data_of(event)
    if "data_base64" in parts:
        return headers, base64.b64decode(parts["data_base64"])
    if "data" not in parts:
        return headers, b""
    data = parts["data"]
    if (
        isinstance(data, str)
        and event.datacontenttype is not None
        and not _JSON_TYPE.fullmatch(event.datacontenttype)
    ):
        return headers, data.encode()
    return headers, write_json(data)


def from_binary(headers: Mapping[str, str], body: bytes, *, received: int | None = None) -> Event:
    """Return the event that ``ce-`` headers and a body are about; otherwise as `from_structured`.

    A body of a JSON content type (or of none) is JSON; any other text is kept as text, and the rest as bytes.
    """
    if len(body) > MAX_EVENT_BYTES:
        raise EventTooLarge("", f"the event has {len(body)} bytes; at most {MAX_EVENT_BYTES} are accepted")
    value: dict[str, Any] = {}
    for header, text in headers.items():
        name = header.lower()
        if name == "content-type":
            value["datacontenttype"] = text
        elif name.startswith("ce-"):
            value[name[3:]] = _from_header(name, text)
    if body:
        value.update(_body_data(body, value.get("datacontenttype")))
    try:
        return event_of(value, received)
    except InvalidCloudEvent as problem:
        first = problem.path.partition(".")[0]
        if first and first != "data":
            raise InvalidCloudEvent(f"ce-{problem.path}", problem.problem) from problem
        raise


def _from_header(name: str, text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError as problem:
        raise InvalidCloudEvent(name, "it is not UTF-8 when its percent signs are decoded") from problem


def _body_data(body: bytes, content_type: str | None) -> dict[str, Any]:
    if content_type is None or _JSON_TYPE.fullmatch(content_type):
        try:
            return {"data": read_json(body)}
        except InvalidJson as problem:
            raise InvalidCloudEvent("data", str(problem)) from problem
    try:
        return {"data": body.decode()}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(body).decode()}


def _header_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _read(body: bytes) -> Any:
    try:
        return read_json(body)
    except InvalidJson as problem:
        raise InvalidCloudEvent("", str(problem)) from problem
