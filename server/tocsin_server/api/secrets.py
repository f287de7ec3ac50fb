"""Secrets: set, list, remove; reading a value needs a scope of its own."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, SecretStr
from starlette.requests import Request

from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.api.times import with_times
from tocsin_server.errors import UserError

router = APIRouter(prefix="/secrets", tags=["secrets"])
Admin = Annotated[Caller, Depends(needs(Scope.ADMIN))]


class SecretWanted(BaseModel):
    """A secret's value."""

    model_config = ConfigDict(extra="forbid")

    value: SecretStr


@router.get("")
async def list_secrets(request: Request, _: Annotated[Caller, Depends(needs(Scope.READ))]) -> Page:
    """List names, never values."""
    return Page(items=[with_times(row) for row in await parts_of(request).vault.ls()])


@router.put("/{name}")
async def set_secret(name: str, wanted: SecretWanted, request: Request, caller: Admin) -> dict[str, Any]:
    """Keep a secret, new or again."""
    parts = parts_of(request)
    try:
        new = await parts.vault.set(name, wanted.value.get_secret_value(), by=caller.name)
    except UserError as problem:
        raise Problem(400, f"{problem.what} {problem.why}") from None
    await parts.audit.record(caller, "secret.set", f"secret/{name}")
    return {"name": name, "created": new}


@router.get("/{name}/value")
async def read_secret(
    name: str, request: Request, caller: Annotated[Caller, Depends(needs(Scope.SECRETS_READ))]
) -> dict[str, Any]:
    """Return a secret's value; who read it is recorded."""
    parts = parts_of(request)
    value = await parts.vault.get(name)
    if value is None:
        raise not_found("secret", name)
    await parts.audit.record(caller, "secret.read", f"secret/{name}")
    return {"name": name, "value": value}


@router.delete("/{name}")
async def remove_secret(name: str, request: Request, caller: Admin) -> dict[str, Any]:
    """Forget a secret."""
    parts = parts_of(request)
    if not await parts.vault.rm(name):
        raise not_found("secret", name)
    await parts.audit.record(caller, "secret.removed", f"secret/{name}")
    return {"name": name, "removed": True}
