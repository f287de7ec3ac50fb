"""How the server is: its services, and how much waits for whom."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from tocsin_server.access import Caller, Scope
from tocsin_server.api.security import needs, parts_of
from tocsin_server.backlog import backlog
from tocsin_server.metrics import tocsin_version

router = APIRouter(tags=["status"])


@router.get("/status")
async def read_status(request: Request, _: Annotated[Caller, Depends(needs(Scope.READ))]) -> dict[str, Any]:
    """Tell how the services of this process are, how many messages wait for each consumer, and the engine's lag."""
    parts = parts_of(request)
    waiting = await backlog(parts.bus, parts.events, parts.supervisor)
    return {
        "version": tocsin_version(),
        "url": parts.public_url,
        "revision": (await parts.config.current()).revision,
        "services": [{"name": name, **asdict(status)} for name, status in parts.supervisor.status.items()],
        "pending": dict(waiting.pending),
        "engine_lag_seconds": waiting.engine_lag,
    }
