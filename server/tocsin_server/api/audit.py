"""The audit record."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page, number_in, to_cursor
from tocsin_server.api.security import needs, parts_of
from tocsin_server.api.times import with_times

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("")
async def list_audit(
    request: Request,
    _: Annotated[Caller, Depends(needs(Scope.ADMIN))],
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Page:
    """List changes, the newest first."""
    rows = await parts_of(request).audit.ls(limit=limit, before=number_in(cursor))
    following = to_cursor(rows[-1]["number"]) if len(rows) == limit else None
    return Page(items=[with_times(row) for row in rows], next=following)
