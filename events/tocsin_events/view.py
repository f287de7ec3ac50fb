"""What an expression or a template sees of an event (automations.md, section 2).

An `EventView` is made once for each event from the bytes on the bus and shared by all rules. It holds plain JSON
values, not models: this is the hot path.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NotRequired, TypedDict

import msgspec

from tocsin_events.envelope import MAX_EVENT_BYTES, OUR_SCHEMA
from tocsin_events.instant import from_micros, to_micros

_TAGGED_KINDS: Final = ("flow-run", "task-run", "deployment", "flow")


class Missing:
    """What a name without a value resolves to; `MISSING` is the only one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()

MAX_DEPTH: Final = 100
"""How deep lists and mappings of an event may nest."""


class InvalidEvent(ValueError):  # noqa: N818 - it names what was found
    """Bytes that are no event of ours; the message says why."""


class EventView:
    """One event as expressions see it, with its arrival on the bus.

    ``time`` and ``received`` are microseconds since the epoch; ``sequence`` is the bus's number of the message.
    ``resource`` and ``related`` are JSON mappings (``id, kind, name, labels, tags``, and ``role``). ``body`` are the
    bytes that it was decoded from. Views are shared: nobody changes one.
    """

    __slots__ = (
        "_names", "body", "cause", "data", "follows", "hops", "id", "received", "related", "resource", "sequence", "source",
        "time", "type",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the event's own word
        type: str,  # noqa: A002 - the event's own word
        source: str,
        time: int,
        received: int,
        sequence: int = 0,
        resource: dict[str, Any] | None = None,
        related: list[dict[str, Any]] | None = None,
        data: Any = None,
        follows: str | None = None,
        cause: str | None = None,
        hops: int = 0,
        body: bytes | None = None,
    ) -> None:
        self.id = id
        self.type = type
        self.source = source
        self.time = time
        self.received = received
        self.sequence = sequence
        self.resource = resource
        self.related = related or []
        self.data = data
        self.follows = follows
        self.cause = cause
        self.hops = hops
        self.body = body
        self._names: dict[str, Any] = {}

    @classmethod
    def decode(cls, body: bytes, *, received: int, sequence: int = 0) -> "EventView":
        """Return the view of an event's JSON form.

        What passes is well-formed to the last label: every id, kind, label and tag is text, and nothing is nested
        more than `MAX_DEPTH` deep.

        Raises:
            InvalidEvent: the bytes are no event.

        """
        try:
            wire, resource, related, data = _decoded(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
            raise InvalidEvent(str(problem)) from problem
        return cls(
            id=wire.id,
            type=wire.type,
            source=wire.source,
            time=received if wire.time is None else _instant(wire.time),
            received=received,
            sequence=sequence,
            resource=resource,
            related=related,
            data=data,
            follows=wire.follows,
            cause=wire.cause,
            hops=wire.hops,
            body=body,
        )

    @property
    def key(self) -> tuple[str, str]:
        """What makes the event unique: its source and id."""
        return self.source, self.id

    @property
    def subject(self) -> str | None:
        """The resource as ``kind/id``; None where the event is about nothing."""
        resource = self.resource
        if resource is None:
            return None
        return f"{resource['kind']}/{resource['id']}" if resource["kind"] else resource["id"]

    def resolve(self, name: str) -> Any:
        """Return the value of a top-level name of section 2, or `MISSING`."""
        try:
            return self._names[name]
        except KeyError:
            value = self._names[name] = self._find(name)
            return value

    def _find(self, name: str) -> Any:
        match name:
            case "event":
                return self._event()
            case "data":
                return MISSING if self.data is None else self.data
            case "resource":
                return MISSING if self.resource is None else self.resource
            case "related":
                return self.related
            case "tags":
                return self._tags()
            case _:
                return self._of_kind(name)

    def _event(self) -> dict[str, Any]:
        event: dict[str, Any] = {
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "time": from_micros(self.time),
            "received": from_micros(self.received),
        }
        for name in ("data", "follows", "cause"):
            value = getattr(self, name)
            if value is not None:
                event[name] = value
        return event

    def _of_kind(self, name: str) -> Any:
        for one in self.related if self.resource is None else (self.resource, *self.related):
            kind = one["kind"]
            if kind == name or ("-" in kind and kind.replace("-", "_") == name):
                return one
        return MISSING

    def _tags(self) -> list[str]:
        resources = [self.resource, *self.related] if self.resource is not None else self.related
        return list(
            dict.fromkeys(tag for one in resources if one["kind"] in _TAGGED_KINDS for tag in one["tags"])
        )


_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_Cause = Annotated[str, msgspec.Meta(max_length=500)]


class _Head(msgspec.Struct, gc=False):
    id: _Id
    type: _Id
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    subject: str | None = None
    dataschema: str | None = None
    follows: _Cause | None = None
    cause: _Cause | None = None
    hops: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0


class _Resource(TypedDict):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    kind: NotRequired[str]
    name: NotRequired[str]
    labels: NotRequired[dict[str, str]]
    tags: NotRequired[list[str]]


class _Related(_Resource):
    role: NotRequired[str]


class _Parts(msgspec.Struct, gc=False):
    resource: _Resource | None = None
    related: list[_Related] | None = None
    payload: Any = None


class _Ours(_Head, gc=False):
    data: _Parts | None = None


class _Outside(_Head, gc=False):
    data: Any = None


# What was left out; the empty labels and tags are shared, as views are.
_RESOURCE: Final[dict[str, Any]] = {"id": "", "kind": "", "name": "", "labels": {}, "tags": []}
_RELATED: Final[dict[str, Any]] = {**_RESOURCE, "role": ""}

_decode_ours = msgspec.json.Decoder(_Ours).decode
_decode_outside = msgspec.json.Decoder(_Outside).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_ALL_BUT_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^\[\]{}"]+', re.DOTALL)
_FIRST: Final = to_micros(datetime.min.replace(tzinfo=UTC))
_LAST: Final = to_micros(datetime.max.replace(tzinfo=UTC))

_Decoded = tuple[_Head, dict[str, Any] | None, list[dict[str, Any]], Any]


def _decoded(body: bytes) -> _Decoded:
    if len(body) > MAX_EVENT_BYTES:
        raise InvalidEvent(f"the event has {len(body)} bytes; at most {MAX_EVENT_BYTES} are accepted")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(body)
    # Most events are ours: then one look at the bytes is enough. Else the head decides what `data` is.
    try:
        ours = _decode_ours(body)
    except msgspec.ValidationError:
        if _decode_head(body).dataschema == OUR_SCHEMA:
            raise
    else:
        if ours.dataschema == OUR_SCHEMA:
            return _of_ours(ours)
    outside = _decode_outside(body)
    return outside, _of_subject(outside.subject), [], outside.data


def _of_ours(wire: _Ours) -> _Decoded:
    parts = wire.data
    if parts is None:
        return wire, _of_subject(wire.subject), [], None
    resource: Any = parts.resource
    related: Any = parts.related or []
    if resource is None:
        resource = _of_subject(wire.subject)
    elif len(resource) < len(_RESOURCE):
        resource = _RESOURCE | resource
    for place, one in enumerate(related):
        if len(one) < len(_RELATED):
            related[place] = _RELATED | one
    return wire, resource, related, parts.payload


def _of_subject(subject: str | None) -> dict[str, Any] | None:
    if not subject:
        return None
    kind, slash, id_ = subject.partition("/")
    if not (slash and kind and id_):
        kind, id_ = "", subject
    return {**_RESOURCE, "kind": kind, "id": id_}


def _instant(moment: datetime) -> int:
    micros = to_micros(moment)
    if not _FIRST <= micros <= _LAST:
        raise InvalidEvent("time lies outside the years 1 to 9999")
    return micros


def _check_depth(body: bytes) -> None:
    """Refuse what is nested too deeply; each turn takes off the innermost brackets, at the speed of C."""
    brackets = _ALL_BUT_BRACKETS.sub(b"", body)
    for _ in range(MAX_DEPTH):
        fewer = brackets.replace(b"[]", b" ").replace(b"{}", b" ").replace(b" ", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    if brackets:
        raise InvalidEvent(f"the event is nested more than {MAX_DEPTH} deep, or is no JSON")
