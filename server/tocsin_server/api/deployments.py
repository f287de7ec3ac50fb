"""Deployments: list, show, pause, resume."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from tocsin_events.instant import to_rfc3339
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page
from tocsin_server.api.problem import not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.deployments import NoSuchDeployment, Origin, StoredDeployment

router = APIRouter(tags=["deployments"])
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
Operator = Annotated[Caller, Depends(needs(Scope.RUNS_WRITE))]


@router.get("/deployments")
async def list_deployments(request: Request, _: Reader) -> Page:
    """List all deployments, by name."""
    return Page(items=[_shown(one) for one in await parts_of(request).deployments.ls()])


@router.get("/deployments/{name}")
async def read_deployment(name: str, request: Request, _: Reader) -> dict[str, Any]:
    """Return one deployment, with the JSON schema of its flow's parameters."""
    stored = await _existing(request, name)
    return {**_shown(stored), "parameter_schema": stored.parameter_schema}


@router.post("/deployments/{name}/pause")
async def pause_deployment(name: str, request: Request, caller: Operator) -> dict[str, Any]:
    """Keep a deployment's runs from starting; those that run go on."""
    return await _switch(request, name, caller, paused=True)


@router.post("/deployments/{name}/resume")
async def resume_deployment(name: str, request: Request, caller: Operator) -> dict[str, Any]:
    """Let a deployment's runs start again."""
    return await _switch(request, name, caller, paused=False)


async def _existing(request: Request, name: str) -> StoredDeployment:
    try:
        return await parts_of(request).deployments.get(name)
    except NoSuchDeployment:
        raise not_found("deployment", name) from None


async def _switch(request: Request, name: str, caller: Caller, *, paused: bool) -> dict[str, Any]:
    parts = parts_of(request)
    switch = parts.deployments.pause if paused else parts.deployments.resume
    try:
        changed = await switch(name, Origin(reason=f"by {caller.name}"))
    except NoSuchDeployment:
        raise not_found("deployment", name) from None
    if changed:
        action = "deployment.paused" if paused else "deployment.resumed"
        await parts.audit.record(caller, action, f"deployment/{name}")
    return {**_shown(await _existing(request, name)), "changed": changed}


def _shown(stored: StoredDeployment) -> dict[str, Any]:
    written = stored.model_dump(mode="json", exclude={"parameter_schema"})
    return {**written, "created": to_rfc3339(stored.created), "updated": to_rfc3339(stored.updated)}
