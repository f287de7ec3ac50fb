"""A CloudEvent's JSON values and our `Event`, from one to the other with nothing lost."""

import base64
import binascii
import re
from typing import Any, Final

from pydantic import ValidationError

from tocsin_events.envelope import OUR_SCHEMA
from tocsin_events.event import Event
from tocsin_events.instant import from_micros, parse_rfc3339, to_micros, to_rfc3339
from tocsin_events.resource import Resource
from tocsin_events.view import MAX_DEPTH

_NAME: Final = re.compile(r"[a-z0-9]+")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_WHOLE: Final = range(-(2**63), 2**63)

_TEXTS: Final = ("datacontenttype", "dataschema")
_OWN_EXTENSIONS: Final = ("follows", "cause", "traceparent")
_KNOWN: Final = frozenset(
    {"specversion", "id", "type", "source", "time", "subject", "data", "data_base64", "hops"}
    | set(_TEXTS)
    | set(_OWN_EXTENSIONS)
)


class InvalidCloudEvent(ValueError):  # noqa: N818 - it names what was found
    """What should be a CloudEvent and is none: ``path`` is where (``data.related[0].id``), ``problem`` what is wrong."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


class EventTooLarge(InvalidCloudEvent):
    """An event that is larger than `MAX_EVENT_BYTES`."""


def event_of(value: Any, received: int | None) -> Event:
    """Return the event that the values of a JSON form are about; ``received`` is the time of one that names none.

    Raises:
        InvalidCloudEvent: they are none of a CloudEvent; the error says where and why.

    """
    if not isinstance(value, dict):
        raise InvalidCloudEvent("", f"an event is an object, not {kind_of(value)}")
    if value.get("specversion") != "1.0":
        raise InvalidCloudEvent("specversion", 'it must be "1.0"')
    _check_depth(value)
    fields: dict[str, Any] = {name: _text(value, name) for name in ("id", "type", "source")}
    for name in (*_TEXTS, *_OWN_EXTENSIONS):
        fields[name] = _text(value, name) if value.get(name) is not None else None
    fields["time"] = _time(value.get("time"), received)
    fields["hops"] = _hops(value.get("hops"))
    fields["extensions"] = _extensions(value)
    fields |= _ours(value) if fields["dataschema"] == OUR_SCHEMA else _outside(value)
    try:
        return Event.model_validate(fields)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        raise InvalidCloudEvent(
            _path(first["loc"], ours=fields["dataschema"] == OUR_SCHEMA),
            first["msg"].removeprefix("Value error, "),
        ) from problem


def _check_depth(value: Any) -> None:
    """Refuse what readers of the bus would refuse, before it is accepted."""
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for outer in level:
            for inner in outer.values() if type(outer) is dict else outer:
                if type(inner) is dict or type(inner) is list:
                    deeper.append(inner)  # noqa: PERF401 - this is the fastest form
        if not deeper:
            return
        level = deeper
    raise InvalidCloudEvent("data", f"the event is nested more than {MAX_DEPTH} deep")


def _ours(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("data_base64") is not None:
        raise InvalidCloudEvent("data_base64", f"an event of the schema {OUR_SCHEMA} has its parts in data")
    data = value.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InvalidCloudEvent("data", f"it must be an object, not {kind_of(data)}")
    for name in data:
        if name not in ("resource", "related", "payload"):
            raise InvalidCloudEvent(f"data.{name}", "it is not one of resource, related and payload")
    related = data.get("related") or []
    if not isinstance(related, list):
        raise InvalidCloudEvent("data.related", f"it must be a list, not {kind_of(related)}")
    subject = _subject(value)
    resource: Any = data.get("resource")
    if resource is None and subject is not None:
        resource = subject
    elif subject is not None and isinstance(resource, dict) and isinstance(resource.get("id"), str):
        kind, id_ = resource.get("kind"), resource["id"]
        if subject.subject != (f"{kind}/{id_}" if kind else id_):
            raise InvalidCloudEvent("subject", "it does not name the resource in data.resource")
    return {"resource": resource, "related": related, "data": data.get("payload")}


def _outside(value: dict[str, Any]) -> dict[str, Any]:
    encoded = value.get("data_base64")
    if encoded is not None:
        if value.get("data") is not None:
            raise InvalidCloudEvent("data_base64", "there is data, too; an event has one of them")
        if not isinstance(encoded, str):
            raise InvalidCloudEvent("data_base64", f"it must be text, not {kind_of(encoded)}")
        try:
            base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as problem:
            raise InvalidCloudEvent("data_base64", "it is not Base64") from problem
    return {"resource": _subject(value), "data": value.get("data"), "data_base64": encoded}


def _subject(value: dict[str, Any]) -> Resource | None:
    if value.get("subject") is None:
        return None
    try:
        return Resource.from_subject(_text(value, "subject"))
    except ValidationError as problem:
        raise InvalidCloudEvent("subject", problem.errors()[0]["msg"]) from problem


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if text is None:
        raise InvalidCloudEvent(name, "it is missing")
    if not isinstance(text, str):
        raise InvalidCloudEvent(name, f"it must be text, not {kind_of(text)}")
    if not text:
        raise InvalidCloudEvent(name, "it is empty")
    return text


def _time(text: Any, received: int | None) -> Any:
    if text is None:
        if received is None:
            raise InvalidCloudEvent("time", "it is missing")
        return from_micros(received)
    if not isinstance(text, str):
        raise InvalidCloudEvent("time", f"it must be text, not {kind_of(text)}")
    if _TIME.fullmatch(text):
        try:
            return from_micros(parse_rfc3339(text.upper()))
        except (ValueError, OverflowError):
            pass
    raise InvalidCloudEvent("time", f"{text[:100]!r} is not an RFC 3339 time such as 2026-01-09T12:00:00Z")


def _hops(value: Any) -> int:
    # In binary mode every attribute comes as text.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 7:
        value = int(value)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidCloudEvent("hops", f"it must be a whole number, not {kind_of(value)}")
    return value


def _extensions(value: dict[str, Any]) -> dict[str, str | int | bool]:
    found = {}
    for name in value.keys() - _KNOWN:
        extension = value[name]
        if not _NAME.fullmatch(name):
            raise InvalidCloudEvent(
                name[:100], "an attribute's name has only small letters and digits (a to z, 0 to 9)"
            )
        if extension is None:
            continue
        if not isinstance(extension, str | int | bool) or (
            isinstance(extension, int) and extension not in _WHOLE
        ):
            raise InvalidCloudEvent(
                name, f"an extension is text, a whole number or a truth value, not {kind_of(extension)}"
            )
        found[name] = extension
    return dict(sorted(found.items()))


def _path(location: tuple[int | str, ...], *, ours: bool) -> str:
    if not location:
        return ""
    first, *rest = location
    match first:
        case "resource":
            head = "data.resource" if ours else "subject"
        case "related":
            head = "data.related"
        case "data":
            head, rest = ("data.payload", rest) if ours else ("data", rest)
        case "extensions":
            head, rest = str(rest[0]) if rest else "extensions", []
        case _:
            head = str(first)
    return head + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in rest)


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in a word for people."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def attributes_of(event: Event) -> dict[str, Any]:
    """Return the attributes of an event, without its data."""
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "time": to_rfc3339(to_micros(event.time)),
    }
    if event.resource is not None:
        found["subject"] = event.resource.subject
    if event.dataschema == OUR_SCHEMA:
        found["datacontenttype"] = event.datacontenttype or "application/json"
    elif event.datacontenttype is not None:
        found["datacontenttype"] = event.datacontenttype
    for name in ("dataschema", *_OWN_EXTENSIONS):
        if (text := getattr(event, name)) is not None:
            found[name] = text
    if event.hops:
        found["hops"] = event.hops
    return found | event.extensions


def data_of(event: Event) -> dict[str, Any]:
    """Return ``data`` or ``data_base64`` of an event; neither where it has none."""
    if event.dataschema == OUR_SCHEMA:
        resource = None if event.resource is None else event.resource.model_dump(mode="json")
        related = [one.model_dump(mode="json") for one in event.related]
        return {"data": {"resource": resource, "related": related, "payload": event.data}}
    if event.data_base64 is not None:
        return {"data_base64": event.data_base64}
    return {} if event.data is None else {"data": event.data}
