"""The built-in inbox."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from tocsin_events.instant import to_rfc3339
from tocsin_notifiers.inbox_store import Kept
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import LARGEST, Page, number_in, to_cursor
from tocsin_server.api.problem import not_found
from tocsin_server.api.security import needs, parts_of

router = APIRouter(prefix="/inbox", tags=["inbox"])
Number = Annotated[int, Path(ge=1, lt=LARGEST)]


@router.get("")
async def list_inbox(
    request: Request,
    _: Annotated[Caller, Depends(needs(Scope.READ))],
    unread: bool = False,
    alert: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Page:
    """List messages, the newest first."""
    kept = await parts_of(request).notifications.inbox.ls(
        limit=limit, before=number_in(cursor), unread=unread, alert=alert
    )
    following = to_cursor(kept[-1].number) if len(kept) == limit else None
    return Page(items=[_shown(one) for one in kept], next=following)


@router.get("/{number}")
async def read_message(
    number: Number, request: Request, _: Annotated[Caller, Depends(needs(Scope.READ))]
) -> dict[str, Any]:
    """Return one message; it stays as unread as it was."""
    for kept in await parts_of(request).notifications.inbox.ls(limit=1, before=number + 1):
        if kept.number == number:
            return _shown(kept)
    raise not_found("message", str(number))


@router.post("/{number}/read")
async def read_inbox_message(
    number: Number, request: Request, _: Annotated[Caller, Depends(needs(Scope.RUNS_WRITE))]
) -> dict[str, Any]:
    """Mark a message as read."""
    if not await parts_of(request).notifications.inbox.mark_read(number, time.time_ns() // 1000):
        raise not_found("message", str(number))
    return {"number": number, "read": True}


def _shown(kept: Kept) -> dict[str, Any]:
    message = kept.message
    return {
        "number": kept.number,
        "at": to_rfc3339(kept.at),
        "status": str(message.status),
        "severity": str(message.severity),
        "title": message.title,
        "body": message.body,
        "alert": message.alert.id if message.alert else None,
        "read": kept.read_at is not None,
        "message": message.model_dump(mode="json"),
    }
