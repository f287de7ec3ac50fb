"""Runs: start, list, show, read the log, cancel."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from tocsin_events.bus import BusUnavailable
from tocsin_events.duration import parse_duration
from tocsin_events.instant import parse_rfc3339, to_rfc3339
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import LARGEST, Page, place_in, to_cursor
from tocsin_server.api.problem import Problem, not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.deployments import NoSuchDeployment, Origin
from tocsin_server.parameters import InvalidParameters
from tocsin_server.runs import NoSuchRun, Run, RunEnded, RunRequest

router = APIRouter(tags=["runs"])
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
Operator = Annotated[Caller, Depends(needs(Scope.RUNS_WRITE))]

_INSTANTS = ("created", "due", "started", "ended", "state_time")


class NewRun(BaseModel):
    """A run to be started: ``parameters`` beside the deployment's own, ``delay`` as ``30s`` or ``1h30m``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: tuple[str, ...] = Field(default=(), max_length=100)
    name: str | None = Field(default=None, min_length=1, max_length=200)
    delay: str | None = None
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=500)


@router.post("/deployments/{name}/runs", status_code=201)
async def create_run(
    name: str,
    wanted: NewRun,
    request: Request,
    caller: Operator,
    idempotency_key: Annotated[str | None, Header(max_length=500)] = None,
) -> JSONResponse:
    """Start a run of a deployment: 201 for a new one, 200 for the one that the idempotency key has made already."""
    parts = parts_of(request)
    try:
        run, new = await parts.runs.create(name, _request(wanted, idempotency_key, caller))
    except NoSuchDeployment:
        raise not_found("deployment", name) from None
    except InvalidParameters as problem:
        raise Problem(
            400,
            f"The parameters don't fit the flow of {name!r}: {problem}.",
            errors=[{"path": "parameters", "detail": one} for one in problem.problems],
        ) from None
    if new:
        await parts.audit.record(caller, "run.created", f"run/{run.id}")
    return JSONResponse(_shown(run), 201 if new else 200)


@router.get("/runs")
async def list_runs(
    request: Request,
    _: Reader,
    deployment: str | None = None,
    flow: str | None = None,
    state: Annotated[list[str] | None, Query()] = None,
    since: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Page:
    """List runs, the newest first."""
    runs = await parts_of(request).runs.ls(
        deployment=deployment,
        flow=flow,
        states=tuple(state or ()),
        since=_instant(since),
        before=place_in(cursor),
        limit=limit,
    )
    following = to_cursor((runs[-1].created, runs[-1].id)) if len(runs) == limit else None
    return Page(items=[_shown(run) for run in runs], next=following)


@router.get("/runs/{id_}")
async def read_run(id_: str, request: Request, _: Reader) -> dict[str, Any]:
    """Return one run."""
    return _shown(await _existing(request, id_))


@router.get("/runs/{id_}/logs")
async def read_run_logs(
    id_: str,
    request: Request,
    _: Reader,
    after: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> Page:
    """Return lines of a run's log in order, those after the number ``after``."""
    await _existing(request, id_)
    lines = await parts_of(request).runs.logs(id_, after=after, limit=limit)
    shown = [{**line.model_dump(), "time": to_rfc3339(line.time)} for line in lines]
    return Page(items=shown, next=str(lines[-1].sequence) if len(lines) == limit else None)


@router.post("/runs/{id_}/cancel")
async def cancel_run(id_: str, request: Request, caller: Operator) -> dict[str, Any]:
    """End a run: one that waits never starts, one that is executed is terminated."""
    parts = parts_of(request)
    try:
        run = await parts.runs.cancel(id_, Origin(reason=f"by {caller.name}"))
    except NoSuchRun:
        raise not_found("run", id_) from None
    except RunEnded as problem:
        raise Problem(409, f"{problem}.") from None
    except BusUnavailable as problem:
        raise Problem(503, f"{problem}; try again.", headers={"Retry-After": "2"}) from None
    await parts.audit.record(caller, "run.cancelled", f"run/{id_}")
    return _shown(run)


async def _existing(request: Request, id_: str) -> Run:
    try:
        return await parts_of(request).runs.get(id_)
    except NoSuchRun:
        raise not_found("run", id_) from None


def _request(wanted: NewRun, header: str | None, caller: Caller) -> RunRequest:
    try:
        delay = parse_duration(wanted.delay) if wanted.delay is not None else 0
    except ValueError as problem:
        raise Problem(400, f"delay: {problem}.") from None
    return RunRequest(
        parameters=wanted.parameters,
        idempotency_key=wanted.idempotency_key or header,
        tags=wanted.tags,
        name=wanted.name,
        delay=delay,
        origin=Origin(reason=f"by {caller.name}"),
    )


def _instant(text: str | None) -> int | None:
    try:
        return None if text is None else parse_rfc3339(text)
    except ValueError as problem:
        raise Problem(400, f"since: {problem}.") from None


def _shown(run: Run) -> dict[str, Any]:
    instants = {
        name: None if value is None else to_rfc3339(value)
        for name, value in run.model_dump(include=set(_INSTANTS)).items()
    }
    return {**run.model_dump(mode="json"), **instants}
