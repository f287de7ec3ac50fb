"""Events: search, count, one, live, and the catalogue of types; taking them in is `api/ingest.py`."""

import re
import time
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tocsin_events.catalogue import EVENT_TYPES
from tocsin_events.counting import CountBy
from tocsin_events.duration import parse_duration
from tocsin_events.filter import EventFilter, InvalidFilter
from tocsin_events.instant import parse_rfc3339, to_rfc3339
from tocsin_server.access import Caller, Scope
from tocsin_server.api.live import live_events
from tocsin_server.api.openapi import CLOUD_EVENT
from tocsin_server.api.paging import LARGEST, Page
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of

router = APIRouter(tags=["events"])
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
_SEQUENCE: Final = re.compile(r"[0-9]{1,19}")


def _filter(
    types: Annotated[
        list[str] | None, Query(alias="type", description="patterns of types, any of them")
    ] = None,
    resource: Annotated[str | None, Query(description="KIND/ID or KIND")] = None,
    related: Annotated[list[str] | None, Query(description="[ROLE=]KIND/ID, all of them")] = None,
    label: Annotated[list[str] | None, Query(description="KEY=VALUE, all of them")] = None,
    since: Annotated[str | None, Query(description="a duration before now, or an RFC 3339 time")] = None,
    until: Annotated[str | None, Query(description="as since; excluded")] = None,
    source: str | None = None,
    cause: str | None = None,
    where: Annotated[str | None, Query(description="a condition in CEL")] = None,
) -> EventFilter:
    try:
        return EventFilter.parse(
            types=types or (),
            resource=resource,
            related=related or (),
            labels=label or (),
            since=instant_of(since, "since"),
            until=instant_of(until, "until"),
            source=source,
            cause=cause,
            where=where,
        )
    except InvalidFilter as invalid:
        raise _invalid(invalid) from None


Wanted = Annotated[EventFilter, Depends(_filter)]


@router.get("/events", response_model=Page)
async def list_events(
    request: Request,
    _: Reader,
    wanted: Wanted,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: str | None = None,
) -> Response:
    """List stored events as CloudEvents, the newest first."""
    try:
        page = await parts_of(request).events.search(wanted, limit=limit, after=cursor)
    except InvalidFilter as invalid:
        raise _invalid(invalid) from None
    body = {"items": [msgspec.Raw(one.body) for one in page.events], "next": page.next}
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get("/events/count")
async def count_events(request: Request, _: Reader, wanted: Wanted, by: CountBy = "hour") -> dict[str, Any]:
    """Count stored events by hour (its beginning), type or resource; ``complete`` tells whether all were looked at."""
    count = await parts_of(request).events.count(by, wanted)
    groups = [
        {"key": to_rfc3339(key) if isinstance(key, int) else key, "count": size} for key, size in count.groups
    ]
    return {"by": by, "complete": count.complete, "groups": groups}


@router.get("/events/stream", response_class=StreamingResponse)
async def stream_events(
    request: Request, _: Reader, wanted: Wanted, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Follow events as Server-Sent Events; resumes after ``Last-Event-ID``."""
    after = None if last_event_id is None else _sequence(last_event_id)
    lines = live_events(parts_of(request), wanted, after=after)
    return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get(
    "/events/{id_}",
    response_class=Response,
    responses={200: {"content": {"application/cloudevents+json": {"schema": CLOUD_EVENT}}}},
)
async def read_event(id_: str, request: Request, _: Reader, source: str | None = None) -> Response:
    """Return one event; where several sources gave the id, the newest unless ``source`` says which."""
    stored = await parts_of(request).events.get(id_, source)
    if stored is None:
        raise not_found("event", id_)
    return Response(stored.body, media_type="application/cloudevents+json")


@router.get("/event-types")
async def list_event_types(_: Reader) -> Page:
    """List the types of events that Tocsin makes itself, each with the schema of its payload."""
    return Page(
        items=[
            {"type": one.type, "kind": one.kind, "summary": one.summary, "payload_schema": one.payload_schema}
            for one in EVENT_TYPES.values()
        ]
    )


def instant_of(text: str | None, name: str) -> int | None:
    """Return the instant that a text names: RFC 3339, or a duration before now.

    Raises:
        Problem: 400 for another text.

    """
    if text is None:
        return None
    try:
        return time.time_ns() // 1000 - parse_duration(text)
    except ValueError:
        pass
    try:
        return parse_rfc3339(text)
    except ValueError:
        raise Problem(
            400, f"{name}: {text!r} is neither a duration such as 1h nor an RFC 3339 time with an offset."
        ) from None


def _sequence(last_event_id: str) -> int:
    if not _SEQUENCE.fullmatch(last_event_id) or int(last_event_id) > LARGEST:
        raise Problem(400, "Last-Event-ID is not an id that this stream gave.")
    return int(last_event_id)


def _invalid(invalid: InvalidFilter) -> Problem:
    return Problem(
        400,
        f"{invalid.name}: {invalid.problem}.",
        errors=[{"path": f"query/{invalid.name}", "detail": invalid.problem}],
    )
