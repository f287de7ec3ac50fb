"""The HTTP application: the routes of the API, health, and the page of its schema."""

from importlib import import_module
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import ASGIApp

from tocsin_server import health
from tocsin_server.api import ack, pictures, problem, schema_page, signposts
from tocsin_server.api.hooks import SlackButtons
from tocsin_server.api.ingest import Ingest, IngestFirst
from tocsin_server.api.security import HostGuard, is_loopback
from tocsin_server.metrics import tocsin_version
from tocsin_server.parts import Parts
from tocsin_server.presses import Presses

PREFIX: Final = "/api/v1"

_ROUTERS: Final = (
    "events",
    "automations",
    "backtests",
    "alerts",
    "deployments",
    "runs",
    "inbox",
    "notifiers",
    "silences",
    "secrets",
    "keys",
    "config",
    "dead_letters",
    "audit",
    "status",
)


def create_app(parts: Parts) -> ASGIApp:
    """Return the application of a server with these parts.

    Health and metrics are there whatever the process runs, the API only with the service ``api``.
    """
    app = FastAPI(
        title="Tocsin",
        version=tocsin_version(),
        description="Event-driven automation and notification for data workflows.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    app.state.parts = parts
    problem.install(app)
    app.include_router(health.router)
    if "api" in parts.settings.server.services:
        return HostGuard(_with_api(app, parts), names=own_names(parts))
    return HostGuard(app, names=own_names(parts))


def own_names(parts: Parts) -> frozenset[str] | None:
    """Return the names that a Host header may carry; None where any may."""
    server = parts.settings.server
    if not is_loopback(server.host) and not server.allowed_hosts:
        return None
    public = urlsplit(server.public_url).hostname if server.public_url else None
    names = {"127.0.0.1", "localhost", "::1", server.host, *server.allowed_hosts}
    return frozenset(names | {public} if public else names)


def _with_api(app: FastAPI, parts: Parts) -> ASGIApp:
    events = parts.settings.events
    ingest = Ingest(max_bytes=events.max_request_bytes, max_pending=events.max_pending_requests)
    # Answered by `IngestFirst`; as a route, too, so that the application knows the method.
    app.router.routes.insert(0, Route(f"{PREFIX}/events", ingest.answer, methods=["POST"]))
    presses = Presses(parts.engine, parts.notifications, parts.runs, parts.outgoing, parts.audit)
    buttons = SlackButtons(presses)
    app.router.routes.append(Route("/hooks/slack/{notifier}", buttons.answer, methods=["POST"]))
    for name in _ROUTERS:
        module = f"tocsin_server.api.{name}"
        if find_spec(module) is not None:
            router = import_module(module).router
            assert isinstance(router, APIRouter)
            app.include_router(router, prefix=PREFIX)
    app.include_router(schema_page.router)
    app.include_router(ack.router)
    app.include_router(pictures.router)
    app.include_router(signposts.router)
    return IngestFirst(app, ingest, f"{PREFIX}/events")


def _operation_id(route: APIRoute) -> str:
    return route.name
