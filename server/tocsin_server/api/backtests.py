"""``POST /api/v1/backtests``: what rules would have done over the stored events."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import StreamingResponse

from tocsin_automations.automation import Automation
from tocsin_automations.store import EngineStore
from tocsin_events.instant import to_rfc3339
from tocsin_server.access import Caller, Scope
from tocsin_server.api.config import Files, refused
from tocsin_server.api.events import instant_of
from tocsin_server.api.problem import Problem
from tocsin_server.api.security import needs, parts_of
from tocsin_server.backtests import Period, Progress, grouping_of, run_backtest
from tocsin_server.config import InvalidFiles
from tocsin_server.config_files import read_files
from tocsin_server.parts import Parts

router = APIRouter(tags=["automations"])


class WantedBacktest(Files):
    """Files whose automations are tested, from when to when (durations before now, or RFC 3339), and which of them."""

    since: str
    until: str | None = None
    names: tuple[str, ...] = ()


@router.post("/backtests", response_class=StreamingResponse)
async def run_backtest_of_files(
    wanted: WantedBacktest, request: Request, _: Annotated[Caller, Depends(needs(Scope.READ))]
) -> StreamingResponse:
    """Evaluate the automations of files over the log; nothing acts.

    The answer is JSON by line: progress (``events``, ``share``), and the report as the last line.
    """
    parts = parts_of(request)
    try:
        plan = await parts.config.plan(wanted.sources())
    except InvalidFiles as invalid:
        raise refused(invalid) from None
    period = _period(wanted)
    names = set(wanted.names or read_files(wanted.sources()).of("automations"))
    written = plan.content.get("automations", {})
    unknown = names - set(written)
    if unknown:
        raise Problem(400, f"The files define no automation {min(unknown)!r}.")
    automations = [Automation.model_validate({**written[name], "name": name}) for name in sorted(names)]
    lines = _lines(parts, automations, period, plan.content.get("notifiers", {}))
    return StreamingResponse(lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


def _period(wanted: WantedBacktest) -> Period:
    since = instant_of(wanted.since, "since")
    until = instant_of(wanted.until, "until")
    end = time.time_ns() // 1000 if until is None else until
    if since is None or since >= end:
        raise Problem(400, "A backtest begins before it ends: since must lie before until.")
    return Period(since, end)


async def _lines(
    parts: Parts, automations: list[Automation], period: Period, notifiers: Mapping[str, Any]
) -> AsyncIterator[str]:
    store = EngineStore(parts.engine)
    async for one in run_backtest(parts.events, store, automations, period, grouping_of(notifiers)):
        if isinstance(one, Progress):
            yield json.dumps({"events": one.events, "share": round(one.share, 4)}) + "\n"
        else:
            yield (
                json.dumps(
                    {
                        "since": to_rfc3339(period.since),
                        "until": to_rfc3339(period.until),
                        "automations": [tested.to_json() for tested in one],
                    }
                )
                + "\n"
            )
