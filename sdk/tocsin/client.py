"""A small HTTP client for the server's API, for the SDK and the command line, waiting (`Client`) or not (`AsyncClient`).

Every failure is an `ApiError` whose type says what the caller can do about it; the server's problem+json (RFC 9457)
is in ``problem``.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx2

from tocsin.discovery import Server, find_server

_PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Problem:
    """What the server says is wrong: RFC 9457's members, and whatever else it sent in ``extra``."""

    status: int
    title: str = ""
    detail: str = ""
    type: str = "about:blank"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.detail or self.title or f"HTTP {self.status}"


class ApiError(Exception):
    """A request that did not do what it was for."""

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class Unreachable(ApiError):  # noqa: N818 - it says what happened
    """Nobody answers at the server's URL, or there is no server to be found."""


class Denied(ApiError):  # noqa: N818 - it says what happened
    """The key is missing, wrong, or lacks the scope (401, 403)."""


class NotFound(ApiError):  # noqa: N818 - it says what happened
    """There is no such thing (404)."""


class Conflict(ApiError):  # noqa: N818 - it says what happened
    """It was changed in the meantime, or exists already (409, 412)."""


class Invalid(ApiError):  # noqa: N818 - it says what happened
    """The server can't make sense of what was sent (any other 4xx); ``problem`` says what and where."""


class Unavailable(ApiError):  # noqa: N818 - it says what happened
    """The server can't do it now (429, 5xx); ``retry_after`` is in seconds, where it says."""

    def __init__(
        self, message: str, problem: Problem | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, problem)
        self.retry_after = retry_after


class _Requests:
    """What both clients share: where to send, and what an answer means."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._headers = {"Accept": "application/json"}
        if server.api_key:
            self._headers["Authorization"] = f"Bearer {server.api_key}"

    def _unreachable(self, problem: Exception) -> Unreachable:
        return Unreachable(
            f"no answer from {self.server.url} ({problem or type(problem).__name__});"
            " is the server running? Start it with: tocsin server start"
        )


class Client(_Requests):
    """The API, waited for. Close it, or use it in a ``with`` statement; safe to use from several threads."""

    def __init__(self, server: Server, *, timeout: float = 10.0) -> None:
        super().__init__(server)
        self._http = httpx2.Client(base_url=server.url, headers=self._headers, timeout=timeout)

    @classmethod
    def find(cls, url: str | None = None, *, timeout: float = 10.0) -> Self:
        """Return a client of the server that is found (`tocsin.discovery.find_server`).

        Raises:
            Unreachable: there is none.

        """
        return cls(_must_find(url), timeout=timeout)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request to a path under ``/api/v1`` and return the JSON that comes back (None if nothing does).

        Raises:
            ApiError: of the type that fits.

        """
        try:
            answer = self._http.request(
                method, _full(path), json=json, params=params, content=content, headers=headers
            )
        except httpx2.HTTPError as problem:
            raise self._unreachable(problem) from problem
        return _result(answer)

    def get(self, path: str, **params: Any) -> Any:
        """Return what is at a path."""
        return self.request("GET", path, params=params or None)

    def post(self, path: str, json: Any = None, **options: Any) -> Any:
        """Post JSON to a path."""
        return self.request("POST", path, json=json, **options)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Requests):
    """The API, awaited. Close it, or use it in an ``async with`` statement."""

    def __init__(self, server: Server, *, timeout: float = 10.0) -> None:
        super().__init__(server)
        self._http = httpx2.AsyncClient(base_url=server.url, headers=self._headers, timeout=timeout)

    @classmethod
    def find(cls, url: str | None = None, *, timeout: float = 10.0) -> Self:
        """Return a client of the server that is found (`tocsin.discovery.find_server`).

        Raises:
            Unreachable: there is none.

        """
        return cls(_must_find(url), timeout=timeout)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request to a path under ``/api/v1`` and return the JSON that comes back (None if nothing does).

        Raises:
            ApiError: of the type that fits.

        """
        try:
            answer = await self._http.request(
                method, _full(path), json=json, params=params, content=content, headers=headers
            )
        except httpx2.HTTPError as problem:
            raise self._unreachable(problem) from problem
        return _result(answer)

    @asynccontextmanager
    async def lines(self, path: str, *, json: Any = None, **params: Any) -> AsyncIterator[AsyncIterator[str]]:
        """Open a live stream and give its lines as they come: a GET, or a POST of ``json``.

        Raises:
            ApiError: of the type that fits.

        """
        headers = {"Accept": "text/event-stream, application/x-ndjson"}
        method = "GET" if json is None else "POST"
        try:
            async with self._http.stream(
                method, _full(path), params=params or None, json=json, headers=headers, timeout=None
            ) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    _result(answer)
                yield answer.aiter_lines()
        except httpx2.HTTPError as problem:
            raise self._unreachable(problem) from problem

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _must_find(url: str | None) -> Server:
    server = find_server(url)
    if server is None:
        raise Unreachable(
            "no server found; start one with: tocsin server start, or say where it is with TOCSIN_API_URL"
        )
    return server


def _full(path: str) -> str:
    return (
        path
        if path.startswith(("/api/", "/healthz", "/readyz", "/metrics"))
        else f"{_PREFIX}/{path.lstrip('/')}"
    )


def _result(answer: httpx2.Response) -> Any:
    if answer.status_code < 400:
        if not answer.content:
            return None
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text
    problem = _problem(answer)
    match answer.status_code:
        case 401 | 403:
            raise Denied(str(problem), problem)
        case 404:
            raise NotFound(str(problem), problem)
        case 409 | 412:
            raise Conflict(str(problem), problem)
        case 429:
            raise Unavailable(str(problem), problem, _retry_after(answer))
        case status if status < 500:
            raise Invalid(str(problem), problem)
        case _:
            raise Unavailable(str(problem), problem, _retry_after(answer))


def _problem(answer: httpx2.Response) -> Problem:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Problem(answer.status_code, answer.reason_phrase)
    known = {name: str(body.pop(name)) for name in ("title", "detail", "type") if name in body}
    body.pop("status", None)
    return Problem(answer.status_code, **known, extra=body)


def _retry_after(answer: httpx2.Response) -> float | None:
    try:
        return float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None
