"""``POST /api/v1/events``: takes CloudEvents and answers 202 when the bus has acknowledged them.

A plain Starlette route: it is the hot one. Repeating a request is safe, as source and id make an event unique.
"""

import asyncio
import time
from collections.abc import Sequence

import msgspec
import structlog
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from tocsin_events.bus import BusUnavailable, event_subject
from tocsin_events.cloudevent import (
    BATCH,
    STRUCTURED,
    EventTooLarge,
    InvalidCloudEvent,
    from_batch,
    from_binary,
    from_structured,
    to_json,
)
from tocsin_events.event import Event
from tocsin_events.streams import told_by_service_alone
from tocsin_server.access import Scope
from tocsin_server.api.problem import Problem, response_of, unforeseen
from tocsin_server.api.quick import Message, quick_messages
from tocsin_server.api.security import parts_of, require
from tocsin_server.parts import Parts

_log = structlog.get_logger("tocsin.api")


class Ingest:
    """The route's handler; it bounds how many requests are under way."""

    def __init__(self, *, max_bytes: int, max_pending: int) -> None:
        self._max_bytes = max_bytes
        self._places = asyncio.Semaphore(max_pending)

    async def answer(self, request: Request) -> Response:
        """Check the key and the events, publish them, answer."""
        parts = parts_of(request)
        metrics = parts.metrics
        try:
            return await self._take(request, parts)
        except Problem as problem:
            metrics.rejected.labels(reason=_REASONS.get(problem.status, "other")).inc()
            return response_of(problem)

    async def _take(self, request: Request, parts: Parts) -> Response:
        await require(request, Scope.EVENTS_WRITE)
        if self._places.locked():
            raise Problem(
                429, "Too many requests with events are under way; try again.", headers={"Retry-After": "1"}
            )
        async with self._places:
            body = await read_body(request, self._max_bytes)
            messages = decode(request, body)
            _refuse_orders(messages)
            try:
                await parts.bus.publish_many(messages)
            except BusUnavailable as problem:
                raise Problem(
                    503,
                    f"The bus does not take events now ({problem}); try again.",
                    headers={"Retry-After": "2"},
                ) from problem
            parts.metrics.received.labels(source="http").inc(len(messages))
        return Response(_answer(len(messages)), 202, media_type="application/json")


class IngestFirst:
    """Hands requests with events to `Ingest`, and all others to the application.

    The application's own layers cost a request as much as the work itself.
    """

    def __init__(self, app: FastAPI, ingest: Ingest, path: str) -> None:
        self._app, self._ingest, self._path = app, ingest, path

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        request = Request(scope, receive)
        try:
            answer = await self._ingest.answer(request)
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request
            _log.exception("events could not be taken")
            answer = await unforeseen(request, error)
        await answer(scope, receive, send)


async def read_body(request: Request, limit: int) -> bytes:
    """Return a request's body, read no further than ``limit`` bytes.

    Raises:
        Problem: 413 for a longer one.

    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    except ClientDisconnect:
        raise Problem(400, "The request ended before its body did.") from None
    return b"".join(chunks)


def decode(request: Request, body: bytes) -> Sequence[Message]:
    """Return the events of a request as the bus takes them.

    Raises:
        Problem: 400 with the path of what is wrong, 413 for an event that is too large, 415 for another kind of body.

    """
    received = time.time_ns() // 1000
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in (STRUCTURED, BATCH) and (quick := quick_messages(body, batch=media == BATCH)) is not None:
        return quick
    try:
        if media == STRUCTURED:
            events = [from_structured(body, received=received)]
        elif media == BATCH:
            events = from_batch(body, received=received)
        elif "ce-specversion" in request.headers:
            events = [from_binary(request.headers, body, received=received)]
        else:
            raise Problem(
                415,
                f"Send CloudEvents: {STRUCTURED}, {BATCH}, or any body with ce-… headers (binary mode).",
            )
        return [_message(event) for event in events]
    except InvalidCloudEvent as problem:
        status = 413 if isinstance(problem, EventTooLarge) else 400
        errors = [{"path": problem.path, "detail": problem.problem}]
        raise Problem(status, f"{problem}.", errors=errors) from None


def _refuse_orders(messages: Sequence[Message]) -> None:
    """Refuse events that the service itself obeys: who may write events may not fire, pause or apply."""
    for number, (type_, _, _) in enumerate(messages):
        if told_by_service_alone(type_):
            detail = f"{type_!r} is told by the service alone; choose a type of your own"
            raise Problem(400, f"{detail}.", errors=[{"path": f"{number}.type", "detail": detail}])


def _message(event: Event) -> Message:
    try:
        event_subject(event.type)
    except ValueError as problem:
        raise InvalidCloudEvent("type", str(problem)) from None
    return event.type, event.key, to_json(event)


def _answer(accepted: int) -> bytes:
    return msgspec.json.encode({"accepted": accepted})


def _too_large(limit: int) -> Problem:
    return Problem(413, f"The body is larger than {limit} bytes; send fewer events in one request.")


_REASONS = {
    400: "invalid",
    401: "unauthenticated",
    403: "denied",
    413: "too_large",
    415: "media_type",
    429: "busy",
    503: "bus_unavailable",
}
