"""A page that shows the API's schema: own, small, without scripts from elsewhere or any script at all."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from tocsin_server.api.openapi import openapi

router = APIRouter(include_in_schema=False)

_CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}
code{font-family:ui-monospace,monospace}summary{cursor:pointer;padding:.3rem 0}
.m{display:inline-block;min-width:4.5rem;font-weight:600}details{border-bottom:1px solid #8884}
pre{overflow:auto;background:#8881;padding:.5rem}
"""


@router.get("/api/openapi.json")
async def document(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(_document(request))


@router.get("/api")
async def page(request: Request) -> Response:
    """Return a page that lists every operation."""
    html = "".join(_page(_document(request)))
    return HTMLResponse(html, headers={"Content-Security-Policy": _CSP})


def _document(request: Request) -> dict[str, Any]:
    return openapi(request.app, events_path="/api/v1/events")


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])} API</title>"
    yield f"<style>{_STYLE}</style><h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
    yield "<p>Every request carries <code>Authorization: Bearer tsk_…</code>. "
    yield "The document itself is <a href=/api/openapi.json>openapi.json</a>.</p>"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<details id={escape(operation['operationId'])}><summary><span class=m>{escape(method.upper())}"
            yield f"</span><code>{escape(path)}</code> {escape(operation.get('summary', ''))}</summary>"
            yield f"<p>{escape(operation.get('description', ''))}</p><ul>"
            for parameter in operation.get("parameters", ()):
                text = parameter.get("description", "")
                yield f"<li><code>{escape(parameter['name'])}</code> ({escape(parameter['in'])}) {escape(text)}</li>"
            yield "</ul></details>"
