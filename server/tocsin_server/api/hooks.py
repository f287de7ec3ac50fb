"""``POST /hooks/slack/<notifier>``: buttons that were pressed in messages. No key: Slack's signature says who sent it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from tocsin_events.bus import BusUnavailable
from tocsin_events.envelope import encode_event
from tocsin_events.identity import message_key, new_id
from tocsin_notifiers.notifier import Rejected, Retry
from tocsin_notifiers.press import Forged, HasButtons, Press
from tocsin_server.api.ingest import read_body
from tocsin_server.api.problem import Problem, response_of
from tocsin_server.api.security import parts_of
from tocsin_server.parts import Parts
from tocsin_server.presses import Presses

_MAX_BYTES: Final = 512 * 1024
_SECONDS: Final = 2.0
"""Slack shows an error to whoever pressed after three."""
_BETWEEN_EVENTS: Final = 1.0
SOURCE: Final = "/hooks"

_log = structlog.get_logger("tocsin.hooks")


class SlackButtons:
    """The route's handler."""

    def __init__(self, presses: Presses) -> None:
        self._presses = presses
        self._under_way: set[asyncio.Task[None]] = set()
        self._untold = 0
        self._told_at = float("-inf")

    async def answer(self, request: Request) -> Response:
        """Check the signature, do what was asked for, and answer in time, whatever it takes."""
        name = request.path_params["notifier"]
        parts = parts_of(request)
        try:
            body = await read_body(request, _MAX_BYTES)
            notifier = _notifier(parts, name)
            presses = notifier.pressed(request.headers, body)
        except Forged as problem:
            await self._rejected(parts, name, problem.reason)
            return response_of(Problem(401, "This request was not signed by Slack for this notifier."))
        except Problem as problem:
            return response_of(problem)
        if presses:
            task = asyncio.create_task(self._act(notifier, presses), name="slack-buttons")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await asyncio.wait([task], timeout=_SECONDS)
        return Response(status_code=200)

    async def _act(self, notifier: HasButtons, presses: Sequence[Press]) -> None:
        for press in presses:
            said = await self._outcome(press)
            try:
                await notifier.answer(press, said)
            except (Retry, Rejected) as problem:
                _log.warning("who pressed a button could not be answered", problem=problem.reason)

    async def _outcome(self, press: Press) -> str:
        try:
            return await self._presses.act(press)
        except Exception as problem:  # noqa: BLE001 - whoever pressed has to hear that it did not work
            _log.error("a button could not be obeyed", wish=press.wish, alert=press.alert, exc_info=problem)
            return "It did not work; the server's log says why. Try again, or use `tocsin alerts`."

    async def _rejected(self, parts: Parts, name: str, reason: str) -> None:
        """Tell of a refused request, once a second at most: whoever floods us must not flood the log, too."""
        parts.metrics.rejected.labels(reason="signature").inc()
        now = time.monotonic()
        if now - self._told_at < _BETWEEN_EVENTS:
            self._untold += 1
            return
        self._told_at, untold, self._untold = now, self._untold, 0
        said = reason + (f"; {untold} more were refused just before" if untold else "")
        _log.warning("a request to a notifier's buttons was refused", notifier=name[:200], reason=said)
        body = _event(name[:200], said)
        try:
            await parts.bus.publish_many([body])
        except BusUnavailable as problem:
            _log.warning("a refused request could not be told of", problem=str(problem))


def _notifier(parts: Parts, name: str) -> HasButtons:
    found = parts.notifications.notifier(name)
    if not isinstance(found, HasButtons):
        raise Forged("no notifier of that name has buttons")
    return found


def _event(name: str, reason: str) -> tuple[str, str, bytes]:
    id_ = new_id()
    body = encode_event(
        id=id_,
        type="webhook.rejected",
        source=SOURCE,
        time=time.time_ns() // 1000,
        resource={
            "kind": "webhook",
            "id": f"slack/{name}",
            "name": f"buttons of {name}",
            "labels": {},
            "tags": [],
        },
        payload={"reason": reason, "status": 401},
    )
    return "webhook.rejected", message_key(SOURCE, id_), body
