"""The command line's way to the server: the SDK's client, with errors as people read them and exit codes."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from tocsin.client import (
    ApiError,
    AsyncClient,
    Client,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Unavailable,
    Unreachable,
)
from tocsin.discovery import Server, find_server
from tocsin_server.errors import ExitCode, UserError

_CODES: Mapping[type[ApiError], ExitCode] = {
    Unreachable: ExitCode.UNREACHABLE,
    Denied: ExitCode.DENIED,
    NotFound: ExitCode.NOT_FOUND,
    Conflict: ExitCode.FAILED,
    Invalid: ExitCode.INVALID_INPUT,
}
_SECONDS = 30.0
_LISTED_BY: Mapping[str, str] = {
    "alert": "alerts ls",
    "automation": "automations ls",
    "dead letter": "dead-letters ls",
    "deployment": "deployments ls",
    "event": "events ls",
    "message": "inbox ls",
    "notifier": "notifiers ls",
    "run": "runs ls",
    "secret": "secrets ls",
    "silence": "silences ls",
    "valid key": "keys ls",
}
"""The command that lists what a 404 says is not there."""
_START = "Start it with `tocsin server start`, or correct --url or TOCSIN_API_URL."


class Api:
    """One server, as a command speaks to it. Paths are below ``/api/v1``; each ``{}`` is filled with a quoted name."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._client = Client(server, timeout=_SECONDS)

    def get(self, path: str, *names: str, **parameters: Any) -> Any:
        """Return what GET gives."""
        return self.call("GET", path, *names, params=_given(parameters))

    def post(self, path: str, *names: str, json: Any = None, **parameters: Any) -> Any:
        """Return what POST gives."""
        return self.call("POST", path, *names, json=json, params=_given(parameters))

    def call(self, method: str, path: str, *names: str, **options: Any) -> Any:
        """Return the JSON that a request gives.

        Raises:
            UserError: the server can't be reached, or answers with a problem.

        """
        try:
            return self.request(method, filled(path, *names), **options)
        except ApiError as problem:
            raise told(problem) from problem

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON that a request gives; problems come as the SDK's `ApiError`."""
        return self._client.request(method, path, **options)

    def pages(self, path: str, *names: str, limit: int, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, at most ``limit``, page after page."""
        cursor = None
        while limit > 0:
            page = self.get(path, *names, limit=min(limit, 500), cursor=cursor, **parameters)
            yield from page["items"][:limit]
            limit -= len(page["items"])
            cursor = page.get("next")
            if cursor is None:
                return

    def streaming(self) -> AsyncClient:
        """Return a client for a live stream."""
        return AsyncClient(self.server)


def api_of(ctx: click.Context) -> Api:
    """Return the API of the server that the options, the environment or the state file name.

    Raises:
        UserError: there is none.

    """
    options = ctx.find_root().obj or {}
    server = find_server(options.get("url"))
    if server is None:
        raise UserError(
            "No server was found.",
            "Neither --url nor TOCSIN_API_URL names one, and no running local server has left a state file.",
            "Start one with `tocsin server start`; with a data folder of its own, set TOCSIN_DATA_DIR here as well.",
            code=ExitCode.UNREACHABLE,
        )
    return Api(server)


def filled(path: str, *names: str) -> str:
    """Return a path with names in the place of ``{}``."""
    return path.format(*(quote(name, safe="") for name in names))


def told(error: ApiError) -> UserError:
    """Return what a failed request means to a person."""
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.FAILED)
    extra = error.problem.extra if error.problem is not None else {}
    errors = [one for one in extra.get("errors", ()) if isinstance(one, Mapping)]
    why = (
        "\n  ".join(f"{one.get('path', '')}: {one.get('detail', '')}" for one in errors)
        if len(errors) > 1
        else ""
    )
    match error:
        case Denied():
            fix = "Set TOCSIN_API_KEY to a key that may; `tocsin keys create NAME --role …` makes one."
        case NotFound() if extra.get("kind") in _LISTED_BY:
            fix = f"`tocsin {_LISTED_BY[extra['kind']]}` lists what there is."
        case Unreachable():
            what = str(error).partition("; ")[0]
            what, fix = f"{what[:1].upper()}{what[1:]}.", _START
            return UserError(what, "No server runs there, or it can't be reached from here.", fix, code=code)
        case Unavailable():
            fix = "Try again in a while; `tocsin server status` says how the server is."
        case Invalid():
            fix = "Correct that and try again; with --help the command says what it takes."
        case _:
            fix = ""
    return UserError(str(error), why, fix, code=code)


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None and value != ()}
