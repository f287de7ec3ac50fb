"""Dead letters: what could not be processed, to be looked at, replayed or dropped."""

import base64
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from tocsin_events.bus import BusUnavailable
from tocsin_events.dead_letters import DeadLetter
from tocsin_events.instant import to_rfc3339
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page, place_in, to_cursor
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
Operator = Annotated[Caller, Depends(needs(Scope.RUNS_WRITE))]


@router.get("")
async def list_dead_letters(
    request: Request, _: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 50, cursor: str | None = None
) -> Page:
    """List dead letters, the newest first."""
    letters = await parts_of(request).dead_letters.ls(limit=limit, before=place_in(cursor))
    following = to_cursor((letters[-1].created, letters[-1].id)) if len(letters) == limit else None
    return Page(items=[_shown(one) for one in letters], next=following)


@router.get("/{id_}")
async def read_dead_letter(id_: str, request: Request, _: Reader) -> dict[str, Any]:
    """Return one letter with what it carried: as text, or in base64 where it is none."""
    letter = await parts_of(request).dead_letters.show(id_)
    if letter is None:
        raise not_found("dead letter", id_)
    return {**_shown(letter), "headers": dict(letter.headers), **_payload(letter.payload)}


@router.post("/{id_}/replay")
async def replay_dead_letter(id_: str, request: Request, caller: Operator) -> dict[str, Any]:
    """Put the message back where it came from."""
    parts = parts_of(request)
    try:
        done = await parts.dead_letters.replay(id_, parts.bus, at=time.time_ns() // 1000)
    except BusUnavailable as problem:
        raise _busy(problem) from problem
    if not done:
        raise not_found("dead letter", id_)
    await parts.audit.record(caller, "dead-letter.replayed", f"dead-letter/{id_}")
    return {"id": id_, "replayed": True}


@router.delete("/{id_}")
async def drop_dead_letter(id_: str, request: Request, caller: Operator) -> dict[str, Any]:
    """Remove a letter for good."""
    parts = parts_of(request)
    try:
        done = await parts.dead_letters.drop(id_, parts.bus, at=time.time_ns() // 1000)
    except BusUnavailable as problem:
        raise _busy(problem) from problem
    if not done:
        raise not_found("dead letter", id_)
    await parts.audit.record(caller, "dead-letter.dropped", f"dead-letter/{id_}")
    return {"id": id_, "dropped": True}


def _busy(problem: BusUnavailable) -> Problem:
    return Problem(503, f"The bus does not take it now ({problem}); try again.", headers={"Retry-After": "2"})


def _shown(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "created": to_rfc3339(letter.created),
        "stream": letter.stream,
        "subject": letter.subject,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "bytes": len(letter.payload),
        "replayed": None if letter.replayed is None else to_rfc3339(letter.replayed),
    }


def _payload(payload: bytes) -> dict[str, str]:
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}
