"""Automations: list, show, pause, resume, and their firings."""

import asyncio
import time
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from tocsin_automations.inquiry import CannotExplain, ask_why
from tocsin_automations.revisions import Revisions
from tocsin_automations.store import StoredFiring
from tocsin_events.bus import BusUnavailable
from tocsin_events.envelope import encode_event
from tocsin_events.identity import message_key, new_id
from tocsin_events.instant import to_rfc3339
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page, place_in, to_cursor
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.automation_status import AutomationStatus, AutomationStatuses
from tocsin_server.parts import Parts

router = APIRouter(tags=["automations"])
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
Editor = Annotated[Caller, Depends(needs(Scope.AUTOMATIONS_WRITE))]

_SOURCE: Final = "/server/api"
_WAIT_SECONDS: Final = 3.0


@router.get("/automations")
async def list_automations(request: Request, _: Reader) -> Page:
    """List all automations."""
    return Page(items=[_shown(one) for one in await _statuses(request).ls()])


@router.get("/automations/{name}")
async def read_automation(name: str, request: Request, _: Reader) -> dict[str, Any]:
    """Return one automation: its definition, its state, and why it decided what it did how often."""
    status = await _existing(request, name)
    return {
        **_shown(status),
        "definition": status.definition,
        "reasons": await _statuses(request).reasons(name),
    }


@router.get("/automations/{name}/why")
async def explain_automation(
    name: str, request: Request, _: Reader, event: str, source: str | None = None
) -> dict[str, Any]:
    """Tell why an automation fired at an event, or did not: the tree of its trigger with the value of each part."""
    parts = parts_of(request)
    try:
        explained = await ask_why(parts.events, Revisions(parts.engine), name, event, source)
    except CannotExplain as problem:
        raise Problem(404, f"{str(problem)[0].upper()}{str(problem)[1:]}.") from None
    return {
        **explained.why.to_json(),
        "revision": explained.revision,
        "note": explained.note,
        "lines": explained.why.lines(),
    }


@router.post("/automations/{name}/pause")
async def pause_automation(name: str, request: Request, caller: Editor) -> dict[str, Any]:
    """Stop an automation from firing; its open alerts are withdrawn."""
    return await _switch(request, name, caller, paused=True)


@router.post("/automations/{name}/resume")
async def resume_automation(name: str, request: Request, caller: Editor) -> dict[str, Any]:
    """Let an automation fire again."""
    return await _switch(request, name, caller, paused=False)


@router.get("/firings")
async def list_firings(
    request: Request,
    _: Reader,
    automation: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Page:
    """List firings, the newest first."""
    firings = await _statuses(request).firings(automation, limit=limit, before=place_in(cursor))
    following = to_cursor((firings[-1].at, firings[-1].id)) if len(firings) == limit else None
    return Page(items=[_firing(one) for one in firings], next=following)


@router.get("/firings/{id_}")
async def read_firing(id_: str, request: Request, _: Reader) -> dict[str, Any]:
    """Return one firing with all that its event said."""
    firing = await _statuses(request).firing(id_)
    if firing is None:
        raise not_found("firing", id_)
    event = msgspec.json.decode(firing.body)
    return {**_firing(firing), "payload": event["data"]["payload"]}


def _statuses(request: Request) -> AutomationStatuses:
    parts = parts_of(request)
    return AutomationStatuses(parts.engine, parts.config)


async def _existing(request: Request, name: str) -> AutomationStatus:
    status = await _statuses(request).get(name)
    if status is None:
        raise not_found("automation", name)
    return status


async def _switch(request: Request, name: str, caller: Caller, *, paused: bool) -> dict[str, Any]:
    """Put the event that switches an automation on the bus, and wait until the engine has come to it."""
    await _existing(request, name)
    parts = parts_of(request)
    type_ = "automation.paused" if paused else "automation.resumed"
    id_ = new_id()
    body = encode_event(
        id=id_,
        type=type_,
        source=_SOURCE,
        time=time.time_ns() // 1000,
        resource={"kind": "automation", "id": name, "name": name},
        payload={"by": caller.name},
    )
    try:
        await parts.bus.publish(body, type=type_, key=message_key(_SOURCE, id_))
    except BusUnavailable as problem:
        raise Problem(
            503, f"The bus does not take the change now ({problem}); try again.", headers={"Retry-After": "2"}
        ) from problem
    await parts.audit.record(caller, type_, f"automation/{name}")
    return {"name": name, "paused": paused, "pending": not await _came_true(parts, name, paused=paused)}


async def _came_true(parts: Parts, name: str, *, paused: bool) -> bool:
    statuses = AutomationStatuses(parts.engine, parts.config)
    end = time.monotonic() + _WAIT_SECONDS
    while (name in await statuses.paused()) is not paused:
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.1)
    return True


def _shown(status: AutomationStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "description": status.definition.get("description", ""),
        "labels": status.definition.get("labels", {}),
        "paused": status.paused,
        "revision": status.revision,
        "firings": status.firings,
        "last_fired": None if status.last_fired is None else to_rfc3339(status.last_fired),
        "decisions": status.decisions,
        "managed": True,
    }


def _firing(firing: StoredFiring) -> dict[str, Any]:
    return {
        "id": firing.id,
        "automation": firing.automation,
        "revision": firing.revision,
        "at": to_rfc3339(firing.at),
        "state": firing.state,
        "key": list(firing.key),
        "count": firing.count,
        "alert": firing.alert,
        "events": list(firing.events),
        "reason": firing.reason,
    }
