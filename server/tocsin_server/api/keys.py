"""API keys: create, list, revoke."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from tocsin_events.duration import parse_duration
from tocsin_server.access import ROLES, Caller, Scope
from tocsin_server.api.paging import Page
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.api.times import with_times

router = APIRouter(prefix="/keys", tags=["keys"])
Admin = Annotated[Caller, Depends(needs(Scope.ADMIN))]


class KeyWanted(BaseModel):
    """A key to be made: a role, scopes, or both; ``expires_in`` is a duration such as 90d."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
    role: str | None = None
    scopes: tuple[Scope, ...] = ()
    expires_in: str | None = None


@router.post("", status_code=201)
async def create_key(wanted: KeyWanted, request: Request, caller: Admin) -> dict[str, Any]:
    """Make a key; this answer is the only place that ever shows it."""
    if wanted.role is not None and wanted.role not in ROLES:
        raise Problem(400, f"There is no role {wanted.role!r}; there are {', '.join(ROLES)}.")
    if wanted.role is None and not wanted.scopes:
        raise Problem(400, "A key needs a role or at least one scope.")
    expires_at = None
    if wanted.expires_in is not None:
        try:
            expires_at = time.time_ns() // 1000 + parse_duration(wanted.expires_in)
        except ValueError as problem:
            raise Problem(400, f"expires_in: {problem}.") from None
    parts = parts_of(request)
    made = await parts.access.create(
        wanted.name, scopes=wanted.scopes, role=wanted.role, expires_at=expires_at, by=caller
    )
    after = {"role": wanted.role, "scopes": [str(scope) for scope in wanted.scopes]}
    await parts.audit.record(caller, "key.created", f"key/{wanted.name}", after=after)
    return {"id": made.id, "name": made.name, "key": made.key}


@router.get("")
async def list_keys(request: Request, _: Admin) -> Page:
    """List all keys; none is shown itself."""
    return Page(items=[with_times(row) for row in await parts_of(request).access.ls()])


@router.delete("/{name}")
async def revoke_key(name: str, request: Request, caller: Admin) -> dict[str, Any]:
    """End every valid key with this name or id."""
    parts = parts_of(request)
    ended = await parts.access.revoke(name)
    if not ended:
        raise not_found("valid key", name)
    await parts.audit.record(caller, "key.revoked", f"key/{name}")
    return {"name": name, "revoked": ended}
