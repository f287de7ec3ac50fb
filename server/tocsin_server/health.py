"""``/healthz``: the process answers. ``/readyz``: database, bus and services work. ``/metrics``: the counts."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tocsin_server.access import Caller, Scope
from tocsin_server.api.security import known_caller, needs, parts_of
from tocsin_server.backlog import LAGGING_SECONDS, backlog, engine_lag
from tocsin_server.parts import Parts

_PATIENCE_SECONDS = 2.0

router = APIRouter(tags=["health"])


@router.api_route("/healthz", methods=["GET", "HEAD"], include_in_schema=False)
async def healthz() -> Response:
    """Tell that the process answers."""
    return JSONResponse({"status": "ok"})


@router.api_route("/readyz", methods=["GET", "HEAD"], include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Tell whether all parts work; which one does not is said to callers with a key."""
    problems = await find_problems(parts_of(request))
    status = 503 if problems else 200
    body: dict[str, object] = {"status": "not ready" if problems else "ready"}
    if problems and await _is_known(request):
        body["problems"] = dict(problems)
    return JSONResponse(body, status)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, _: Annotated[Caller, Depends(needs(Scope.READ))]) -> Response:
    """Return the counts in Prometheus's text format."""
    parts = parts_of(request)
    parts.metrics.note(await backlog(parts.bus, parts.events, parts.supervisor))
    content = await parts.metrics.render(parts.engine)
    return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


async def find_problems(parts: Parts) -> Mapping[str, str]:
    """Return each part that does not work with what is wrong with it."""
    problems = {}
    database = await _database_problem(parts)
    if database:
        problems["database"] = database
    if not parts.bus.connected:
        problems["bus"] = "not connected"
    for name, status in parts.supervisor.status.items():
        if status.state != "running":
            problems[name] = f"{status.state}: {status.problem}"
    lag = engine_lag(parts.supervisor)
    if lag is not None and lag > LAGGING_SECONDS:
        problems.setdefault("engine", f"{lag:.0f} s behind")
    return problems


async def _database_problem(parts: Parts) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), parts.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except TimeoutError:
        return f"no answer within {_PATIENCE_SECONDS:g} s"
    except Exception as problem:  # noqa: BLE001 - whatever a driver raises means the same here
        return type(problem).__name__
    return ""


async def _is_known(request: Request) -> bool:
    try:
        return await known_caller(request) is not None
    except Exception:  # noqa: BLE001 - with the database away nobody is known
        return False
