"""Alerts: list, show with the whole story, acknowledge, resolve."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from tocsin_events.instant import to_rfc3339
from tocsin_notifiers.alert import Alert, AlertState, Refused
from tocsin_notifiers.service import AlertStory, NotFound
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page, place_in, to_cursor
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.api.tellings import delivery_shown, way_shown

router = APIRouter(prefix="/alerts", tags=["alerts"])
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
Operator = Annotated[Caller, Depends(needs(Scope.RUNS_WRITE))]


class Resolution(BaseModel):
    """Why an alert is ended by hand."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=2000)


@router.get("")
async def list_alerts(
    request: Request,
    _: Reader,
    state: Annotated[list[AlertState] | None, Query()] = None,
    automation: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Page:
    """List alerts, the last changed first."""
    alerts = await parts_of(request).notifications.alerts.ls(
        states=state or (),
        automation=automation,
        limit=limit,
        before=place_in(cursor),
    )
    following = to_cursor((alerts[-1].updated, alerts[-1].id)) if len(alerts) == limit else None
    return Page(items=[_shown(one) for one in alerts], next=following)


@router.get("/{id_}")
async def read_alert(id_: str, request: Request, _: Reader) -> dict[str, Any]:
    """Return an alert: its history, who was told or not and why, and each delivery."""
    notifications = parts_of(request).notifications
    try:
        return _story(await notifications.story(id_), notifications.broken)
    except NotFound:
        raise not_found("alert", id_) from None


@router.post("/{id_}/ack")
async def acknowledge_alert(id_: str, request: Request, caller: Operator) -> dict[str, Any]:
    """Stop reminders and escalation; everyone who was told hears who did it."""
    parts = parts_of(request)
    try:
        alert = await parts.notifications.acknowledge(id_, by=caller.name)
    except NotFound:
        raise not_found("alert", id_) from None
    except Refused as refused:
        raise Problem(409, f"{refused}.") from None
    await parts.audit.record(caller, "alert.acknowledged", f"alert/{id_}")
    return _shown(alert)


@router.post("/{id_}/resolve")
async def resolve_alert(
    id_: str, request: Request, caller: Operator, wanted: Resolution | None = None
) -> dict[str, Any]:
    """End an alert by hand; everyone who was told hears of it."""
    parts = parts_of(request)
    reason = wanted.reason if wanted is not None else ""
    try:
        alert = await parts.notifications.resolve(id_, by=caller.name, reason=reason)
    except NotFound:
        raise not_found("alert", id_) from None
    except Refused as refused:
        raise Problem(409, f"{refused}.") from None
    await parts.audit.record(caller, "alert.resolved", f"alert/{id_}", after={"reason": reason})
    return _shown(alert)


def _shown(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "automation": alert.automation,
        "key": list(alert.key),
        "state": str(alert.state),
        "severity": str(alert.severity),
        "title": alert.title,
        "count": alert.count,
        "opened": to_rfc3339(alert.opened),
        "updated": to_rfc3339(alert.updated),
        "ended": None if alert.ended is None else to_rfc3339(alert.ended),
        "acknowledged_by": alert.acknowledged_by or None,
        "acknowledged_at": None if alert.acknowledged_at is None else to_rfc3339(alert.acknowledged_at),
        "reason": alert.reason,
        "labels": dict(alert.labels),
    }


def _story(story: AlertStory, broken: Mapping[str, str]) -> dict[str, Any]:
    return {
        **_shown(story.alert),
        "history": [
            {
                "at": to_rfc3339(one.at),
                "step": str(one.step),
                "by": one.by,
                "detail": one.detail,
                "cause": one.cause,
            }
            for one in story.history
        ],
        "ways": [way_shown(way, broken) for way in story.ways],
        "deliveries": [delivery_shown(one) for one in story.deliveries],
        "firing": story.firing,
    }
