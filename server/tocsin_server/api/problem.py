"""Errors over HTTP: RFC 9457 problem+json, everywhere."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_log = structlog.get_logger("tocsin.api")


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that says what is wrong: status, what, and where in the request."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **further: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.further = further


def not_found(kind: str, name: str) -> Problem:
    """Return the answer for a thing that isn't there; its ``kind`` is told as well."""
    return Problem(404, f"There is no {kind} {name!r}.", kind=kind)


def response_of(problem: Problem) -> Response:
    """Return a problem as a response."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.further,
    }
    if problem.errors:
        body["errors"] = [dict(error) for error in problem.errors]
    return JSONResponse(body, problem.status, headers=problem.headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make every error of an app a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, unforeseen)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return response_of(error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path}; the API is under /api/v1 and described at /api."
    elif error.status_code == 405:
        detail = f"{request.method} is not a method of {request.url.path}."
    return response_of(Problem(error.status_code, detail, headers=error.headers))


async def _validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {
            "path": "/".join(str(part) for part in found["loc"]),
            "detail": str(found["msg"]).removeprefix("Value error, "),
        }
        for found in error.errors()
    ]
    first = errors[0]
    return response_of(Problem(400, f"{first['path']}: {first['detail']}.", errors=errors))


async def unforeseen(request: Request, error: Exception) -> Response:
    """Answer a request that met a mistake of ours."""
    _log.error("request failed", method=request.method, path=request.url.path, error=type(error).__name__)
    return response_of(
        Problem(500, "The server made a mistake; its log says more. The request may be tried again.")
    )
