"""Silences: for a time, alerts that match say nothing."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from tocsin_events.duration import parse_duration
from tocsin_events.expression import ExpressionSyntaxError
from tocsin_events.instant import parse_rfc3339, to_rfc3339
from tocsin_notifiers import alerts
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.names import names_of_alert
from tocsin_notifiers.service import NotFound
from tocsin_notifiers.silence import EmptySilence, Silence, TooWide
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.parts import Parts

router = APIRouter(prefix="/silences", tags=["silences"])
Operator = Annotated[Caller, Depends(needs(Scope.RUNS_WRITE))]


class SilenceWanted(BaseModel):
    """A silence: a CEL matcher, how long (or until when), and from when; ``everything`` allows one that hits all."""

    model_config = ConfigDict(extra="forbid")

    matcher: str = Field(min_length=1, max_length=5000)
    duration: str | None = None
    starts: str | None = None
    ends: str | None = None
    comment: str = Field(default="", max_length=2000)
    everything: bool = False


@router.get("")
async def list_silences(
    request: Request, _: Annotated[Caller, Depends(needs(Scope.READ))], all_: bool = False
) -> Page:
    """List the silences in force or to come; with ``all_`` those that are over, too."""
    now = time.time_ns() // 1000
    found = await parts_of(request).notifications.silences.ls(now=now, all_=all_)
    return Page(items=[_shown(one, now) for one in found])


@router.post("", status_code=201)
async def create_silence(wanted: SilenceWanted, request: Request, caller: Operator) -> dict[str, Any]:
    """Make a silence; ``matches`` counts the open alerts that it is true of."""
    parts, now = parts_of(request), time.time_ns() // 1000
    try:
        starts = parse_rfc3339(wanted.starts) if wanted.starts else now
        if (wanted.duration is None) == (wanted.ends is None):
            raise Problem(400, "A silence has either a duration or an end.")
        ends = parse_rfc3339(wanted.ends) if wanted.ends else starts + parse_duration(wanted.duration or "")
        made = await parts.notifications.silence(
            wanted.matcher,
            starts=starts,
            ends=ends,
            author=caller.name,
            comment=wanted.comment,
            everything=wanted.everything,
        )
    except (TooWide, EmptySilence, ExpressionSyntaxError, ValueError) as problem:
        raise Problem(400, f"{problem}") from None
    await parts.audit.record(caller, "silence.created", f"silence/{made.id}", after=wanted.model_dump())
    return {**_shown(made, now), "matches": await _matches(parts, made)}


@router.delete("/{id_}")
async def delete_silence(id_: str, request: Request, caller: Operator) -> dict[str, Any]:
    """End a silence before its time."""
    parts = parts_of(request)
    try:
        await parts.notifications.delete_silence(id_)
    except NotFound:
        raise not_found("silence", id_) from None
    await parts.audit.record(caller, "silence.deleted", f"silence/{id_}")
    return {"id": id_, "deleted": True}


async def _matches(parts: Parts, silence: Silence) -> int:
    conditions = Conditions()
    async with parts.engine.connect() as connection:
        kept = await alerts.open_ones(connection)
    return sum(conditions.match(silence.matcher, names_of_alert(one.alert, one.firing)) for one in kept)


def _shown(silence: Silence, now: int) -> dict[str, Any]:
    return {
        "id": silence.id,
        "matcher": silence.matcher,
        "state": silence.state(now),
        "starts": to_rfc3339(silence.starts),
        "ends": to_rfc3339(silence.ends),
        "author": silence.author,
        "comment": silence.comment,
    }
