"""Who is asking: the bearer key, its scopes, and the guard against DNS rebinding."""

import ipaddress
from collections.abc import Awaitable, Callable, Collection

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from tocsin_server.access import Caller, Scope
from tocsin_server.api.problem import Problem, response_of
from tocsin_server.parts import Parts


def parts_of(connection: HTTPConnection) -> Parts:
    """Return the parts of the server that answers."""
    parts = connection.app.state.parts
    assert isinstance(parts, Parts)
    return parts


async def known_caller(connection: HTTPConnection) -> Caller | None:
    """Return who is asking, None without a valid key."""
    kind, _, key = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not key.strip():
        return None
    return await parts_of(connection).access.caller(key.strip())


async def require(connection: HTTPConnection, scope: Scope) -> Caller:
    """Return who is asking.

    Raises:
        Problem: 401 without a valid key, 403 without the scope.

    """
    caller = await known_caller(connection)
    if caller is None:
        raise Problem(
            401,
            "This needs a valid API key: send it as `Authorization: Bearer tsk_…`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not caller.may(scope):
        raise Problem(403, f"The key {caller.name!r} lacks the scope {str(scope)!r}.", scope=str(scope))
    return caller


def needs(scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
    """Return the dependency of a route that needs a scope."""

    async def dependency(request: Request) -> Caller:
        return await require(request, scope)

    return dependency


class HostGuard:
    """Answers only under names of its own, so that no web page can reach a local server by DNS rebinding."""

    def __init__(self, app: ASGIApp, *, names: Collection[str] | None) -> None:
        self._app = app
        self._names = None if names is None else frozenset(name.lower() for name in names)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 421."""
        if scope["type"] == "http" and self._names is not None:
            host = next((value for name, value in scope["headers"] if name == b"host"), b"")
            if host_name(host.decode("latin-1")) not in self._names:
                answer = response_of(
                    Problem(421, "This server does not answer under that name; see server.allowed_hosts.")
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def host_name(header: str) -> str:
    """Return the name in a Host header, without its port."""
    if header.startswith("["):
        return header.partition("]")[0].removeprefix("[").lower()
    return header.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    """Tell whether an address is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
